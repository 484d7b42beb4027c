//! What is shown of each request: what every plugin did to it, and what that cost.

use std::fmt::Write;
use std::time::Duration;

use super::message;
use super::vm::Account;
use proxy_wasm_kit_host::exchange::{Exchange, Headers, LogLine, Message};

/// So much of a value is shown.
const SHOWN: usize = 120;
/// Whose values are not shown.
const SECRET: [&str; 5] = ["authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"];
/// What the proxy itself adds.
const OF_THE_PROXY: [&str; 5] =
    ["date", "server", "x-envoy-upstream-service-time", "x-forwarded-proto", "x-request-id"];

/// All that is told of a request.
pub(super) struct Story {
    pub(super) request: Message,
    /// None: the client got no answer.
    pub(super) status: Option<u16>,
    pub(super) time: Duration,
    /// How long the upstream took, if it was asked.
    pub(super) upstream: Option<Duration>,
    /// Why the upstream did not answer.
    pub(super) down: Option<String>,
    pub(super) visits: Vec<Visit>,
}

/// A request in one plugin.
pub(super) struct Visit {
    pub(super) plugin: String,
    /// The request as the plugin got it, and as it left it.
    pub(super) arrived: Message,
    pub(super) went_on: Option<Message>,
    /// The response as the plugin got it.
    pub(super) answer: Option<Message>,
    /// The plugin answered instead of the upstream.
    pub(super) answered: bool,
    pub(super) exchange: Exchange,
    pub(super) account: Account,
}

pub(super) fn render(story: &Story) -> String {
    let part = |name: &str| shown(story.request.headers.first(name).unwrap_or_default());
    let status = story.status.map_or("no answer".into(), |status| status.to_string());
    let mut text =
        format!("{} {} -> {status} in {}", part(":method"), part(":path"), milliseconds(story.time));
    if let Some(time) = story.upstream {
        let _ = write!(text, ", upstream {}", milliseconds(time));
    }
    text.push('\n');
    story.visits.iter().for_each(|visit| visit.render(&mut text));
    if let Some(down) = &story.down {
        let _ = writeln!(text, "  {down}");
    }
    text
}

impl Visit {
    fn render(&self, text: &mut String) {
        let calls: u32 = self.account.host_calls.values().sum();
        let _ = writeln!(
            text,
            "  {}: {}{}, {calls} host call{}, {} instructions",
            self.plugin,
            self.outcome(),
            milliseconds(self.account.time),
            if calls == 1 { "" } else { "s" },
            self.account.instructions
        );
        let went_on = self.went_on.as_ref().into_iter();
        let request = went_on.flat_map(|after| changes(&self.arrived, after));
        request.for_each(|change| row(text, "request", &change));
        let nothing = Message::default();
        let before = self.answer.as_ref().unwrap_or(&nothing);
        let client = self.exchange.client.as_ref().into_iter();
        let response = client.flat_map(|after| changes(before, after)).filter(|change| self.is_told(change));
        response.for_each(|change| row(text, "response", &change));
        self.account.callouts.iter().for_each(|callout| row(text, "callout", &printable(callout)));
        if calls > 0 {
            row(text, "calls", &call_list(&self.account));
        }
        self.account.lines.iter().for_each(|line| row(text, level(line), &printable(&line.message)));
        self.warnings().iter().for_each(|warning| row(text, "note", warning));
    }

    /// What the plugin decided, if it did.
    fn outcome(&self) -> String {
        match &self.exchange.client {
            Some(client) if self.answered => {
                format!("answered {} ({}), ", client.status(), shown(self.exchange.details.as_bytes()))
            }
            None if self.exchange.reset => "reset the stream, ".into(),
            None if self.went_on.is_none() => "held the request until its client went away, ".into(),
            _ => String::new(),
        }
    }

    /// Of an answer of the plugin's own, the status stands in the first line already, and the length is the proxy's.
    fn is_told(&self, change: &str) -> bool {
        !(self.answered && ["+ :status", "+ content-length"].iter().any(|known| change.starts_with(known)))
    }

    fn warnings(&self) -> Vec<String> {
        let failure = self.exchange.vm_failure.as_ref().map(|reason| {
            format!(
                "its VM has failed: {}; requests are refused until the module is loaded again",
                printable(reason)
            )
        });
        let sides = [("request", self.went_on.as_ref()), ("response", self.exchange.client.as_ref())];
        let head = self.arrived.headers.first(":method") == Some(b"HEAD");
        let wrong = sides.into_iter().filter_map(|(side, message)| {
            let wrong = message.is_some_and(|message| !message::length_is_right(message));
            (wrong && !(head && side == "response")).then(|| {
                format!("the {side}'s body and content-length differ, and Envoy sends them so; remove content-length")
            })
        });
        let misuse = self.exchange.misuse.iter().map(|misuse| printable(misuse));
        failure.into_iter().chain(wrong).chain(misuse).collect()
    }
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
fn changes(before: &Message, after: &Message) -> Vec<String> {
    let mut found = field_changes(&before.headers, &after.headers);
    if before.whole_body() != after.whole_body() {
        let (old, new) = (message::length(before), message::length(after));
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

/// What a plugin logs when no request is served.
pub(super) fn render_background(plugin: &str, lines: &[LogLine]) -> String {
    let mut text = format!("{plugin}\n");
    lines.iter().for_each(|line| row(&mut text, level(line), &printable(&line.message)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_by_name_and_secrets_are_not_told() {
        let before = Message::request("GET", "/a").header("a", "1").header("cookie", "x").header("b", "1");
        let after = Message::request("GET", "/b")
            .header("a", "2")
            .header("authorization", "Basic eDp5")
            .header("b", "1")
            .header("c", b"\xff\x1b[2J".as_slice())
            .header("x-request-id", "1")
            .body("hi");
        let found = changes(&before, &after);
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
