//! What goes into a test and what comes out of it, whichever host runs it: plain data, no behaviour of a proxy.

use crate::outside::Cluster;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// An ordered list of header fields: names in lower case, values as bytes, repeated names kept.
///
/// Pseudo-headers (`:method`, `:path`, `:authority`, `:scheme`, `:status`) stand among them, as at the ABI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(Vec<u8>, Vec<u8>)>);

impl Headers {
    /// The first value of `name`.
    pub fn first(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// Every value of `name`, in order.
    pub fn all(&self, name: impl AsRef<[u8]>) -> impl Iterator<Item = &[u8]> {
        let of_name = move |field: &&(Vec<u8>, Vec<u8>)| field.0.eq_ignore_ascii_case(name.as_ref());
        self.0.iter().filter(of_name).map(|(_, value)| value.as_slice())
    }

    /// Appends a field; the name is put in lower case.
    pub fn add(&mut self, name: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) {
        self.0.push((name.as_ref().to_ascii_lowercase(), value.into()));
    }

    /// Removes every field called `name`.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) {
        self.0.retain(|(key, _)| !key.eq_ignore_ascii_case(name.as_ref()));
    }

    /// Removes every field called `name`, then appends one.
    pub fn set(&mut self, name: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) {
        self.remove(&name);
        self.add(name, value);
    }
}

/// A whole HTTP message: a request with its pseudo-headers, or a response with `:status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Header fields, pseudo-headers first.
    pub headers: Headers,
    /// The body, in the chunks in which it arrives. No chunk at all means that the headers end the stream. Over HTTP/1.1
    /// ([`Protocol::Http1`]) a filter is told of the body's end by an empty chunk of its own, which hosts add.
    pub body: Vec<Vec<u8>>,
    /// Trailers; empty means none are sent.
    pub trailers: Headers,
}

impl Message {
    /// A request with `:method`, `:path`, `:authority` = `example.com` and `:scheme` = `http`.
    pub fn request(method: &str, path: &str) -> Self {
        let mut message = Self::default();
        let pseudo =
            [(":authority", "example.com"), (":path", path), (":method", method), (":scheme", "http")];
        pseudo.iter().for_each(|(name, value)| message.headers.add(name, *value));
        message
    }

    /// A response with `:status`.
    pub fn response(status: u16) -> Self {
        let mut message = Self::default();
        message.headers.add(":status", status.to_string());
        message
    }

    /// Adds a header field.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.add(name, value);
        self
    }

    /// Sets the body to one chunk.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = vec![body.into()];
        self
    }

    /// Adds a trailer field.
    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl Into<Vec<u8>>) -> Self {
        self.trailers.add(name, value);
        self
    }

    /// The number in `:status`; 0 on a request.
    pub fn status(&self) -> u16 {
        let digits = self.headers.first(":status").and_then(|value| std::str::from_utf8(value).ok());
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }

    /// The body in one piece.
    pub fn whole_body(&self) -> Vec<u8> {
        self.body.concat()
    }
}

/// The side of the proxy a listener serves (`envoy.config.core.v3.TrafficDirection`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Not stated.
    #[default]
    Unspecified,
    /// Traffic towards the workload beside the proxy.
    Inbound,
    /// Traffic from the workload beside the proxy.
    Outbound,
}

/// What is known before the first request: the plugin's settings and the proxy it runs in.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Plugin name, seen in log lines and as the attribute `plugin_name`.
    pub name: String,
    /// Root id, seen as the attribute `plugin_root_id`.
    pub root_id: String,
    /// VM id, seen as the attribute `plugin_vm_id`.
    pub vm_id: String,
    /// Plugin configuration, byte for byte.
    pub configuration: Vec<u8>,
    /// VM configuration, byte for byte.
    pub vm_configuration: Vec<u8>,
    /// Skip the plugin rather than answer 503 when its VM has failed: Envoy's older setting, which also lets the request
    /// through that fails the VM.
    pub fail_open: bool,
    /// What becomes of streams when the plugin's VM has failed.
    pub failure_policy: FailurePolicy,
    /// The host functions and callbacks that the plugin may use, by their names at the ABI; all if it is none or empty.
    pub allowed_capabilities: Option<BTreeSet<String>>,
    /// Worker threads of the proxy, at least one; each has VMs of its own.
    pub workers: usize,
    /// Play the starts on the main thread, too: a plugin is then configured once for each worker and twice more, as by
    /// Envoy.
    pub rehearse: bool,
    /// Envoy's `allow_on_headers_stop_iteration`: a pause on headers still lets the body be seen.
    pub allow_on_headers_stop_iteration: bool,
    /// Node id (`xds.node.id`).
    pub node_id: String,
    /// Node cluster (`xds.node.cluster`).
    pub node_cluster: String,
    /// Node metadata (`xds.node.metadata`), an object.
    pub node_metadata: serde_json::Value,
    /// Traffic direction of the listener.
    pub direction: Direction,
    /// The lowest level that is logged.
    pub log_level: Level,
    /// Envoy's `per_connection_buffer_limit_bytes`: how much of a body a filter may hold back.
    pub buffer_limit: usize,
    /// What the plugin reads as the current time.
    pub clock: Clock,
    /// What the plugin gets as random bytes.
    pub random: Random,
    /// The environment variables that a module sees, by name; Envoy has none unless `vm_config` lists some.
    pub environment: BTreeMap<String, String>,
    /// What client and upstream speak.
    pub protocol: Protocol,
    /// The clusters that a plugin can call, by name.
    pub clusters: BTreeMap<String, Cluster>,
    /// What filters before the plugins say in the metadata of each request (the attribute `metadata`).
    pub dynamic_metadata: Metadata,
    /// What filters before the plugins note in the filter state of each request, by its whole names.
    pub filter_state: BTreeMap<String, String>,
    /// The metadata of the route of all requests (`xds.route_metadata`).
    pub route_metadata: Metadata,
    /// The name of the route of all requests (`xds.route_name`).
    pub route_name: String,
    /// The metadata of the upstream's cluster (`xds.cluster_metadata`).
    pub cluster_metadata: Metadata,
    /// The metadata of the upstream's host (`xds.upstream_host_metadata`).
    pub host_metadata: Metadata,
    /// The clusters that a network filter can send a connection to, besides the usual one. All of them lead to the same
    /// upstream.
    pub tcp_clusters: BTreeSet<String>,
    /// Foreign functions that this plugin has besides those of Envoy, by name.
    pub foreign_functions: BTreeMap<String, ForeignFunction>,
    /// Expressions in CEL that the access log shows of each stream.
    pub expressions: BTreeSet<String>,
}

/// A foreign function of whoever embeds the host: gets arguments, and answers with a result or a status.
#[derive(Clone)]
pub struct ForeignFunction(Arc<Function>);

type Function = dyn Fn(&[u8]) -> Result<Vec<u8>, u32> + Send + Sync;

impl ForeignFunction {
    /// It is called on the thread of the VM, which waits for it.
    pub fn new(function: impl Fn(&[u8]) -> Result<Vec<u8>, u32> + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    pub(crate) fn call(&self, arguments: &[u8]) -> Result<Vec<u8>, u32> {
        (self.0)(arguments)
    }
}

impl fmt::Debug for ForeignFunction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ForeignFunction")
    }
}

/// Metadata in Envoy's configuration: objects by the names of the filters that they are for.
pub type Metadata = BTreeMap<String, serde_json::Map<String, serde_json::Value>>;

impl Default for Setup {
    fn default() -> Self {
        Self {
            name: "plugin".into(),
            root_id: String::new(),
            vm_id: String::new(),
            configuration: Vec::new(),
            vm_configuration: Vec::new(),
            fail_open: false,
            failure_policy: FailurePolicy::Closed,
            allowed_capabilities: None,
            workers: 1,
            rehearse: false,
            allow_on_headers_stop_iteration: false,
            node_id: "test-node".into(),
            node_cluster: "test-cluster".into(),
            node_metadata: serde_json::json!({}),
            direction: Direction::Unspecified,
            log_level: Level::Info,
            buffer_limit: 1024 * 1024,
            clock: Clock::Real,
            random: Random::Real,
            environment: BTreeMap::new(),
            protocol: Protocol::Http1,
            clusters: BTreeMap::new(),
            dynamic_metadata: Metadata::new(),
            filter_state: BTreeMap::new(),
            route_metadata: Metadata::new(),
            route_name: String::new(),
            cluster_metadata: Metadata::new(),
            host_metadata: Metadata::new(),
            tcp_clusters: BTreeSet::new(),
            foreign_functions: BTreeMap::new(),
            expressions: BTreeSet::new(),
        }
    }
}

/// What becomes of streams when a plugin's VM has failed (Envoy's `failure_policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FailurePolicy {
    /// They are answered 503.
    #[default]
    Closed,
    /// The one that fails the VM is answered 503, later ones skip the plugin.
    Open,
    /// They are answered 503, but a later one starts the plugin again, no sooner than a second after it was last started.
    Reload,
}

impl Setup {
    /// Whether streams skip the plugin once its VM has failed.
    pub(crate) fn skips_failed(&self) -> bool {
        self.fail_open || self.failure_policy == FailurePolicy::Open
    }
}

/// The protocol of an exchange, as far as a plugin can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1: the end of a body is an empty chunk of its own.
    #[default]
    Http1,
    /// HTTP/2: the last chunk of a body ends it.
    Http2,
}

/// The clock of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// The machine's wall clock, ahead by the time that only passed for the plugin: until timers and answers were due.
    #[default]
    Real,
    /// Starts at this time, in nanoseconds since 1970, and moves only when something is due.
    Fixed(u64),
}

/// The randomness of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Random {
    /// The machine's.
    #[default]
    Real,
    /// A sequence that begins here and is the same in every run. Only the host that runs a module can see to that.
    Seed(u64),
}

/// Log levels of the ABI, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every step.
    Trace,
    /// For development.
    Debug,
    /// Normal operation.
    Info,
    /// Something an operator should look at.
    Warn,
    /// Something failed.
    Error,
    /// The VM cannot go on.
    Critical,
}

/// One line that a plugin logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its level.
    pub level: Level,
    /// The plugin's own text, without what the proxy puts before it.
    pub message: String,
}

/// All that could be seen of one request.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// What the client got; `None` when the stream ended before a response began.
    pub client: Option<Message>,
    /// Whether the proxy reset the stream: before a response (`client` is `None`) or in the middle of it.
    pub reset: bool,
    /// What reached the upstream; `None` when nothing did.
    pub upstream: Option<Message>,
    /// What the plugin sent to other clusters meanwhile, by cluster and in order.
    pub callouts: Vec<(String, Message)>,
    /// The response code details (`%RESPONSE_CODE_DETAILS%`).
    pub details: String,
    /// Filter state at the end of the stream, by its full name (`wasm.…`).
    pub filter_state: BTreeMap<String, Vec<u8>>,
    /// What the access log shows of the expressions that were asked for; those that fail are not there.
    pub expressions: BTreeMap<String, String>,
    /// Lines logged from the request's first callback to its last.
    pub log: Vec<LogLine>,
    /// Host functions called, by name, and how often; only hosts of ours can count them.
    pub host_calls: BTreeMap<String, u32>,
    /// Callbacks entered, by name, and how often; only hosts of ours can count them.
    pub callbacks: BTreeMap<String, u32>,
    /// Instructions that the guest executed; only the host that runs a module can count them.
    pub guest_instructions: Option<u64>,
    /// Bytes of the guest's linear memory; only the host that runs a module can count them.
    pub guest_memory: Option<u64>,
    /// How often the plugin made the proxy forget its route; only hosts of ours can count it.
    pub route_clears: u32,
    /// What the plugin did that the ABI forbids and the proxy does not report; only hosts of ours see it.
    pub misuse: Vec<String>,
    /// Why the plugin's VM has failed, now or earlier; only hosts of ours know it.
    pub vm_failure: Option<String>,
}
