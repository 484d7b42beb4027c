//! From a denial to what the client is told: here and nowhere else.

use crate::policy::{Policy, Reason, Request, RuleNumber};
use log::Level;
use proxy_wasm_kit::Response;

/// The answer to a request that may not pass. A path that cannot be read is no matter of credentials.
pub(crate) fn to(policy: &Policy, rule: Option<RuleNumber>, reason: Reason, body: &str) -> Response {
    let status = if reason == Reason::Unreadable { 400 } else { 401 };
    let reply = Response::new(status).details(details(reason)).body(body);
    match rule.and_then(|rule| policy.challenge(rule)) {
        Some(challenge) => reply.header("www-authenticate", challenge),
        None => reply,
    }
}

/// Says what is denied, for who debugs the proxy, or what would have been denied, for who tries a configuration.
pub(crate) fn log(
    policy: &Policy,
    rule: Option<RuleNumber>,
    reason: Reason,
    request: &Request<'_>,
    dry_run: bool,
) {
    let (level, verdict) =
        if dry_run { (Level::Warn, "dry run: would be denied") } else { (Level::Debug, "denied") };
    let rule = rule.and_then(|rule| policy.name(rule)).unwrap_or("-");
    let path = request.path.split(|byte| *byte == b'?').next().unwrap_or_default();
    let shown = path.get(..path.len().min(256)).unwrap_or_default();
    log::log!(
        level,
        "{verdict}: {} (rule {rule}): {} {}{}",
        details(reason),
        request.method.escape_ascii(),
        request.authority.escape_ascii(),
        shown.escape_ascii(),
    );
}

/// The response code details: what access logs show.
fn details(reason: Reason) -> &'static str {
    match reason {
        Reason::Missing => "basic_auth_missing",
        Reason::Invalid => "basic_auth_invalid",
        Reason::Repeated => "basic_auth_repeated",
        Reason::Unreadable => "basic_auth_unreadable_path",
    }
}
