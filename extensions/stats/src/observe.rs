//! What the proxy is asked about a request or a connection: all of it in one host call, where the proxy evaluates CEL.

use crate::expressions::{Expressions, Results};
use crate::policy::{Fact, Facts, Rules, Side};
use crate::together::Together;
use proxy_wasm_kit::{Bytes, property};
use std::cell::RefCell;

/// An attribute: as an expression that never fails, and as the path to it.
struct Asked {
    /// The side that it is asked for; `None` for all.
    side: Option<Side>,
    fact: Fact,
    expression: &'static str,
    path: &'static [&'static str],
}

/// What is asked about all requests, or all connections.
pub(crate) struct Observer {
    asked: Vec<Asked>,
    together: Option<Together>,
    /// The same and the operator's expressions, by which of those are in it.
    joint: RefCell<Option<(u64, Option<Together>)>>,
}

/// The answers, in the order of what was asked.
pub(crate) struct Answers(Vec<Answer>);

struct Answer {
    side: Option<Side>,
    fact: Fact,
    value: Bytes,
}

impl Observer {
    pub(crate) fn of_requests(side: Option<Side>, rules: Rules) -> Self {
        Self::new(OF_REQUESTS.into_iter().chain(of_both()), side, rules)
    }

    pub(crate) fn of_connections(side: Option<Side>, rules: Rules) -> Self {
        Self::new(of_both().into_iter(), side, rules)
    }

    /// Where only the listener can tell the side, it is asked for, and so is what either side needs: that is still one call.
    fn new(asked: impl Iterator<Item = Asked>, side: Option<Side>, rules: Rules) -> Self {
        let sides = side.map_or_else(|| vec![Side::Inbound, Side::Outbound], |side| vec![side]);
        let of_sides = sides.into_iter().flat_map(|side| {
            of_side(side, rules).into_iter().map(move |asked| Asked { side: Some(side), ..asked })
        });
        let asked: Vec<_> = asked.chain(side.is_none().then_some(DIRECTION)).chain(of_sides).collect();
        let together = Together::new(asked.iter().map(|asked| asked.expression));
        Self { asked, together, joint: RefCell::new(None) }
    }

    /// Asks about the stream whose callback runs, and what the operator wants to know of it.
    pub(crate) fn read(&self, expressions: &Expressions) -> (Answers, Results) {
        if let Some(values) = self.jointly(expressions) {
            let mut values = values.into_iter();
            let facts = self.answers(values.by_ref());
            return (facts, expressions.complete(values));
        }
        (self.facts(), expressions.apart())
    }

    fn facts(&self) -> Answers {
        match self.together.as_ref().and_then(Together::evaluate) {
            Some(values) => self.answers(values.into_iter()),
            None => self.read_singly(|_| true),
        }
    }

    fn answers(&self, values: impl Iterator<Item = Bytes>) -> Answers {
        Answers(self.asked.iter().zip(values).map(|(asked, value)| asked.answer(value)).collect())
    }

    /// `None` where there is nothing to join, or it fails.
    fn jointly(&self, expressions: &Expressions) -> Option<Vec<Bytes>> {
        expressions.items().next()?;
        self.together.as_ref().filter(|together| together.is_trusted())?;
        let (membership, mut joint) = (expressions.membership(), self.joint.borrow_mut());
        if joint.as_ref().is_none_or(|(of, _)| *of != membership) {
            let facts = self.asked.iter().map(|asked| asked.expression);
            *joint = Some((membership, Together::new(facts.chain(expressions.items()))));
        }
        joint.as_ref()?.1.as_ref()?.evaluate()
    }

    /// Asks about a stream of this side that was entered; expressions would not see it.
    pub(crate) fn look(&self, side: Side, wanted: impl Fn(Fact) -> bool) -> Answers {
        self.read_singly(|asked| asked.is_of(side) && wanted(asked.fact))
    }

    fn read_singly(&self, wanted: impl Fn(&Asked) -> bool) -> Answers {
        let asked = self.asked.iter().filter(|asked| wanted(asked));
        let value = |asked: &Asked| property(asked.path).ok().flatten().unwrap_or_default();
        Answers(asked.map(|asked| asked.answer(value(asked))).collect())
    }
}

impl Asked {
    fn is_of(&self, side: Side) -> bool {
        self.side.is_none_or(|of| of == side)
    }

    fn answer(&self, value: Bytes) -> Answer {
        Answer { side: self.side, fact: self.fact, value }
    }
}

impl Answers {
    /// The side that the listener is on.
    pub(crate) fn side(&self) -> Side {
        self.of(|side| side.is_none()).side()
    }

    /// What is known of a stream of this side.
    pub(crate) fn facts(&self, side: Side) -> Facts<'_> {
        self.of(|of| of.is_none_or(|of| of == side))
    }

    fn of(&self, is_wanted: impl Fn(Option<Side>) -> bool) -> Facts<'_> {
        let mut facts = Facts::default();
        let wanted = self.0.iter().filter(|answer| is_wanted(answer.side));
        wanted.for_each(|answer| facts.set(answer.fact, &answer.value));
        facts
    }
}

/// An attribute that is always there.
macro_rules! always {
    ($fact:ident: $first:ident . $second:ident) => {
        Asked {
            side: None,
            fact: Fact::$fact,
            expression: concat!(stringify!($first), ".", stringify!($second)),
            path: &[stringify!($first), stringify!($second)],
        }
    };
}

/// An attribute that may be absent, and what stands for it then.
macro_rules! perhaps {
    ($fact:ident: $first:ident . $second:ident else $absent:literal) => {
        Asked {
            side: None,
            fact: Fact::$fact,
            expression: concat!(
                "has(",
                stringify!($first),
                ".",
                stringify!($second),
                ") ? ",
                stringify!($first),
                ".",
                stringify!($second),
                " : ",
                $absent
            ),
            path: &[stringify!($first), stringify!($second)],
        }
    };
}

/// What Istio's control plane writes into the metadata of a cluster or an endpoint.
macro_rules! metadata {
    ($fact:ident: $of:literal, $has:literal, $key:literal, [$($path:literal),*]) => {
        Asked {
            side: None,
            fact: Fact::$fact,
            expression: concat!(
                "has(xds.", $of, ") && xds.", $of, " != null && has(xds.", $of, ".filter_metadata.istio) && has(xds.", $of,
                ".filter_metadata.istio.", $has, ") && has(xds.", $of, ".filter_metadata.istio.", $key,
                ") ? xds.", $of, ".filter_metadata.istio.", $key, " : ''"
            ),
            path: &["xds", $of, "filter_metadata", "istio", $($path),*],
        }
    };
}

/// What another filter may have noted.
macro_rules! noted {
    ($fact:ident: $name:literal) => {
        Asked {
            side: None,
            fact: Fact::$fact,
            expression: concat!("'", $name, "' in filter_state ? filter_state['", $name, "'] : ''"),
            path: &["filter_state", $name],
        }
    };
}

const DIRECTION: Asked = perhaps!(Direction: xds.listener_direction else "0");

const OF_REQUESTS: [Asked; 8] = [
    always!(Duration: request.duration),
    always!(RequestSize: request.total_size),
    always!(ResponseSize: response.total_size),
    perhaps!(Code: response.code else "0"),
    perhaps!(GrpcStatus: response.grpc_status else "-1"),
    perhaps!(Host: request.host else "''"),
    Asked {
        side: None,
        fact: Fact::ContentType,
        expression: "'content-type' in request.headers ? request.headers['content-type'] : ''",
        path: &["request", "headers", "content-type"],
    },
    noted!(Messages: "envoy.filters.http.grpc_stats"),
];

fn of_both() -> [Asked; 5] {
    [
        always!(Flags: response.flags),
        perhaps!(RouteName: xds.route_name else "''"),
        perhaps!(ClusterName: xds.cluster_name else "''"),
        metadata!(ServiceName: "cluster_metadata", "services", "services[0].name", ["services", "0", "name"]),
        metadata!(ServiceHost: "cluster_metadata", "services", "services[0].host", ["services", "0", "host"]),
    ]
}

fn of_side(side: Side, rules: Rules) -> Vec<Asked> {
    let endpoint = metadata!(Endpoint: "upstream_host_metadata", "workload", "workload", ["workload"]);
    let namespace = metadata!(ServiceNamespace: "cluster_metadata", "services", "services[0].namespace",
        ["services", "0", "namespace"]);
    let upstream = [
        perhaps!(SourcePrincipal: upstream.uri_san_local_certificate else "''"),
        perhaps!(DestinationPrincipal: upstream.uri_san_peer_certificate else "''"),
    ];
    let downstream = [
        perhaps!(SourcePrincipal: connection.uri_san_peer_certificate else "''"),
        perhaps!(DestinationPrincipal: connection.uri_san_local_certificate else "''"),
    ];
    let noted = [noted!(NotedPeer: "io.istio.peer_principal"), noted!(NotedSelf: "io.istio.local_principal")];
    let mtls = always!(Mtls: connection.mtls);
    match (side, rules) {
        (Side::Outbound, Rules::Original) => upstream.into_iter().chain([endpoint]).collect(),
        (Side::Outbound, Rules::Native) => upstream.into_iter().chain([endpoint, namespace]).collect(),
        (Side::Inbound, Rules::Original) => downstream.into_iter().chain([mtls]).collect(),
        (Side::Inbound, Rules::Native) => downstream.into_iter().chain(noted).collect(),
        (Side::Waypoint, Rules::Original) => downstream.into_iter().chain([mtls, endpoint]).collect(),
        (Side::Waypoint, Rules::Native) => {
            downstream.into_iter().chain(noted).chain([endpoint, namespace]).collect()
        }
    }
}
