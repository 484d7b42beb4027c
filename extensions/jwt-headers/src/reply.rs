//! From a denial to what the client is told: here and nowhere else.

use crate::config::Config;
use crate::policy::{Failure, Request};
use proxy_wasm_kit::Response;

/// The longest URL that a challenge names.
const LONGEST_REALM: usize = 256;

/// How denials are told.
pub(crate) struct Denial {
    stripped: bool,
    no_keys: u16,
}

impl Denial {
    pub(crate) fn of(config: &Config) -> Self {
        let no_keys = if config.fetch_failure_status == Some(503) { 503 } else { 401 };
        Self { stripped: config.strip_failure_response, no_keys }
    }

    /// The answer to a request that may not pass: 403 if the token is good, but not for this, 400 if its
    /// path is the problem, else 401.
    pub(crate) fn reply(&self, failure: Failure, request: &Request<'_>) -> Response {
        let status = match failure {
            Failure::Audience | Failure::Unusable => 403,
            Failure::Path | Failure::Long => 400,
            Failure::State => 500,
            Failure::Fetch => self.no_keys,
            _ => 401,
        };
        let reply = Response::new(status).details(details(failure));
        if self.stripped {
            return reply;
        }
        let reply = reply.body(failure.text());
        if matches!(status, 400 | 500 | 503) {
            reply
        } else {
            reply.header("www-authenticate", challenge(failure, request))
        }
    }
}

/// RFC 6750, 3.1: no error is told where no token was sent.
fn challenge(failure: Failure, request: &Request<'_>) -> String {
    let error = if failure == Failure::Missing { "" } else { ", error=\"invalid_token\"" };
    format!("Bearer realm=\"{}\"{error}", realm(request))
}

/// As Envoy's, so that access logs can be searched for the same words.
fn details(failure: Failure) -> String {
    format!("jwt_authn_access_denied{{{}}}", failure.text().replace(char::is_whitespace, "_"))
}

/// The URL that was asked for, without its query, which may hold a token.
fn realm(request: &Request<'_>) -> String {
    let part = |name| request.first(name).unwrap_or_default();
    let scheme = request.first("x-forwarded-proto").or(request.first(":scheme")).unwrap_or(b"http");
    let path = part(":path").split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let url = [scheme, b"://", part(":authority"), path].concat();
    let url = url.get(..url.len().min(LONGEST_REALM)).unwrap_or_default();
    // What a quoted text cannot hold (RFC 9110) does not belong into a URL either.
    url.iter()
        .filter(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
        .map(|byte| char::from(*byte))
        .collect()
}

/// Says what is denied, for who debugs the proxy; the token stays out of it.
pub(crate) fn log(failure: Failure, request: &Request<'_>) {
    let path = request.first(":path").unwrap_or_default();
    let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let shown = path.get(..path.len().min(LONGEST_REALM)).unwrap_or_default();
    let of = |name| request.first(name).unwrap_or_default().escape_ascii().to_string();
    log::debug!("denied ({failure:?}): {} {}{}", of(":method"), of(":authority"), shown.escape_ascii());
}
