//! The case file as it is written: serde types with strict keys, and the JSON Schema made from them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::around::{Called, Clusters, Grpc, Moment, Span};
use super::connections::ConnectionEntry;
use super::plugins::PluginEntry;
use super::text::Text;
use crate::exchange;
use crate::outside::Fault;

/// A file of cases.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Case file of Proxy-Wasm Kit")]
pub(super) struct CaseFile {
    /// One line on what the file covers.
    pub(super) about: String,
    /// Plugin configuration of every case that has none of its own.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Config")]
    pub(super) config: Option<Config>,
    /// VM configuration of every case that has none of its own.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Config")]
    pub(super) vm_config: Option<Config>,
    /// Root id of every case that has none of its own.
    pub(super) root_id: Option<String>,
    /// The proxy of every case that states none of its own.
    pub(super) node: Option<Node>,
    /// Traffic direction of every case that states none of its own.
    pub(super) direction: Option<Direction>,
    /// What the upstream answers where neither case nor request says otherwise.
    pub(super) upstream: Option<Answer>,
    /// The clusters that a plugin can call, by name, where a case has none of its own: what each answers to one request
    /// after the other; the last answer is repeated.
    pub(super) clusters: Option<Clusters>,
    /// The cases; each has a plugin and a VM of its own.
    #[schemars(with = "Vec<CaseEntry>")]
    pub(super) cases: Vec<Spanned<CaseEntry>>,
}

/// One case.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseEntry {
    /// What holds when the case passes, in words; unique in the file.
    pub(super) name: String,
    /// Plugin configuration; replaces that of the file.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Config")]
    pub(super) config: Option<Config>,
    /// VM configuration; replaces that of the file.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Config")]
    pub(super) vm_config: Option<Config>,
    /// The plugin's root id; empty by default.
    pub(super) root_id: Option<String>,
    /// The proxy that the plugin runs in; replaces that of the file.
    pub(super) node: Option<Node>,
    /// Traffic direction of the listener; not stated by default.
    pub(super) direction: Option<Direction>,
    /// Skip the plugin rather than answer 503 when its VM has failed; false by default. Envoy's older setting, which also
    /// lets the request through that fails the VM.
    #[serde(default)]
    pub(super) fail_open: bool,
    /// What becomes of requests when the plugin's VM has failed; closed by default.
    pub(super) failure_policy: Option<exchange::FailurePolicy>,
    /// The host functions and callbacks that the plugin may use, by their names at the ABI; all by default.
    pub(super) allowed_capabilities: Option<BTreeSet<String>>,
    /// Worker threads of the proxy. Where this stands, plugins are started as often as Envoy does; by default there is one
    /// worker and each plugin is started once.
    #[schemars(range(min = 1, max = 16))]
    pub(super) workers: Option<u8>,
    /// Several plugins, in the order in which a request passes them; what they do not state is as for the case.
    #[serde(default)]
    pub(super) plugins: Vec<PluginEntry>,
    /// Envoy's plugin setting of this name; false by default.
    #[serde(default)]
    pub(super) allow_on_headers_stop_iteration: bool,
    /// The lowest level that is logged; info by default.
    pub(super) log_level: Option<exchange::Level>,
    /// What the upstream answers; 200 without a body by default.
    pub(super) upstream: Option<Answer>,
    /// The clusters that the plugin can call; replaces those of the file.
    pub(super) clusters: Option<Clusters>,
    /// The environment variables that a module sees, by name; none by default. Natively they are those of the test.
    #[serde(default)]
    pub(super) environment: BTreeMap<String, String>,
    /// What random bytes of a module begin with: they are the same in every run; 0 by default. Only the embedded host can
    /// see to that.
    #[serde(default)]
    pub(super) seed: u64,
    /// How many bytes of a body the proxy holds back for a plugin; 1 MiB by default.
    #[schemars(range(min = 1))]
    pub(super) buffer_limit: Option<u32>,
    /// What filters before the plugin say in the dynamic metadata of each request, by their names.
    #[serde(default)]
    pub(super) dynamic_metadata: exchange::Metadata,
    /// What filters before the plugin note in the filter state of each request, by its whole names.
    #[serde(default)]
    pub(super) filter_state: BTreeMap<String, String>,
    /// The metadata of the route of all requests, by the names of the filters that it is for.
    #[serde(default)]
    pub(super) route_metadata: exchange::Metadata,
    /// The name of the route of all requests.
    #[serde(default)]
    pub(super) route_name: String,
    /// The metadata of the upstream's cluster, likewise.
    #[serde(default)]
    pub(super) cluster_metadata: exchange::Metadata,
    /// The metadata of the upstream's host, likewise.
    #[serde(default)]
    pub(super) host_metadata: exchange::Metadata,
    /// Clusters that a network filter can send a connection to, besides the usual one; all lead to the same upstream.
    #[serde(default)]
    pub(super) tcp_clusters: BTreeSet<String>,
    /// What the plugin reads as the time when it starts; a real Envoy has the clock of the machine.
    pub(super) clock: Option<Moment>,
    /// The requests, sent one after the other to the same VM.
    #[serde(default)]
    #[schemars(with = "Vec<RequestEntry>")]
    pub(super) requests: Vec<Spanned<RequestEntry>>,
    /// Connections instead of requests: the plugin is a network filter then.
    #[serde(default)]
    #[schemars(with = "Vec<ConnectionEntry>")]
    pub(super) connections: Vec<Spanned<ConnectionEntry>>,
    /// Time that passes after the last request.
    pub(super) wait: Option<Span>,
    /// What must hold once all requests are done.
    #[schemars(with = "Option<AfterAll>")]
    pub(super) expect: Option<Spanned<AfterAll>>,
    /// Where a host differs: what must hold there instead of `expect`.
    pub(super) differs: Option<Differs<AfterAll>>,
}

/// One request and what must be seen of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestEntry {
    /// Time that passes before the request is sent.
    pub(super) wait: Option<Span>,
    /// It is sent while the request before it is under way; false by default.
    #[serde(default)]
    pub(super) meanwhile: bool,
    /// The request.
    pub(super) send: Request,
    /// The worker that gets it, counted from 0; by default they take turns. A real Envoy chooses by itself.
    pub(super) worker: Option<u8>,
    /// What the upstream answers to this request; replaces the answer of the case.
    pub(super) upstream: Option<Answer>,
    /// What must be seen.
    #[schemars(with = "Option<Expect>")]
    pub(super) expect: Option<Spanned<Expect>>,
    /// Where a host differs: what must be seen there instead of `expect`.
    pub(super) differs: Option<Differs<Expect>>,
}

/// A request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// GET by default.
    pub(super) method: Option<Text>,
    /// `/` by default.
    pub(super) path: Option<Text>,
    /// `example.com` by default.
    pub(super) authority: Option<Text>,
    /// Header fields in order, names may repeat.
    #[serde(default)]
    pub(super) headers: Vec<Field>,
    /// The body in one piece.
    pub(super) body: Option<Text>,
    /// The body in pieces, instead of `body`.
    pub(super) chunks: Option<Vec<Text>>,
    /// Trailer fields.
    #[serde(default)]
    pub(super) trailers: Vec<Field>,
    /// How long the client waits for the whole response before it goes away.
    pub(super) patience: Option<Span>,
}

/// What a server answers to one request.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    /// 200 by default.
    #[schemars(range(min = 200, max = 599))]
    pub(super) status: Option<u16>,
    /// Header fields in order, names may repeat.
    #[serde(default)]
    pub(super) headers: Vec<Field>,
    /// The body in one piece.
    pub(super) body: Option<Text>,
    /// The body in pieces, instead of `body`.
    pub(super) chunks: Option<Vec<Text>>,
    /// Trailer fields.
    #[serde(default)]
    pub(super) trailers: Vec<Field>,
    /// How long the answer takes; it comes at once by default.
    pub(super) delay: Option<Span>,
    /// What goes wrong instead of an answer.
    pub(super) fault: Option<Fault>,
    /// A gRPC answer, instead of a plain one.
    pub(super) grpc: Option<Grpc>,
}

/// The proxy: what a plugin reads as `xds.node`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Node {
    /// `test-node` by default.
    pub(super) id: Option<String>,
    /// `test-cluster` by default.
    pub(super) cluster: Option<String>,
    /// Any mapping; empty by default.
    #[serde(default)]
    pub(super) metadata: serde_json::Map<String, serde_json::Value>,
}

/// The side of the proxy that a listener serves.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    Inbound,
    Outbound,
}

/// What must be seen of one request.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    /// The status that the client gets; 0 when the stream is reset before a response begins.
    #[schemars(range(min = 0, max = 599))]
    pub(super) status: Option<u16>,
    /// The response code details.
    pub(super) details: Option<String>,
    /// Response headers: for each name that stands here, exactly these values in this order.
    pub(super) headers: Option<Vec<Field>>,
    /// Names that no header and no trailer of the response must have.
    pub(super) absent: Option<Vec<String>>,
    /// The whole body of the response.
    pub(super) body: Option<Text>,
    /// Response trailers: for each name that stands here, exactly these values in this order.
    pub(super) trailers: Option<Vec<Field>>,
    /// What reached the upstream.
    pub(super) upstream: Option<Reached>,
    /// What the plugin sent to other clusters during the request, by name.
    pub(super) clusters: Option<BTreeMap<String, Called>>,
    /// Filter state at the end of the stream, by full name (`wasm.NAME`); null where there must be none.
    pub(super) filter_state: Option<BTreeMap<String, Option<Text>>>,
    /// What the access log shows of expressions in CEL, `%CEL(EXPRESSION)%`; null where one fails.
    pub(super) expressions: Option<BTreeMap<String, Option<String>>>,
    /// Each must be part of a line logged during the request.
    pub(super) log: Option<Vec<LogPattern>>,
    /// None may be part of a line logged during the request.
    pub(super) no_log: Option<Vec<LogPattern>>,
    /// Host calls of the request, all or by name; a real Envoy cannot count them.
    pub(super) host_calls: Option<HostCalls>,
}

/// What reached the upstream: a message, `any` or `none`.
#[derive(Clone, Debug)]
pub(super) enum Reached {
    None,
    Any,
    Request(Box<Upstream>),
}

/// The request that must have reached the upstream.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Upstream {
    /// `:method`.
    pub(super) method: Option<Text>,
    /// `:path`.
    pub(super) path: Option<Text>,
    /// `:authority`.
    pub(super) authority: Option<Text>,
    /// Headers: for each name that stands here, exactly these values in this order.
    pub(super) headers: Option<Vec<Field>>,
    /// Names that no header and no trailer must have.
    pub(super) absent: Option<Vec<String>>,
    /// The whole body.
    pub(super) body: Option<Text>,
    /// Trailers: for each name that stands here, exactly these values in this order.
    pub(super) trailers: Option<Vec<Field>>,
    /// Messages of gRPC, not framed.
    pub(super) messages: Option<Vec<Text>>,
}

/// Host calls of one request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number, or a mapping of host function names to numbers")]
pub(super) enum HostCalls {
    /// All of them together.
    Total(u32),
    /// By name; a name that does not stand here is not checked.
    ByName(BTreeMap<String, u32>),
}

/// What must hold once all requests are done.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AfterAll {
    /// Metrics by name, without `wasmcustom.`: what a counter grew by since before the configuration (0 also when it
    /// does not exist), what a gauge holds, `{samples: N}` of a histogram.
    pub(super) metrics: Option<BTreeMap<String, Metric>>,
    /// What the plugin sent to other clusters, by name, from its configuration on.
    pub(super) clusters: Option<BTreeMap<String, Called>>,
    /// Each must be part of a line logged at configuration or later.
    pub(super) log: Option<Vec<LogPattern>>,
    /// None may be part of any line.
    pub(super) no_log: Option<Vec<LogPattern>>,
    /// The configuration is rejected, and this is part of a line that is logged then.
    pub(super) rejected: Option<String>,
}

/// What a metric must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a whole number from 0, or {samples: NUMBER} for a histogram")]
pub(super) enum Metric {
    /// A counter or a gauge.
    Number(u64),
    /// A histogram.
    Histogram {
        /// How many values were recorded.
        samples: u64,
    },
}

/// What must hold on a host that differs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Differs<T> {
    /// In a real Envoy.
    pub(super) envoy: Option<Difference<T>>,
    /// On the native back end.
    pub(super) native: Option<Difference<T>>,
    /// On the module in the embedded host.
    pub(super) wasm: Option<Difference<T>>,
}

/// A difference and why it is right.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Difference<T> {
    /// Why this host differs.
    pub(super) reason: String,
    /// What must hold here; replaces the whole `expect` beside `differs`.
    #[schemars(with = "T")]
    pub(super) expect: Spanned<T>,
}

/// Plugin or VM configuration, as the bytes that the plugin gets.
#[derive(Clone, Debug)]
pub(super) struct Config(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Null => Err(D::Error::custom(
                "nothing stands here; write '' for an empty configuration, 'null' for a JSON null",
            )),
            serde_json::Value::String(verbatim) => Ok(Self(verbatim.into_bytes())),
            value => Ok(Self(value.to_string().into_bytes())),
        }
    }
}

impl JsonSchema for Config {
    fn schema_name() -> Cow<'static, str> {
        "Config".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A string is passed on verbatim, anything else as JSON.",
            "type": ["object", "array", "string", "number", "boolean"],
        })
    }
}

/// Header or trailer fields: `[name, value]` is one, `{name, value, times}` as many as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) times: usize,
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

/// The long spelling of a field.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LongField {
    name: Text,
    value: Text,
    /// 1 by default.
    times: Option<u16>,
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[name, value] or {name: .., value: .., times: ..}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Field, A::Error> {
        let wrong = |size, visitor: &Self| A::Error::invalid_length(size, visitor);
        let Text(name) = pair.next_element()?.ok_or_else(|| wrong(0, &self))?;
        let Text(value) = pair.next_element()?.ok_or_else(|| wrong(1, &self))?;
        match pair.next_element::<Text>()? {
            None => Ok(Field { name, value, times: 1 }),
            Some(_) => Err(wrong(3, &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field, A::Error> {
        let LongField { name, value, times } = LongField::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Field { name: name.0, value: value.0, times: times.unwrap_or(1).into() })
    }
}

impl JsonSchema for Field {
    fn schema_name() -> Cow<'static, str> {
        "Field".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = generator.subschema_for::<Text>();
        let long = generator.subschema_for::<LongField>();
        json_schema!({"oneOf": [{"type": "array", "prefixItems": [text, text], "minItems": 2, "maxItems": 2}, long]})
    }
}

impl<'de> Deserialize<'de> for Reached {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReachedVisitor)
    }
}

struct ReachedVisitor;

impl<'de> Visitor<'de> for ReachedVisitor {
    type Value = Reached;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`none`, `any`, or a mapping of what must have reached the upstream")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Reached, E> {
        match word {
            "none" => Ok(Reached::None),
            "any" => Ok(Reached::Any),
            other => Err(E::unknown_variant(other, &["none", "any"])),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Reached, A::Error> {
        Upstream::deserialize(MapAccessDeserializer::new(map))
            .map(|expected| Reached::Request(expected.into()))
    }
}

impl JsonSchema for Reached {
    fn schema_name() -> Cow<'static, str> {
        "Reached".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let request = generator.subschema_for::<Upstream>();
        json_schema!({"oneOf": [{"enum": ["none", "any"]}, request]})
    }
}

/// A part of a log line: text at any level, or `{LEVEL: text}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogPattern {
    pub(super) level: Option<exchange::Level>,
    pub(super) part: String,
}

impl<'de> Deserialize<'de> for LogPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LogVisitor)
    }
}

struct LogVisitor;

impl<'de> Visitor<'de> for LogVisitor {
    type Value = LogPattern;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("part of a log line (in quotes if it holds `: ` or is a number), or {LEVEL: part}")
    }

    fn visit_str<E: Error>(self, part: &str) -> Result<LogPattern, E> {
        Ok(LogPattern { level: None, part: part.into() })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LogPattern, A::Error> {
        let Some((level, part)) = map.next_entry::<exchange::Level, String>()? else {
            return Err(A::Error::invalid_length(0, &self));
        };
        match map.next_key::<String>()? {
            None => Ok(LogPattern { level: Some(level), part }),
            Some(_) => Err(A::Error::invalid_length(2, &self)),
        }
    }
}

impl JsonSchema for LogPattern {
    fn schema_name() -> Cow<'static, str> {
        "LogPattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let level = json_schema!({"type": "string", "minLength": 1});
        let levels: serde_json::Map<_, _> = ["trace", "debug", "info", "warn", "error", "critical"]
            .map(|name| (name.to_owned(), level.clone().to_value()))
            .into_iter()
            .collect();
        json_schema!({
            "description": "A part of a log line: text at any level, or {LEVEL: text}.",
            "oneOf": [
                {"type": "string", "minLength": 1},
                {"type": "object", "properties": levels, "additionalProperties": false,
                 "minProperties": 1, "maxProperties": 1},
            ]
        })
    }
}

/// Reads a value that may be left out, but not be null: an `Option` would take a forgotten value for an absent key.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The JSON Schema of a case file, as it stands in `docs/case.schema.json`.
pub fn schema() -> String {
    let schema = schemars::schema_for!(CaseFile);
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}
