//! Who is asked and who is told, by the configuration and the side of the workload that a listener serves.

use crate::config::{Config, Direction, IstioHeaders, Method, Trust};

/// The side of the workload that a listener serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Not stated, as in a gateway of one's own: both at once.
    #[default]
    Unspecified,
    /// From others to the workload.
    Inbound,
    /// From the workload to others.
    Outbound,
}

/// A way in which a peer tells who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Headers of metadata exchange.
    Headers,
    /// The header `baggage`.
    Baggage,
}

/// What is done on a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// How the client is known, in this order.
    pub ask_downstream: Vec<Way>,
    /// How the server is known, in this order.
    pub ask_upstream: Vec<Way>,
    /// How the client is told.
    pub tell_downstream: Vec<Way>,
    /// How the server is told.
    pub tell_upstream: Vec<Way>,
    /// Whether metadata in the headers of a request ends here.
    pub strip_request: bool,
    /// Whether metadata in the headers of a response ends here.
    pub strip_response: bool,
    /// Whether workloads in the header `baggage` end here, in both directions.
    pub strip_baggage: bool,
}

/// The plans for all sides.
#[derive(Debug)]
pub struct Plans {
    unspecified: Plan,
    inbound: Plan,
    outbound: Plan,
    /// Whether clusters outside of the mesh are told nothing.
    pub skip_external: bool,
    /// What the configuration asks for and a module cannot do.
    pub warnings: Vec<String>,
}

impl Plans {
    /// Decides.
    pub fn new(config: &Config) -> Self {
        let plan = |side| if has_lists(config) { listed(config) } else { original(side) };
        let plan = |side| restricted(plan(side), config.trust);
        Self {
            unspecified: plan(Side::Unspecified),
            inbound: plan(Side::Inbound),
            outbound: plan(Side::Outbound),
            skip_external: skips_external(config),
            warnings: warnings(config),
        }
    }

    /// The plan for one side.
    pub fn of(&self, side: Side) -> &Plan {
        match side {
            Side::Unspecified => &self.unspecified,
            Side::Inbound => &self.inbound,
            Side::Outbound => &self.outbound,
        }
    }

    /// Whether any server is ever told anything.
    pub fn tells_upstream(&self) -> bool {
        [&self.unspecified, &self.inbound, &self.outbound].iter().any(|plan| !plan.tell_upstream.is_empty())
    }
}

/// The side, where the configuration states it.
pub fn stated(config: &Config) -> Option<Side> {
    config.direction.map(|direction| match direction {
        Direction::Inbound => Side::Inbound,
        Direction::Outbound => Side::Outbound,
    })
}

/// Whether the configuration says how, as that of the native filter does.
pub fn has_lists(config: &Config) -> bool {
    lists(config).iter().any(|(_, list)| list.is_some())
}

fn lists(config: &Config) -> [(&'static str, &Option<Vec<Method>>); 4] {
    [
        ("downstream_discovery", &config.downstream_discovery),
        ("upstream_discovery", &config.upstream_discovery),
        ("downstream_propagation", &config.downstream_propagation),
        ("upstream_propagation", &config.upstream_propagation),
    ]
}

/// What the original does: it tells neither the own workload nor whoever asked it.
fn original(side: Side) -> Plan {
    let unless = |other| if side == other { Vec::new() } else { vec![Way::Headers] };
    Plan {
        ask_downstream: vec![Way::Headers],
        ask_upstream: vec![Way::Headers],
        tell_upstream: unless(Side::Inbound),
        tell_downstream: unless(Side::Outbound),
        strip_request: true,
        strip_response: true,
        strip_baggage: false,
    }
}

fn listed(config: &Config) -> Plan {
    let (ask_downstream, ask_upstream) =
        (ways(&config.downstream_discovery), ways(&config.upstream_discovery));
    Plan {
        strip_request: ask_downstream.contains(&Way::Headers),
        strip_response: ask_upstream.contains(&Way::Headers),
        strip_baggage: false,
        ask_downstream,
        ask_upstream,
        tell_downstream: ways(&config.downstream_propagation),
        tell_upstream: ways(&config.upstream_propagation),
    }
}

fn restricted(plan: Plan, trust: Trust) -> Plan {
    match trust {
        Trust::Mesh => plan,
        Trust::None => Plan {
            ask_downstream: Vec::new(),
            tell_downstream: Vec::new(),
            strip_request: true,
            strip_response: true,
            strip_baggage: true,
            ..plan
        },
    }
}

fn ways(list: &Option<Vec<Method>>) -> Vec<Way> {
    list.iter().flatten().filter_map(way).collect()
}

fn way(method: &Method) -> Option<Way> {
    let headers = method.istio_headers.as_ref().map(|_| Way::Headers);
    headers.or_else(|| method.baggage.map(|_| Way::Baggage))
}

/// The nearest statement counts. Without one nothing is told to strangers.
fn skips_external(config: &Config) -> bool {
    let stated = |method: &Method| method.istio_headers.as_ref().and_then(skips);
    let nearest = config.upstream_propagation.iter().flatten().find_map(stated);
    nearest.or(config.skip_external_clusters).unwrap_or(true)
}

fn skips(headers: &IstioHeaders) -> Option<bool> {
    headers.skip_external_clusters
}

fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, list) in lists(config) {
        for (place, method) in list.iter().flatten().enumerate() {
            warnings.extend(warning(method).map(|warning| format!("{name}[{place}]: {warning}")));
        }
    }
    if config.shared_with_upstream == Some(true) {
        warnings.push(
            "shared_with_upstream: a module cannot share filter state with upstream connections".into(),
        );
    }
    if config.protocol.is_some() {
        warnings.push(
            "protocol: a module does not see which protocol was negotiated; put the filter into filter chains \
             that match it (filter_chain_match.application_protocols)"
                .into(),
        );
    }
    warnings
}

fn warning(method: &Method) -> Option<String> {
    let stated = [
        method.istio_headers.is_some(),
        method.baggage.is_some(),
        method.workload_discovery.is_some(),
        method.upstream_filter_state.is_some(),
    ];
    match stated.iter().filter(|stated| **stated).count() {
        1 if method.workload_discovery.is_some() => {
            Some("workload_discovery is skipped: a module has no table of workloads".into())
        }
        1 if method.upstream_filter_state.is_some() => Some(
            "upstream_filter_state is skipped: a module does not see that of the upstream connection".into(),
        ),
        1 => None,
        count => Some(format!("{count} methods; name exactly one of istio_headers and baggage")),
    }
}
