//! What is printed when a case fails: where it stands, what was expected, what was seen.

use std::fmt::Write;

use super::check::Mismatch;
use super::{Case, Host, Seen};
use crate::exchange::{Exchange, Headers, LogLine, Message};

/// So much of a value is shown.
const SHOWN: usize = 300;

/// Bytes as text with escapes, in quotes; long ones are cut.
pub(super) fn bytes(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN) {
        Some(start) if bytes.len() > SHOWN => {
            format!("\"{}\"... ({} bytes)", start.escape_ascii(), bytes.len())
        }
        _ => format!("\"{}\"", bytes.escape_ascii()),
    }
}

/// The values of one header.
pub(super) fn values(values: &[&[u8]]) -> String {
    match values {
        [] => "absent".into(),
        [one] => bytes(one),
        [first, ..] if values.len() > 8 => format!("{} and {} more", bytes(first), values.len() - 1),
        several => several.iter().map(|value| bytes(value)).collect::<Vec<_>>().join(" then "),
    }
}

/// The report of a case that failed.
pub(super) fn failure(case: &Case, host: Host, mismatches: &[Mismatch], seen: &Seen) -> String {
    let mut text = format!("{}:{}: {} [{host:?}]\n", case.file.display(), case.line, case.name);
    let requests = (0..case.steps.len().max(case.talks.len())).map(Some).chain([None]);
    for request in requests {
        let mut here = mismatches.iter().filter(|mismatch| mismatch.request == request).peekable();
        let Some(first) = here.peek() else { continue };
        let title = request.map_or("after all requests".into(), |index| request_title(case, index));
        let _ = writeln!(text, "\n{title}; expectation in line {}:", first.line);
        for Mismatch { what, expected, seen, .. } in here {
            let _ = writeln!(text, "  {what}\n    expected {expected}\n    seen     {seen}");
        }
        if let Some(exchange) = request.and_then(|index| seen.exchanges.get(index)) {
            text += &exchange_seen(exchange);
        }
    }
    text + &log("all of the plugin's log", &seen.log)
}

fn request_title(case: &Case, index: usize) -> String {
    if let Some(talk) = case.talks.get(index) {
        return format!("connection {} of {} (line {})", index + 1, case.talks.len(), talk.line);
    }
    let Some(step) = case.steps.get(index) else { return String::new() };
    let part = |name| step.errand.request.headers.first(name).unwrap_or_default();
    let part = |name| part(name).escape_ascii().take(SHOWN).map(char::from).collect::<String>();
    let (method, path) = (part(":method"), part(":path"));
    format!("request {} of {} (line {}): {method} {path}", index + 1, case.steps.len(), step.line)
}

fn exchange_seen(exchange: &Exchange) -> String {
    let mut text = String::from("  all that was seen of it:\n");
    text += &message("client", exchange.client.as_ref());
    text += &message("upstream", exchange.upstream.as_ref());
    for (cluster, request) in &exchange.callouts {
        text += &message(cluster, Some(request));
    }
    let _ = writeln!(text, "    details  {}", bytes(exchange.details.as_bytes()));
    for (name, value) in &exchange.filter_state {
        let _ = writeln!(text, "    state    {name} = {}", bytes(value));
    }
    for (source, value) in &exchange.expressions {
        let _ = writeln!(text, "    shown    {source} = {value:?}");
    }
    if !exchange.host_calls.is_empty() {
        let _ = writeln!(text, "    calls    {:?}", exchange.host_calls);
    }
    if let Some(executed) = exchange.guest_instructions {
        let _ = writeln!(text, "    executed {executed} instructions");
    }
    text
}

fn message(side: &str, message: Option<&Message>) -> String {
    let Some(message) = message else { return format!("    {side:8} nothing\n") };
    let mut text = format!("    {side:8} {}\n", fields(&message.headers));
    if !message.body.is_empty() {
        let _ = writeln!(text, "      body     {}", bytes(&message.whole_body()));
    }
    if !message.trailers.0.is_empty() {
        let _ = writeln!(text, "      trailers {}", fields(&message.trailers));
    }
    text
}

fn fields(fields: &Headers) -> String {
    let field = |(name, value): &(Vec<u8>, Vec<u8>)| format!("{}: {}", name.escape_ascii(), bytes(value));
    let mut shown: Vec<_> = fields.0.iter().take(30).map(field).collect();
    if fields.0.len() > shown.len() {
        shown.push(format!("and {} more", fields.0.len() - shown.len()));
    }
    shown.join(", ")
}

fn log(title: &str, lines: &[LogLine]) -> String {
    let mut text = format!("\n{title}:\n");
    if lines.is_empty() {
        text += "  (nothing)\n";
    }
    for line in lines {
        let _ = writeln!(text, "  [{:?}] {}", line.level, line.message);
    }
    text
}
