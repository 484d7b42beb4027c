//! The standard labels: what each says of a request or a connection.

use super::flags;
use std::borrow::Cow;

/// Their names, in the order in which they stand in the names of metrics.
pub const NAMES: [&str; 25] = [
    "reporter",
    "source_workload",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_canonical_service",
    "source_canonical_revision",
    "source_cluster",
    "destination_workload",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
    "destination_canonical_service",
    "destination_canonical_revision",
    "destination_cluster",
    "request_protocol",
    "response_flags",
    "connection_security_policy",
    "response_code",
    "grpc_response_status",
];

/// How many of them the counters of gRPC messages have: those that are known before the end.
pub(super) const OF_MESSAGES: usize = 20;

/// How many of them the metrics of connections have.
pub(super) const OF_CONNECTIONS: usize = 23;

/// Those that say what the proxy did.
const OF_PROXY: [&str; 6] = [
    "reporter",
    "request_protocol",
    "response_flags",
    "connection_security_policy",
    "response_code",
    "grpc_response_status",
];

/// Those of a workload, behind `source_` and `destination_`.
const OF_WORKLOAD: [&str; 7] = [
    "workload",
    "workload_namespace",
    "app",
    "version",
    "canonical_service",
    "canonical_revision",
    "cluster",
];

const UNKNOWN: &str = "unknown";

/// What labels say where a workload says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsaid {
    text: &'static str,
    revision: &'static str,
    /// Whether a workload with labels, none of which names its canonical service, is called one itself.
    is_service: bool,
}

impl Unsaid {
    /// By the rules of the Wasm plugin.
    pub(super) const ORIGINAL: Self = Self { text: UNKNOWN, revision: "latest", is_service: true };
    /// By those of the native filter, of a peer.
    pub(super) const OF_PEER: Self = Self { is_service: false, ..Self::ORIGINAL };
    /// Of the endpoint behind a waypoint.
    pub(super) const OF_ENDPOINT: Self = Self { revision: UNKNOWN, ..Self::OF_PEER };
    /// Of the workload beside the proxy: what its node's metadata say, be it nothing.
    pub(super) const OF_OWN: Self = Self { text: "", revision: "", is_service: false };

    fn or(self, said: &str) -> String {
        if said.is_empty() { self.text.to_owned() } else { said.to_owned() }
    }

    fn or_bytes(self, said: &[u8]) -> String {
        self.or(&String::from_utf8_lossy(said))
    }

    fn service(self, workload: &Workload) -> String {
        let is_workload = workload.canonical_service.is_empty() && workload.has_labels && self.is_service;
        self.or(if is_workload { &workload.name } else { &workload.canonical_service })
    }

    fn revision(self, workload: &Workload) -> String {
        let said = &workload.canonical_revision;
        if said.is_empty() { self.revision.to_owned() } else { said.clone() }
    }
}

/// What is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A request.
    Http,
    /// A call of gRPC.
    Grpc,
    /// A connection.
    Tcp,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
        }
    }
}

/// Who stands on one side. What is empty is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// What it is an instance of.
    pub name: String,
    /// Where it runs.
    pub namespace: String,
    /// The label `app`.
    pub app: String,
    /// The label `version`.
    pub version: String,
    /// The label `service.istio.io/canonical-name`.
    pub canonical_service: String,
    /// The label `service.istio.io/canonical-revision`.
    pub canonical_revision: String,
    /// The Kubernetes cluster.
    pub cluster: String,
    /// The SPIFFE identity that it claims.
    pub identity: String,
    /// Whether it has labels. The workload beside the proxy and an endpoint count as if they had some, as in the original.
    pub has_labels: bool,
}

impl Workload {
    /// What an endpoint says of itself: `workload;namespace;service;revision;cluster`. `None` with fewer parts.
    pub fn of_endpoint(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let mut parts = text.split(';').map(str::to_owned);
        let mut next = || parts.next();
        let (name, namespace, canonical_service) = (next()?, next()?, next()?);
        let (canonical_revision, cluster) = (next()?, next()?);
        let has_labels = true;
        Some(Self {
            name,
            namespace,
            canonical_service,
            canonical_revision,
            cluster,
            has_labels,
            ..Self::default()
        })
    }

    /// All that is known, to be changed.
    pub fn parts_mut(&mut self) -> [&mut String; 8] {
        [
            &mut self.name,
            &mut self.namespace,
            &mut self.app,
            &mut self.version,
            &mut self.canonical_service,
            &mut self.canonical_revision,
            &mut self.cluster,
            &mut self.identity,
        ]
    }

    fn parts(&self) -> [&str; 8] {
        [
            &self.name,
            &self.namespace,
            &self.app,
            &self.version,
            &self.canonical_service,
            &self.canonical_revision,
            &self.cluster,
            &self.identity,
        ]
    }
}

/// All that the labels of one request or connection are made of. What is empty is not known.
#[derive(Clone, Copy, Debug)]
pub struct Vector<'a> {
    /// Which side reports.
    pub reporter: &'static str,
    /// What is reported.
    pub protocol: Protocol,
    /// The client's side; `None` where it is not known.
    pub source: Option<&'a Workload>,
    /// The server's side.
    pub destination: Option<&'a Workload>,
    /// Where the client runs, if its certificate says so and not its metadata.
    pub source_namespace: &'a [u8],
    /// Where the server runs, likewise.
    pub destination_namespace: &'a [u8],
    /// Whose certificate the client has.
    pub source_principal: &'a [u8],
    /// Whose certificate the server has.
    pub destination_principal: &'a [u8],
    /// The host of the service.
    pub service: &'a [u8],
    /// Its name.
    pub service_name: &'a [u8],
    /// Its namespace, where it is not that of the server; a waypoint's may be unknown.
    pub service_namespace: Option<&'a [u8]>,
    /// What the proxy did.
    pub flags: i64,
    /// `mutual_tls`, `none`, or nothing.
    pub security: &'static str,
    /// The status of the response, 0 for none.
    pub code: i64,
    /// The status of a gRPC call.
    pub grpc_status: Option<i64>,
    /// What stands for what the client's workload does not say, and the server's.
    pub unsaid: [Unsaid; 2],
}

impl Vector<'_> {
    /// Writes what tells it from others of the same plugin. `own` is the same for all of them. What is of no fixed length
    /// begins with it, so that nothing can reach into the next.
    pub(super) fn key(&self, own: &Workload, key: &mut Vec<u8>) {
        for side in [self.source, self.destination] {
            match side {
                None => key.push(0),
                Some(workload) if std::ptr::eq(workload, own) => key.push(1),
                Some(workload) => {
                    key.push(if workload.has_labels { 3 } else { 2 });
                    workload.parts().iter().for_each(|text| part(key, text.as_bytes()));
                }
            }
        }
        for text in [
            self.source_namespace,
            self.destination_namespace,
            self.source_principal,
            self.destination_principal,
            self.service,
            self.service_name,
            self.service_namespace.unwrap_or_default(),
        ] {
            part(key, text);
        }
        key.push(self.protocol as u8);
        key.push(self.security.as_bytes().first().copied().unwrap_or_default());
        for number in [self.flags, self.code, self.grpc_status.unwrap_or(-1)] {
            key.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// Whether nobody but the proxy says what a label holds. `own` is the workload beside it.
    pub(super) fn is_of_proxy(&self, label: &str, own: &Workload) -> bool {
        let is_own = |side: Option<&Workload>| side.is_some_and(|side| std::ptr::eq(side, own));
        match label.split_once('_') {
            _ if OF_PROXY.contains(&label) => true,
            Some(("source", of)) => is_own(self.source) && OF_WORKLOAD.contains(&of),
            Some(("destination", of)) => is_own(self.destination) && OF_WORKLOAD.contains(&of),
            _ => false,
        }
    }

    /// The values, in the order of [`NAMES`].
    pub fn values(&self) -> [String; 25] {
        let nobody = Workload::default();
        let (source, destination) = (self.source.unwrap_or(&nobody), self.destination.unwrap_or(&nobody));
        let [of_source, of_destination] = self.unsaid;
        let destination_namespace = either(self.destination_namespace, &destination.namespace);
        let service_namespace =
            self.service_namespace.map_or_else(|| of_destination.or(&destination_namespace), text);
        [
            self.reporter.to_owned(),
            of_source.or(&source.name),
            of_source.or(&either(self.source_namespace, &source.namespace)),
            text(self.source_principal),
            of_source.or(&source.app),
            of_source.or(&source.version),
            of_source.service(source),
            of_source.revision(source),
            of_source.or(&source.cluster),
            of_destination.or(&destination.name),
            of_destination.or(&destination_namespace),
            text(self.destination_principal),
            of_destination.or(&destination.app),
            of_destination.or(&destination.version),
            of_destination.or_bytes(self.service),
            of_destination.or_bytes(self.service_name),
            service_namespace,
            of_destination.service(destination),
            of_destination.revision(destination),
            of_destination.or(&destination.cluster),
            self.protocol.name().to_owned(),
            flags::short(self.flags),
            known(self.security),
            self.code.to_string(),
            self.grpc_status.map(|status| status.to_string()).unwrap_or_default(),
        ]
    }
}

/// Bytes behind their length, which mostly takes one.
pub(super) fn part(key: &mut Vec<u8>, bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(length) if length < u8::MAX => key.push(length),
        _ => {
            key.push(u8::MAX);
            key.extend_from_slice(&bytes.len().to_le_bytes());
        }
    }
    key.extend_from_slice(bytes);
}

fn known(text: &str) -> String {
    if text.is_empty() { UNKNOWN.to_owned() } else { text.to_owned() }
}

fn text(bytes: &[u8]) -> String {
    known(&String::from_utf8_lossy(bytes))
}

fn either<'a>(bytes: &'a [u8], other: &'a str) -> Cow<'a, str> {
    if bytes.is_empty() { Cow::Borrowed(other) } else { String::from_utf8_lossy(bytes) }
}
