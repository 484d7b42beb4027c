//! Connections in cases: how a network filter is tested. What the two ends do, and what each of them must get.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::around::Span;
use super::check::{Mismatch, Sheet};
use super::format::{Differs, Expect, HostCalls, LogPattern};
use super::load::{Fault, expect_can_fail, expectation};
use super::text::Text;
use super::{Case, Expectation, Host, Seen};
use crate::connection::{Act, Connected, Connection};
use crate::exchange::Level;

/// One connection and what must be seen of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectionEntry {
    /// Address and port that the client says that it comes from, as in `10.0.0.2:4000`.
    #[schemars(with = "Option<String>")]
    from: Option<SocketAddr>,
    /// What the ends do, in this order. Then the client ends what it sends, and after it the upstream.
    #[serde(rename = "do")]
    acts: Vec<ActEntry>,
    /// What goes wrong with the upstream: nobody listens at its address.
    fault: Option<ConnectionFault>,
    /// What must be seen.
    #[schemars(with = "Option<ExpectConnection>")]
    expect: Option<Spanned<ExpectConnection>>,
    /// Where a host differs: what must be seen there instead of `expect`.
    differs: Option<Differs<ExpectConnection>>,
}

/// What goes wrong with the upstream of a connection.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ConnectionFault {
    /// Nobody listens.
    Refuse,
}

/// What one of the ends does.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ActEntry {
    /// The client sends these bytes.
    Client(Text),
    /// The upstream sends these bytes.
    Upstream(Text),
    /// The client will send no more.
    ClientEnds,
    /// The client is gone.
    ClientResets,
    /// The upstream will send no more.
    UpstreamEnds,
    /// The upstream is gone.
    UpstreamResets,
    /// Time passes.
    Wait(Span),
}

/// What must be seen of one connection.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectConnection {
    /// All that the client gets.
    client: Option<Text>,
    /// All that the upstream gets.
    upstream: Option<Text>,
    /// Whether the upstream is connected to at all.
    connected: Option<bool>,
    /// The cluster that it is sent to.
    cluster: Option<String>,
    /// Whether the connection comes to an end.
    closed: Option<bool>,
    /// Filter state at the end of the connection, by full name (`wasm.NAME`); null where there must be none.
    filter_state: Option<BTreeMap<String, Option<Text>>>,
    /// What the access log shows of expressions in CEL, `%CEL(EXPRESSION)%`; null where one fails.
    expressions: Option<BTreeMap<String, Option<String>>>,
    /// Each must be part of a line logged during the connection.
    log: Option<Vec<LogPattern>>,
    /// None may be part of a line logged during the connection.
    no_log: Option<Vec<LogPattern>>,
    /// Host calls of the connection, all or by name; a real Envoy cannot count them.
    host_calls: Option<HostCalls>,
}

/// One connection of a case.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    pub(super) line: u64,
    pub(super) connection: Connection,
    pub(super) expect: Expectation<ExpectConnection>,
}

/// Reads one connection.
pub(super) fn talk(entry: &Spanned<ConnectionEntry>, level: Level) -> Result<Talk, Fault> {
    let ConnectionEntry { from, acts, fault, expect, differs } = &entry.value;
    let expect = expectation(expect.as_ref(), differs.as_ref(), |expect| can_fail(expect, level))?;
    let acts = acts.iter().map(act).collect();
    let connection = Connection { acts, refused: fault.is_some(), source: *from };
    Ok(Talk { line: entry.referenced.line(), connection, expect })
}

fn act(entry: &ActEntry) -> Act {
    match entry {
        ActEntry::Client(bytes) => Act::ClientSends(bytes.0.clone()),
        ActEntry::Upstream(bytes) => Act::UpstreamSends(bytes.0.clone()),
        ActEntry::ClientEnds => Act::ClientEnds,
        ActEntry::ClientResets => Act::ClientResets,
        ActEntry::UpstreamEnds => Act::UpstreamEnds,
        ActEntry::UpstreamResets => Act::UpstreamResets,
        ActEntry::Wait(span) => Act::Wait(span.0),
    }
}

impl ExpectConnection {
    /// What is expected of requests too.
    fn common(&self) -> Expect {
        Expect {
            filter_state: self.filter_state.clone(),
            expressions: self.expressions.clone(),
            log: self.log.clone(),
            no_log: self.no_log.clone(),
            host_calls: self.host_calls.clone(),
            ..Expect::default()
        }
    }

    /// The names of the filter state that is asked for.
    pub(super) fn filter_state(&self) -> impl Iterator<Item = &str> {
        self.filter_state.iter().flatten().map(|(name, _)| name.as_str())
    }

    /// The expressions that are asked for.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &str> {
        self.expressions.iter().flatten().map(|(source, _)| source.as_str())
    }
}

fn can_fail(expect: &ExpectConnection, level: Level) -> Result<(), String> {
    let own = [expect.client.is_some(), expect.upstream.is_some()];
    let own = own.contains(&true)
        || expect.connected.is_some()
        || expect.cluster.is_some()
        || expect.closed.is_some();
    let common = expect.common();
    let nothing = common.filter_state.is_none()
        && common.expressions.is_none()
        && common.log.is_none()
        && common.no_log.is_none()
        && common.host_calls.is_none();
    if own && nothing { Ok(()) } else { expect_can_fail(&common, level) }
}

/// Everything of the connections that is not as `case` says on `host`.
pub(super) fn check(case: &Case, host: Host, seen: &Seen) -> Vec<Mismatch> {
    let mut found = Vec::new();
    for (index, talk) in case.talks.iter().enumerate() {
        let Some(expect) = talk.expect.on(host) else { continue };
        let mut sheet = Sheet::new(Some(index), expect.line);
        match seen.connections.get(index) {
            Some(seen) => compare(&mut sheet, &expect.value, host, seen),
            None => sheet.add("connection", "one", "it was not made"),
        }
        found.extend(sheet.found);
    }
    found
}

fn compare(sheet: &mut Sheet, expect: &ExpectConnection, host: Host, seen: &Connected) {
    let upstream = seen.upstream.as_deref().unwrap_or_default();
    sheet.bytes("bytes for the client", expect.client.as_ref(), &seen.client);
    sheet.bytes("bytes for the upstream", expect.upstream.as_ref(), upstream);
    for (what, expected, seen) in [
        ("connected to the upstream", expect.connected, seen.upstream.is_some()),
        ("closed", expect.closed, !seen.held_back),
    ] {
        if let Some(expected) = expected.filter(|expected| *expected != seen) {
            sheet.add(what, expected.to_string(), seen.to_string());
        }
    }
    if let Some(cluster) = expect.cluster.as_ref().filter(|cluster| Some(*cluster) != seen.cluster.as_ref()) {
        sheet.add("cluster", cluster, seen.cluster.as_deref().unwrap_or("none"));
    }
    sheet.common(&expect.common(), host, &seen.seen);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::parse;
    use std::path::Path;

    fn case(connection: &str) -> Result<Case, String> {
        let yaml = format!("about: a test\ncases: [{{name: it, connections: [{connection}]}}]");
        let mut cases = parse(Path::new("x.yaml"), &yaml, "plugin").map_err(|error| error.to_string())?;
        Ok(cases.remove(0))
    }

    /// Each expectation, once as it holds and once as it must fail, with what the report then has to say.
    #[test]
    fn each_expectation_on_a_connection_can_fail() {
        let mut connected =
            Connected { client: b"hi".into(), upstream: Some(b"hello".into()), ..Connected::default() };
        connected.cluster = Some("one".into());
        connected.seen.filter_state.insert("wasm.a".into(), b"1".into());
        connected.seen.host_calls.insert("proxy_log".into(), 2);
        let seen = Seen { connections: vec![connected], ..Seen::default() };
        let rows = [
            ("client: hi", "client: x", "bytes for the client\n    expected \"x\"\n    seen     \"hi\""),
            ("upstream: hello", "upstream: x", "bytes for the upstream"),
            ("connected: true", "connected: false", "connected to the upstream\n    expected false"),
            ("cluster: one", "cluster: two", "cluster\n    expected two\n    seen     one"),
            ("closed: true", "closed: false", "closed\n    expected false\n    seen     true"),
            ("filter_state: {wasm.a: \"1\"}", "filter_state: {wasm.a: ~}", "filter state wasm.a"),
            ("host_calls: 2", "host_calls: 1", "host calls"),
            ("no_log: [x]", "log: [x]", "log"),
        ];
        for (holds, fails, report) in rows {
            let verdict = |expect: &str| {
                let case = case(&format!("{{do: [], expect: {{{expect}}}}}")).unwrap();
                case.verdict(Host::Native, &seen)
            };
            assert_eq!(verdict(holds), Ok(()), "{holds}");
            let failure = verdict(fails).unwrap_err();
            assert!(failure.contains(report) && failure.contains("connection 1 of 1 (line 2)"), "{failure}");
        }
    }

    #[test]
    fn slips_are_named() {
        let rows = [
            ("{do: [], expect: {}}", "connections[0]: expect: is empty"),
            ("{do: []}", "expects nothing"),
            ("{do: [hangs], expect: {closed: true}}", "connections[0].do[0]"),
            ("{do: [], expect: {client: a, host_calls: {}}}", "host_calls: is empty"),
            ("{do: [], from: here, expect: {closed: true}}", "connections[0].from"),
            ("{do: [], from: '10.0.0.1:9', expect: {closed: true}}, {do: []}", "from: give it for all"),
            ("{do: [], expect: {closed: true}}], requests: [{send: {}}", "both `requests` and `connections`"),
        ];
        for (connection, message) in rows {
            let error = case(connection).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
