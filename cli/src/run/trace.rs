//! What is shown of each request: what every plugin did to it, and what that cost.

use std::fmt::Write;
use std::time::Duration;

use super::engine::News;
use proxy_wasm_kit_host::engine::{Account, Aside, Glimpse, Outcome, Visit};
use proxy_wasm_kit_host::exchange::{Headers, LogLine};

/// So much of a value is shown.
const SHOWN: usize = 120;
/// Whose values are not shown.
const SECRET: [&str; 5] = ["authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"];
/// What the proxy itself adds.
const OF_THE_PROXY: [&str; 5] =
    ["date", "server", "x-envoy-upstream-service-time", "x-forwarded-proto", "x-request-id"];

/// All that is told of a request.
pub(super) struct Story {
    /// Method and path, as the client sent them.
    pub(super) title: String,
    pub(super) time: Duration,
    /// How long the upstream took, if it was asked.
    pub(super) upstream: Option<Duration>,
    /// Why the upstream did not answer.
    pub(super) down: Option<String>,
    /// What came of callouts, by the place of the plugin.
    pub(super) notes: Vec<(usize, String)>,
    /// What becomes of later requests when a plugin has failed.
    pub(super) prospect: &'static str,
    pub(super) outcome: Outcome,
}

/// What a request is called.
pub(super) fn title(request: &Headers) -> String {
    let part = |name: &str| shown(request.first(name).unwrap_or_default());
    format!("{} {}", part(":method"), part(":path"))
}

pub(super) fn render(story: &Story) -> String {
    let status = story.outcome.status.map_or("no answer".into(), |status| status.to_string());
    let mut text = format!("{} -> {status} in {}", story.title, milliseconds(story.time));
    if let Some(time) = story.upstream {
        let _ = write!(text, ", upstream {}", milliseconds(time));
    }
    text += match story.outcome {
        Outcome { reset: true, .. } => ", broken off",
        Outcome { status: Some(_), ref details, .. } if details == GONE => ", the client went away",
        _ => "",
    };
    text.push('\n');
    for (place, visit) in story.outcome.visits.iter().enumerate() {
        let notes = story.notes.iter().filter(|(seat, _)| *seat == place).map(|(_, note)| note.as_str());
        render_visit(visit, story, notes, &mut text);
    }
    for misuse in &story.outcome.misuse {
        let _ = writeln!(text, "  {}", printable(misuse));
    }
    if let Some(down) = &story.down {
        let _ = writeln!(text, "  {down}");
    }
    text
}

/// Why a plugin has failed, where single requests are not shown.
pub(super) fn render_failure(story: &Story) -> Option<String> {
    story.outcome.visits.iter().find_map(|visit| {
        let reason = printable(visit.failure.as_ref()?);
        Some(format!("{}: its VM has failed: {reason}; {}\n", visit.plugin, story.prospect))
    })
}

/// What has to be said also where single requests are not shown: what plugins log, and what goes wrong.
pub(super) fn render_quietly(story: &Story) -> String {
    let mut text = String::new();
    for visit in story.outcome.visits.iter().filter(|visit| !visit.account.lines.is_empty()) {
        let _ = writeln!(text, "{}", visit.plugin);
        visit.account.lines.iter().for_each(|line| row(&mut text, level(line), &printable(&line.message)));
    }
    if let Some(down) = &story.down {
        let _ = writeln!(text, "{down}");
    }
    text
}

/// The details of a request whose client did not wait.
const GONE: &str = "downstream_remote_disconnect";

fn render_visit<'a>(visit: &Visit, story: &Story, notes: impl Iterator<Item = &'a str>, text: &mut String) {
    let account = &visit.account;
    let calls: u32 = account.host_calls.values().sum();
    let _ = writeln!(
        text,
        "  {}: {}{}, {calls} host call{}, {} instructions",
        visit.plugin,
        verdict(visit, &story.outcome),
        milliseconds(account.time),
        if calls == 1 { "" } else { "s" },
        account.instructions
    );
    if let [Some(before), Some(after)] = &visit.request {
        changes(before, after).iter().for_each(|change| row(text, "request", change));
    }
    response_changes(visit).iter().for_each(|change| row(text, "response", change));
    notes.for_each(|note| row(text, "callout", &printable(note)));
    for cluster in &account.unknown_clusters {
        let advice = "there is no such cluster; name it with --cluster";
        row(text, "callout", &printable(&format!("{cluster}: {advice} {cluster}=URL")));
    }
    if calls > 0 {
        row(text, "calls", &call_list(account));
    }
    account.lines.iter().for_each(|line| row(text, level(line), &printable(&line.message)));
    warnings(visit, story).iter().for_each(|warning| row(text, "note", warning));
}

/// What the plugin decided, if it did.
fn verdict(visit: &Visit, outcome: &Outcome) -> String {
    let details = || shown(outcome.details.as_bytes());
    match (&visit.request, outcome.status) {
        _ if visit.answered && outcome.status.is_some() => {
            format!("answered {} ({}), ", outcome.status.unwrap_or_default(), details())
        }
        ([None, _], _) => "not reached, ".into(),
        ([_, None], None) if outcome.details == GONE => {
            "held the request until its client went away, ".into()
        }
        ([_, None], None) => format!("reset the stream ({}), ", details()),
        _ => String::new(),
    }
}

/// What the plugin did to the response. Of an answer of its own all is its doing, but for the status, which stands in the
/// first line already, and the length, which is the proxy's.
fn response_changes(visit: &Visit) -> Vec<String> {
    let nothing = Glimpse::default();
    match &visit.response {
        [_, Some(after)] if visit.answered => {
            let own = |change: &String| {
                !["+ :status", "+ content-length"].iter().any(|known| change.starts_with(known))
            };
            changes(&nothing, after).into_iter().filter(own).collect()
        }
        [Some(before), Some(after)] => changes(before, after),
        _ => Vec::new(),
    }
}

fn warnings(visit: &Visit, story: &Story) -> Vec<String> {
    let failure = visit.failure.as_ref();
    let failure =
        failure.map(|reason| format!("its VM has failed: {}; {}", printable(reason), story.prospect));
    let head =
        visit.request.iter().flatten().any(|request| request.headers.first(":method") == Some(b"HEAD"));
    let sides = [("request", &visit.request), ("response", &visit.response)];
    let wrong = sides.into_iter().filter_map(|(side, passage)| {
        let [Some(before), Some(after)] = passage else { return None };
        let wrong = length_is_right(before) && !length_is_right(after) && !(head && side == "response");
        wrong.then(|| {
            format!("the {side}'s body and content-length differ, and a proxy sends them so; remove content-length")
        })
    });
    failure.into_iter().chain(wrong).collect()
}

/// Whether the stated length is that of the body. A plugin that changes a body has to take the length away.
fn length_is_right(message: &Glimpse) -> bool {
    let stated = message.headers.first("content-length");
    stated.is_none_or(|stated| stated == message.size.to_string().as_bytes())
}

fn row(text: &mut String, title: &str, content: &str) {
    let _ = writeln!(text, "    {title:9}{}", content.replace('\n', "\n             "));
}

fn call_list(account: &Account) -> String {
    let name = |name: &str| name.strip_prefix("proxy_").unwrap_or(name).to_owned();
    let all = account.host_calls.iter().map(|(call, count)| format!("{count} {}", name(call)));
    all.collect::<Vec<_>>().join(", ")
}

fn level(line: &LogLine) -> &'static str {
    use proxy_wasm_kit_host::exchange::Level::{Critical, Debug, Error, Info, Trace, Warn};
    match line.level {
        Trace => "trace",
        Debug => "debug",
        Info => "info",
        Warn => "warn",
        Error => "error",
        Critical => "critical",
    }
}

/// What differs between two messages: `+` added, `-` removed, `~` changed.
fn changes(before: &Glimpse, after: &Glimpse) -> Vec<String> {
    let mut found = field_changes(&before.headers, &after.headers);
    if before.differs(after) {
        let (old, new) = (before.size, after.size);
        found.push(if old == 0 {
            format!("+ body: {new} bytes")
        } else {
            format!("~ body: {new} bytes, was {old}")
        });
    }
    found.extend(
        field_changes(&before.trailers, &after.trailers).iter().map(|change| format!("{change} (trailer)")),
    );
    found
}

fn field_changes(before: &Headers, after: &Headers) -> Vec<String> {
    let mut names: Vec<&[u8]> = Vec::new();
    for (name, _) in before.0.iter().chain(&after.0) {
        if !names.contains(&name.as_slice()) && !is_of_the_proxy(name, before) {
            names.push(name);
        }
    }
    names.into_iter().flat_map(|name| change(name, before, after)).collect()
}

/// What the proxy adds is no plugin's doing; what it finds and a plugin changes is.
fn is_of_the_proxy(name: &[u8], before: &Headers) -> bool {
    let known = OF_THE_PROXY.iter().any(|known| known.as_bytes() == name);
    known && (before.first(name).is_none() || name == b"server" || name == b"x-envoy-upstream-service-time")
}

fn change(name: &[u8], before: &Headers, after: &Headers) -> Vec<String> {
    let (old, new): (Vec<&[u8]>, Vec<&[u8]>) = (before.all(name).collect(), after.all(name).collect());
    // Several fields of a name that Envoy joins are the same to a plugin.
    if old == new || old.join(&b","[..]) == new.join(&b","[..]) {
        return Vec::new();
    }
    let field = |sign: char, value: &[u8]| format!("{sign} {}: {}", shown(name), value_of(name, value));
    match (old.is_empty(), new.is_empty()) {
        (_, true) => vec![format!("- {}", shown(name))],
        (true, _) => new.into_iter().map(|value| field('+', value)).collect(),
        _ => new.into_iter().map(|value| field('~', value)).collect(),
    }
}

fn value_of(name: &[u8], value: &[u8]) -> String {
    if SECRET.iter().any(|secret| secret.as_bytes() == name) {
        return format!("({} bytes, not shown)", value.len());
    }
    shown(value)
}

/// Bytes from the network as text, with escapes, cut where they get long.
fn shown(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN) {
        Some(start) if bytes.len() > SHOWN => format!("{}... ({} bytes)", start.escape_ascii(), bytes.len()),
        _ => bytes.escape_ascii().to_string().replace("\\\"", "\"").replace("\\'", "'"),
    }
}

/// A plugin's words without what moves the cursor of a terminal.
pub(super) fn printable(text: &str) -> String {
    let harmless = |letter: char| letter == '\n' || letter == '\t' || !letter.is_control();
    text.chars().map(|letter| if harmless(letter) { letter } else { '\u{fffd}' }).collect()
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// What plugins do when no request is served.
pub(super) fn render_news(news: &News<'_>) -> String {
    match news {
        News::Plugin(Aside { plugin, account }) => {
            let mut text = format!("{plugin}\n");
            account.lines.iter().for_each(|line| row(&mut text, level(line), &printable(&line.message)));
            for cluster in &account.unknown_clusters {
                let advice = "there is no such cluster; name it with --cluster";
                row(&mut text, "callout", &printable(&format!("{cluster}: {advice} {cluster}=URL")));
            }
            text
        }
        News::Callout(text) => format!("callout {}\n", printable(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proxy_wasm_kit_host::exchange::Message;

    #[test]
    fn changes_are_told_by_name_and_secrets_are_not_told() {
        let glimpse = |message: Message| {
            let mut glimpse = Glimpse::default();
            (glimpse.size, glimpse.headers) = (message.whole_body().len(), message.headers);
            glimpse
        };
        let before = Message::request("GET", "/a").header("a", "1").header("cookie", "x").header("b", "1");
        let after = Message::request("GET", "/b")
            .header("a", "2")
            .header("authorization", "Basic eDp5")
            .header("b", "1")
            .header("c", b"\xff\x1b[2J".as_slice())
            .header("x-request-id", "1")
            .body("hi");
        let found = changes(&glimpse(before), &glimpse(after));
        let expected = [
            "~ :path: /b",
            "~ a: 2",
            "- cookie",
            "+ authorization: (10 bytes, not shown)",
            "+ c: \\xff\\x1b[2J",
            "+ body: 2 bytes",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_a_plugin_logs_does_not_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\u{7}\nc"), "a\u{fffd}[2Jb\u{fffd}\nc");
    }
}
