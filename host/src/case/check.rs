//! Compares what was seen with what must be seen.

use std::collections::BTreeMap;

use super::around::Called;
use super::connections;
use super::format::{AfterAll, Expect, Field, HostCalls, LogPattern, Metric, Reached, Upstream};
use super::report::{bytes, values};
use super::text::Text;
use super::{Case, Host, Measured, Placed, Seen};
use crate::exchange::{Exchange, Headers, LogLine, Message};
use crate::outside::Frames;

/// One thing that is not as it must be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// Index of the request; none for what is checked after all of them.
    pub(super) request: Option<usize>,
    /// The line of the expectation.
    pub(super) line: u64,
    /// What is compared.
    pub(super) what: String,
    /// What must be seen.
    pub(super) expected: String,
    /// What was seen.
    pub(super) seen: String,
}

/// Collects mismatches of one expectation.
pub(super) struct Sheet {
    request: Option<usize>,
    line: u64,
    pub(super) found: Vec<Mismatch>,
}

impl Sheet {
    /// `request` is the index of the request or connection.
    pub(super) fn new(request: Option<usize>, line: u64) -> Self {
        Self { request, line, found: Vec::new() }
    }

    /// What is expected of requests and of connections.
    pub(super) fn common(&mut self, expect: &Expect, host: Host, seen: &Exchange) {
        filter_state(self, expect, seen);
        expressions(self, expect, seen);
        self.log(expect.log.as_ref(), expect.no_log.as_ref(), &seen.log);
        if host != Host::Envoy {
            host_calls(self, expect.host_calls.as_ref(), &seen.host_calls);
        }
    }

    pub(super) fn add(
        &mut self,
        what: impl Into<String>,
        expected: impl Into<String>,
        seen: impl Into<String>,
    ) {
        let (request, line) = (self.request, self.line);
        let (what, expected, seen) = (what.into(), expected.into(), seen.into());
        self.found.push(Mismatch { request, line, what, expected, seen });
    }

    pub(super) fn bytes(&mut self, what: &str, expected: Option<&Text>, seen: &[u8]) {
        if let Some(Text(expected)) = expected.filter(|expected| expected.0 != seen) {
            self.add(what, bytes(expected), bytes(seen));
        }
    }

    /// For each name in `expected`: exactly these values in this order.
    fn fields(&mut self, what: &str, expected: Option<&Vec<Field>>, seen: &Headers) {
        let mut by_name: BTreeMap<Vec<u8>, Vec<&[u8]>> = BTreeMap::new();
        for field in expected.into_iter().flatten() {
            let name = field.name.to_ascii_lowercase();
            let repeated = std::iter::repeat_n(field.value.as_slice(), field.times);
            by_name.entry(name).or_default().extend(repeated);
        }
        for (name, expected) in by_name {
            let seen: Vec<_> = seen.all(&name).collect();
            if seen != expected {
                self.add(format!("{what} {}", name.escape_ascii()), values(&expected), values(&seen));
            }
        }
    }

    fn absent(&mut self, what: &str, names: Option<&Vec<String>>, seen: &Headers) {
        for name in names.into_iter().flatten() {
            let found: Vec<_> = seen.all(name).collect();
            if !found.is_empty() {
                self.add(format!("{what} {name}"), "absent", values(&found));
            }
        }
    }

    fn log(
        &mut self,
        wanted: Option<&Vec<LogPattern>>,
        refused: Option<&Vec<LogPattern>>,
        lines: &[LogLine],
    ) {
        for pattern in wanted.into_iter().flatten() {
            if !lines.iter().any(|line| pattern.matches(line)) {
                self.add("log", pattern.to_string(), "no such line");
            }
        }
        for pattern in refused.into_iter().flatten() {
            if let Some(line) = lines.iter().find(|line| pattern.matches(line)) {
                self.add("no_log", format!("no line with {pattern}"), bytes(line.message.as_bytes()));
            }
        }
    }
}

impl LogPattern {
    fn matches(&self, line: &LogLine) -> bool {
        self.level.is_none_or(|level| level == line.level) && line.message.contains(&self.part)
    }
}

impl std::fmt::Display for LogPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = bytes(self.part.as_bytes());
        match self.level {
            Some(level) => write!(f, "{part} at level {level:?}"),
            None => f.write_str(&part),
        }
    }
}

/// Everything that is not as `case` says on `host`.
pub(super) fn case(case: &Case, host: Host, seen: &Seen) -> Vec<Mismatch> {
    let after = case.expect.on(host);
    let rejected = after.and_then(|after| after.value.rejected.as_ref());
    if seen.rejected != rejected.is_some() {
        return vec![wrong_start(case, after, seen.rejected)];
    }
    let mut found = Vec::new();
    for (index, step) in case.steps.iter().enumerate().filter(|_| !seen.rejected) {
        if let Some(expect) = step.expect.on(host) {
            found.extend(request(index, expect, host, seen.exchanges.get(index)));
        }
    }
    if !seen.rejected {
        found.extend(connections::check(case, host, seen));
    }
    found.extend(after.map(|after| after_all(after, seen)).into_iter().flatten());
    found
}

/// Whether what must be seen once all is done has been seen.
pub(super) fn holds_at_the_end(case: &Case, host: Host, seen: &Seen) -> bool {
    case.expect.on(host).is_none_or(|after| after_all(after, seen).is_empty())
}

fn wrong_start(case: &Case, after: Option<&Placed<AfterAll>>, rejected: bool) -> Mismatch {
    let words = |rejected| if rejected { "rejected" } else { "accepted" };
    Mismatch {
        request: None,
        line: after.map_or(case.line, |after| after.line),
        what: "configuration".into(),
        expected: words(!rejected).into(),
        seen: words(rejected).into(),
    }
}

fn request(index: usize, expect: &Placed<Expect>, host: Host, seen: Option<&Exchange>) -> Vec<Mismatch> {
    let mut sheet = Sheet::new(Some(index), expect.line);
    let Some(seen) = seen else {
        sheet.add("request", "an answer", "it was not sent");
        return sheet.found;
    };
    let expect = &expect.value;
    response(&mut sheet, expect, seen);
    if let Some(expected) = &expect.upstream {
        upstream(&mut sheet, expected, seen.upstream.as_ref());
    }
    clusters(&mut sheet, expect.clusters.as_ref(), &seen.callouts);
    sheet.common(expect, host, seen);
    sheet.found
}

fn response(sheet: &mut Sheet, expect: &Expect, seen: &Exchange) {
    let nothing = Message::default();
    let client = seen.client.as_ref().unwrap_or(&nothing);
    if let Some(status) = expect.status.filter(|status| *status != client.status()) {
        let seen = seen
            .client
            .as_ref()
            .map_or("no response: the stream was reset".into(), |response| response.status().to_string());
        sheet.add("status", status.to_string(), seen);
    }
    if let Some(details) = expect.details.as_ref().filter(|details| **details != seen.details) {
        sheet.add("details", bytes(details.as_bytes()), bytes(seen.details.as_bytes()));
    }
    sheet.fields("response header", expect.headers.as_ref(), &client.headers);
    sheet.absent("response header", expect.absent.as_ref(), &client.headers);
    sheet.bytes("response body", expect.body.as_ref(), &client.whole_body());
    sheet.fields("response trailer", expect.trailers.as_ref(), &client.trailers);
    sheet.absent("response trailer", expect.absent.as_ref(), &client.trailers);
}

fn upstream(sheet: &mut Sheet, expected: &Reached, seen: Option<&Message>) {
    match (expected, seen) {
        (Reached::None, None) | (Reached::Any, Some(_)) => {}
        (Reached::None, Some(request)) => sheet.add("upstream", "nothing", request_line(request)),
        (Reached::Any | Reached::Request(_), None) => sheet.add("upstream", "a request", "nothing"),
        (Reached::Request(expected), Some(seen)) => arrived(sheet, "upstream", expected, seen),
    }
}

fn request_line(request: &Message) -> String {
    let part = |name| bytes(request.headers.first(name).unwrap_or_default());
    format!("{} {}", part(":method"), part(":path"))
}

fn arrived(sheet: &mut Sheet, whose: &str, expected: &Upstream, seen: &Message) {
    let pseudo = [
        ("method", ":method", &expected.method),
        ("path", ":path", &expected.path),
        ("authority", ":authority", &expected.authority),
    ];
    for (what, name, expected) in pseudo {
        let seen = seen.headers.first(name).unwrap_or_default();
        sheet.bytes(&format!("{whose} {what}"), expected.as_ref(), seen);
    }
    sheet.fields(&format!("{whose} header"), expected.headers.as_ref(), &seen.headers);
    sheet.absent(&format!("{whose} header"), expected.absent.as_ref(), &seen.headers);
    sheet.bytes(&format!("{whose} body"), expected.body.as_ref(), &seen.whole_body());
    sheet.fields(&format!("{whose} trailer"), expected.trailers.as_ref(), &seen.trailers);
    sheet.absent(&format!("{whose} trailer"), expected.absent.as_ref(), &seen.trailers);
    if let Some(messages) = &expected.messages {
        let expected: Vec<&[u8]> = messages.iter().map(|message| message.0.as_slice()).collect();
        let sent = grpc_messages(seen);
        let sent: Vec<&[u8]> = sent.iter().map(Vec::as_slice).collect();
        if sent != expected {
            sheet.add(format!("{whose} messages"), values(&expected), values(&sent));
        }
    }
}

fn grpc_messages(request: &Message) -> Vec<Vec<u8>> {
    let mut frames = Frames::default();
    frames.add(&request.whole_body());
    std::iter::from_fn(|| frames.next_message().ok().flatten()).collect()
}

/// What has reached each cluster that is named.
fn clusters(sheet: &mut Sheet, expected: Option<&BTreeMap<String, Called>>, seen: &[(String, Message)]) {
    for (name, expected) in expected.into_iter().flatten() {
        let requests: Vec<_> = seen.iter().filter(|(cluster, _)| cluster == name).collect();
        let what = format!("cluster {name}");
        let lines =
            || requests.iter().map(|(_, request)| request_line(request)).collect::<Vec<_>>().join(", ");
        match expected {
            Called::None if !requests.is_empty() => sheet.add(what, "nothing", lines()),
            Called::Any if requests.is_empty() => sheet.add(what, "a request", "nothing"),
            Called::These(these) if these.len() != requests.len() => {
                let seen = if requests.is_empty() { "nothing".into() } else { lines() };
                sheet.add(what, format!("requests: {}", these.len()), seen);
            }
            Called::These(these) => {
                for (index, (expected, (_, seen))) in these.iter().zip(&requests).enumerate() {
                    arrived(sheet, &format!("{what} request {}", index + 1), expected, seen);
                }
            }
            Called::None | Called::Any => {}
        }
    }
}

fn filter_state(sheet: &mut Sheet, expect: &Expect, seen: &Exchange) {
    for (name, expected) in expect.filter_state.iter().flatten() {
        let seen = seen.filter_state.get(name);
        if expected.as_ref().map(|text| &text.0) != seen {
            let words = |value: Option<&Vec<u8>>| value.map_or("absent".into(), |value| bytes(value));
            sheet.add(
                format!("filter state {name}"),
                words(expected.as_ref().map(|text| &text.0)),
                words(seen),
            );
        }
    }
}

fn expressions(sheet: &mut Sheet, expect: &Expect, seen: &Exchange) {
    for (source, expected) in expect.expressions.iter().flatten() {
        let seen = seen.expressions.get(source);
        if expected.as_ref() != seen {
            let words = |value: Option<&String>| value.map_or("nothing".into(), |value| format!("{value:?}"));
            sheet.add(format!("expression {source}"), words(expected.as_ref()), words(seen));
        }
    }
}

fn host_calls(sheet: &mut Sheet, expected: Option<&HostCalls>, seen: &BTreeMap<String, u32>) {
    // What a module asks of WASI is no call of the ABI, and the native back end does not see it.
    let ours = seen.iter().filter(|(name, _)| name.starts_with("proxy_"));
    let sum = ours.map(|(_, count)| count).sum::<u32>();
    let list = format!("{sum} {seen:?}");
    match expected {
        Some(HostCalls::Total(total)) if *total != sum => {
            sheet.add("host calls", total.to_string(), list);
        }
        Some(HostCalls::ByName(names)) => {
            let count = |name| seen.get(name).copied().unwrap_or_default();
            for (name, expected) in names.iter().filter(|(name, expected)| count(*name) != **expected) {
                sheet.add(format!("host calls of {name}"), expected.to_string(), list.clone());
            }
        }
        Some(HostCalls::Total(_)) | None => {}
    }
}

fn after_all(after: &Placed<AfterAll>, seen: &Seen) -> Vec<Mismatch> {
    let mut sheet = Sheet { request: None, line: after.line, found: Vec::new() };
    let after = &after.value;
    clusters(&mut sheet, after.clusters.as_ref(), &seen.reached);
    for (name, expected) in after.metrics.iter().flatten() {
        metric(&mut sheet, name, *expected, seen.metrics.get(name).copied());
    }
    sheet.log(after.log.as_ref(), after.no_log.as_ref(), &seen.log);
    if let Some(part) = after.rejected.as_ref().filter(|part| !logged(seen, part)) {
        sheet.add("rejected", format!("a log line with {}", bytes(part.as_bytes())), "no such line");
    }
    sheet.found
}

fn logged(seen: &Seen, part: &str) -> bool {
    seen.log.iter().any(|line| line.message.contains(part))
}

fn metric(sheet: &mut Sheet, name: &str, expected: Metric, seen: Option<Measured>) {
    let as_seen = match expected {
        Metric::Number(number) => Measured::Number(number),
        Metric::Histogram { samples } => Measured::Samples(samples),
    };
    // In a real Envoy that serves one case after the other, what there is may be from a case before.
    let is_nothing = |measured| matches!(measured, None | Some(Measured::Number(0) | Measured::Samples(0)));
    if seen != Some(as_seen) && !(is_nothing(seen) && is_nothing(Some(as_seen))) {
        sheet.add(format!("metric {name}"), measured(Some(as_seen)), measured(seen));
    }
}

fn measured(metric: Option<Measured>) -> String {
    match metric {
        Some(Measured::Number(number)) => number.to_string(),
        Some(Measured::Samples(samples)) => format!("a histogram with {samples} samples"),
        None => "no such metric".into(),
    }
}
