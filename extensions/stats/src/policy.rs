//! What is reported of a request or a connection: which metrics, under which labels. No host, no SDK.

mod destination;
pub mod duration;
mod flags;
mod labels;
mod names;
mod plan;
mod series;

pub use destination::Route;
pub use labels::{NAMES, Protocol, Unsaid, Vector, Workload};
pub use names::{LONGEST_VALUE, Separators};
pub use plan::{Compile, Gives, Metric, Plan, Plans, Value};
pub use series::{Found, Handles, MOST_SHORTENED, Room, Series};

use std::borrow::Cow;

/// The bytes that a key mostly has at most.
const KEY: usize = 512;

/// A mistake in the configuration, at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The path of the value.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

fn mistake(path: impl Into<String>, message: impl Into<String>) -> Mistake {
    Mistake { path: path.into(), message: message.into() }
}

impl Mistake {
    fn within(self, place: &str) -> Self {
        Self { path: format!("{place}.{}", self.path), message: self.message }
    }
}

/// Whose rules say what a label holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Those of the Wasm plugin, up to Istio 1.17.
    Original,
    /// Those of the filter that Istio's proxies have since.
    Native,
}

/// Which side of the traffic the proxy is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Outbound,
    /// The server's.
    Inbound,
    /// Before the servers, beside none.
    Waypoint,
}

/// What is asked of the proxy about a request or a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// `request.duration`, in nanoseconds.
    Duration,
    /// `request.total_size`.
    RequestSize,
    /// `response.total_size`.
    ResponseSize,
    /// `response.flags`.
    Flags,
    /// `connection.mtls`.
    Mtls,
    /// `response.code`.
    Code,
    /// `response.grpc_status`.
    GrpcStatus,
    /// The header `content-type` of the request.
    ContentType,
    /// `request.host`.
    Host,
    /// `xds.route_name`.
    RouteName,
    /// `xds.cluster_name`.
    ClusterName,
    /// The service's name in `xds.cluster_metadata`.
    ServiceName,
    /// The service's host, likewise.
    ServiceHost,
    /// The service's namespace, likewise.
    ServiceNamespace,
    /// The client's identity.
    SourcePrincipal,
    /// The server's identity.
    DestinationPrincipal,
    /// The client's identity, as another filter has noted it.
    NotedPeer,
    /// The server's identity, likewise.
    NotedSelf,
    /// What the endpoint says of itself.
    Endpoint,
    /// How many messages a gRPC call has had so far.
    Messages,
    /// `xds.listener_direction`.
    Direction,
}

/// What the proxy answered. What it did not know is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a>([&'a [u8]; 21]);

impl<'a> Facts<'a> {
    /// Notes an answer.
    pub fn set(&mut self, fact: Fact, value: &'a [u8]) {
        if let Some(place) = self.0.get_mut(fact as usize) {
            *place = value;
        }
    }

    /// An answer that is text, as far as a label can hold it.
    pub fn text(&self, fact: Fact) -> &'a [u8] {
        let text = self.0.get(fact as usize).copied().unwrap_or_default();
        let labels: usize = if fact == Fact::Endpoint { 5 } else { 1 };
        text.get(..LONGEST_VALUE.saturating_mul(labels)).unwrap_or(text)
    }

    /// An answer that is a number.
    pub fn number(&self, fact: Fact) -> Option<i64> {
        let bytes = self.0.get(fact as usize)?;
        Some(i64::from_le_bytes((*bytes).try_into().ok()?))
    }

    /// The side that the listener is on; the server's unless it says otherwise.
    pub fn side(&self) -> Side {
        /// `OUTBOUND` of Envoy's `TrafficDirection`.
        const OUTBOUND: i64 = 2;
        if self.number(Fact::Direction) == Some(OUTBOUND) { Side::Outbound } else { Side::Inbound }
    }

    /// How many messages a gRPC call has had, from the client and from the server: written as `3,5`.
    pub fn messages(&self) -> (u64, u64) {
        let text = std::str::from_utf8(self.text(Fact::Messages)).unwrap_or_default();
        let (request, response) = text.split_once(',').unwrap_or_default();
        (request.parse().unwrap_or_default(), response.parse().unwrap_or_default())
    }
}

/// What says which labels a request has.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whose rules hold.
    pub rules: Rules,
    /// Whether the host that a client asked for names the destination, if nothing else does.
    pub host_fallback: bool,
    /// The workload beside the proxy.
    pub own: Workload,
    /// What stands around the values of labels.
    pub separators: Separators,
}

/// Those on the other sides, as far as they are known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peers<'a> {
    /// Who asks.
    pub downstream: Option<&'a Workload>,
    /// Who is asked.
    pub upstream: Option<&'a Workload>,
}

impl Policy {
    /// Which protocol a request is of.
    pub fn protocol(&self, content_type: &[u8]) -> Protocol {
        let is_grpc = match self.rules {
            Rules::Original => {
                matches!(
                    content_type,
                    b"application/grpc" | b"application/grpc+proto" | b"application/grpc+json"
                )
            }
            Rules::Native => content_type
                .strip_prefix(b"application/grpc")
                .is_some_and(|rest| matches!(rest.first(), None | Some(b'+'))),
        };
        if is_grpc { Protocol::Grpc } else { Protocol::Http }
    }

    /// What the labels of a request or a connection are made of.
    pub fn vector<'a>(
        &'a self,
        side: Side,
        protocol: Protocol,
        facts: &Facts<'a>,
        peers: Peers<'a>,
    ) -> Vector<'a> {
        let (source, destination) = match side {
            Side::Outbound => (Some(&self.own), peers.upstream),
            Side::Inbound => (peers.downstream, Some(&self.own)),
            Side::Waypoint => (peers.downstream, peers.upstream),
        };
        let route = self.route(side, protocol, facts);
        let (service, service_name) = route.service(self.rules);
        let (source_principal, destination_principal) = self.principals(side, facts, peers);
        let is_native = self.rules == Rules::Native;
        let of_peer = |at: bool, principal| if is_native && at { namespace(principal) } else { &[] };
        Vector {
            reporter: self.reporter(side),
            protocol,
            source,
            destination,
            source_namespace: of_peer(side != Side::Outbound, source_principal),
            destination_namespace: of_peer(side == Side::Outbound, destination_principal),
            source_principal,
            destination_principal,
            service,
            service_name,
            service_namespace: match side {
                Side::Outbound if is_native => Some(route.service_namespace).filter(|name| !name.is_empty()),
                Side::Waypoint if is_native => Some(route.service_namespace),
                _ => None,
            },
            flags: facts.number(Fact::Flags).unwrap_or_default(),
            security: self.security(side, facts),
            code: facts.number(Fact::Code).unwrap_or_default(),
            grpc_status: self.grpc_status(protocol, facts),
            unsaid: self.unsaid(side),
        }
    }

    /// What stands for what the client's workload does not say, and the server's.
    fn unsaid(&self, side: Side) -> [Unsaid; 2] {
        match (self.rules, side) {
            (Rules::Original, _) => [Unsaid::ORIGINAL; 2],
            (Rules::Native, Side::Outbound) => [Unsaid::OF_OWN, Unsaid::OF_PEER],
            (Rules::Native, Side::Inbound) => [Unsaid::OF_PEER, Unsaid::OF_OWN],
            (Rules::Native, Side::Waypoint) => [Unsaid::OF_PEER, Unsaid::OF_ENDPOINT],
        }
    }

    fn reporter(&self, side: Side) -> &'static str {
        match (side, self.rules) {
            (Side::Outbound, _) => "source",
            (Side::Waypoint, Rules::Native) => "waypoint",
            _ => "destination",
        }
    }

    fn route<'a>(&'a self, side: Side, protocol: Protocol, facts: &Facts<'a>) -> Route<'a> {
        let host = match (self.host_fallback && protocol != Protocol::Tcp, side) {
            (true, _) => facts.text(Fact::Host),
            (false, Side::Outbound) => b"",
            (false, Side::Waypoint) if self.rules == Rules::Native => b"",
            (false, _) => self.own.canonical_service.as_bytes(),
        };
        Route {
            host,
            route: facts.text(Fact::RouteName),
            cluster: facts.text(Fact::ClusterName),
            service_name: facts.text(Fact::ServiceName),
            service_host: facts.text(Fact::ServiceHost),
            service_namespace: facts.text(Fact::ServiceNamespace),
        }
    }

    /// Without a certificate of the server, the native filter believes what its metadata say; so does a waypoint, whose
    /// own certificate is not the server's.
    fn principals<'a>(&self, side: Side, facts: &Facts<'a>, peers: Peers<'a>) -> (&'a [u8], &'a [u8]) {
        let (source, destination) = self.proven(facts);
        let said = peers.upstream.map(|peer| peer.identity.as_bytes()).unwrap_or_default();
        let believes = match side {
            Side::Outbound => destination.is_empty(),
            Side::Waypoint => true,
            Side::Inbound => false,
        };
        (source, if believes && self.rules == Rules::Native { said } else { destination })
    }

    /// What another filter has noted counts for both sides, or for none: it knows more than the certificates of this
    /// connection, which may be a tunnel's.
    fn proven<'a>(&self, facts: &Facts<'a>) -> (&'a [u8], &'a [u8]) {
        let noted = (facts.text(Fact::NotedPeer), facts.text(Fact::NotedSelf));
        if self.rules == Rules::Native && (!noted.0.is_empty() || !noted.1.is_empty()) {
            return noted;
        }
        (facts.text(Fact::SourcePrincipal), facts.text(Fact::DestinationPrincipal))
    }

    fn security(&self, side: Side, facts: &Facts<'_>) -> &'static str {
        let (source, destination) = self.proven(facts);
        let is_mutual = match self.rules {
            Rules::Original => facts.text(Fact::Mtls) == [1],
            Rules::Native => !source.is_empty() && !destination.is_empty(),
        };
        match (side, is_mutual) {
            (Side::Outbound, _) => "",
            (_, true) => "mutual_tls",
            (_, false) => "none",
        }
    }

    fn grpc_status(&self, protocol: Protocol, facts: &Facts<'_>) -> Option<i64> {
        /// `UNKNOWN` of gRPC.
        const NONE: i64 = 2;
        let status = facts.number(Fact::GrpcStatus).filter(|status| *status >= 0);
        match (protocol, self.rules) {
            (Protocol::Grpc, Rules::Original) => Some(status.unwrap_or(NONE)),
            (Protocol::Grpc, Rules::Native) => status,
            _ => None,
        }
    }

    /// What tells a combination of labels from others: of what the labels are made, which conditions hold, and the values
    /// of the operator's expressions.
    pub fn key<'a>(
        &self,
        vector: &Vector<'_>,
        held: u64,
        expressions: impl Iterator<Item = &'a str>,
    ) -> Vec<u8> {
        let mut key = Vec::with_capacity(KEY);
        key.extend_from_slice(&held.to_le_bytes());
        key.extend_from_slice(vector.reporter.as_bytes());
        vector.key(&self.own, &mut key);
        expressions.for_each(|value| labels::part(&mut key, value.as_bytes()));
        key
    }

    /// The name of a metric's series, with these values of the standard labels.
    pub fn series<'e>(
        &self,
        metric: &Metric,
        values: &[String],
        expression: &impl Fn(usize) -> &'e str,
    ) -> String {
        self.separators.series(metric.labels(values, expression), &metric.name)
    }

    /// The name of a series for those that are too many. Shortened, it has those labels that no client chooses: what the
    /// proxy did, and the workload beside it. So errors can still be told from successes.
    pub fn rest(&self, metric: &Metric, vector: &Vector<'_>, values: &[String], room: Room) -> String {
        let of_proxy = |label: &str| {
            label == "reporter" || room == Room::Shortened && vector.is_of_proxy(label, &self.own)
        };
        let value = |(label, value): (&&str, &String)| {
            if of_proxy(label) { value.clone() } else { "other".to_owned() }
        };
        let values: Vec<_> = NAMES.iter().zip(values).map(value).collect();
        self.separators.series(metric.labels(&values, &|_| "other"), &metric.name)
    }

    /// Where the destination is called as the client did, who may call it anything: what it is called, and whether a route
    /// took the request. Routes are chosen whatever the case of the letters is, so that tells no hosts apart.
    pub fn host_of_client<'a>(
        &self,
        side: Side,
        protocol: Protocol,
        facts: &Facts<'a>,
    ) -> Option<(Cow<'a, [u8]>, bool)> {
        let is_used = self.host_fallback && protocol != Protocol::Tcp;
        let route = self.route(side, protocol, facts);
        (is_used && route.is_called_by_client(self.rules)).then(|| {
            let host = facts.text(Fact::Host);
            let is_lower = !host.iter().any(u8::is_ascii_uppercase);
            let host = if is_lower { Cow::Borrowed(host) } else { Cow::Owned(host.to_ascii_lowercase()) };
            (host, route.is_taken())
        })
    }

    /// The name of the metric that tells the version of the proxy.
    pub fn build(&self, version: &str) -> String {
        let version = if version.is_empty() { "unknown" } else { version };
        format!("component.proxy.tag.{};.istio_build", version.replace(';', "_"))
    }
}

/// The namespace in `spiffe://domain/ns/NAMESPACE/sa/account`.
fn namespace(principal: &[u8]) -> &[u8] {
    let mut parts = principal.split(|byte| *byte == b'/');
    if parts.any(|part| part == b"ns") { parts.next().unwrap_or_default() } else { &[] }
}

#[cfg(test)]
mod tests;
