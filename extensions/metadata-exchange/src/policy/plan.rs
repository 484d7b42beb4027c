//! Who is asked and who is told, by the configuration and the side of the workload that a listener serves.

use crate::config::{Config, Direction, Method, Trust};

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

/// What the proxy's configuration says of the cluster that a stream goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// It takes no part, whatever the plugin's configuration says: `disable_mx`.
    pub disabled: bool,
    /// It is outside of the mesh.
    pub external: bool,
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
    /// Whether all of this ends here where it stands in trailers, in both directions.
    pub strip_trailers: bool,
    /// Servers of which clusters are not told, and not believed.
    skip_upstream: Skip,
    /// Of whose answers the client is not told.
    skip_downstream: Skip,
}

/// Which clusters are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Skip {
    #[default]
    None,
    /// Those that take no part.
    Disabled,
    /// Those, and all outside of the mesh.
    External,
}

impl Skip {
    fn skips(self, cluster: Cluster) -> bool {
        cluster.disabled && self >= Self::Disabled || cluster.external && self == Self::External
    }
}

impl Plan {
    /// Whether the server is told, and believed.
    pub fn knows_server(&self, cluster: Cluster) -> bool {
        !self.skip_upstream.skips(cluster)
    }

    /// Whether the client is told.
    pub fn answers(&self, cluster: Cluster) -> bool {
        !self.skip_downstream.skips(cluster)
    }

    /// Whether what is done depends on the cluster.
    pub fn asks_for_cluster(&self) -> bool {
        let server = !self.tell_upstream.is_empty() || !self.ask_upstream.is_empty();
        server || !self.tell_downstream.is_empty() && self.skip_downstream != Skip::None
    }
}

/// The plans for all sides.
#[derive(Debug)]
pub struct Plans {
    unspecified: Plan,
    inbound: Plan,
    outbound: Plan,
    /// What the configuration asks for and a module cannot do.
    pub warnings: Vec<String>,
}

impl Plans {
    /// Decides.
    pub fn new(config: &Config) -> Self {
        let plan = |side| if has_lists(config) { listed(config) } else { original(config, side) };
        let plan = |side| restricted(plan(side), config.trust);
        Self {
            unspecified: plan(Side::Unspecified),
            inbound: plan(Side::Inbound),
            outbound: plan(Side::Outbound),
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

    /// Whether the side makes a difference.
    pub fn differ(&self) -> bool {
        self.inbound != self.outbound || self.inbound != self.unspecified
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

/// What the original does: it tells neither the own workload nor whoever asked it. What the own workload says of itself
/// is nothing that its proxy did not know.
fn original(config: &Config, side: Side) -> Plan {
    let unless = |other| if side == other { Vec::new() } else { vec![Way::Headers] };
    Plan {
        ask_downstream: vec![Way::Headers],
        ask_upstream: unless(Side::Inbound),
        tell_upstream: unless(Side::Inbound),
        tell_downstream: unless(Side::Outbound),
        strip_request: true,
        strip_response: true,
        strip_baggage: false,
        strip_trailers: false,
        skip_upstream: skip(config.skip_external_clusters.unwrap_or(true)),
        skip_downstream: Skip::None,
    }
}

/// What the lists say. As with the native filter, each statement of `istio_headers` is about that list.
fn listed(config: &Config) -> Plan {
    let (ask_downstream, ask_upstream) =
        (ways(&config.downstream_discovery), ways(&config.upstream_discovery));
    let upstream = skips(&config.upstream_propagation).or(config.skip_external_clusters);
    Plan {
        strip_request: ask_downstream.contains(&Way::Headers),
        strip_response: ask_upstream.contains(&Way::Headers),
        strip_baggage: false,
        strip_trailers: false,
        ask_downstream,
        ask_upstream,
        tell_downstream: ways(&config.downstream_propagation),
        tell_upstream: ways(&config.upstream_propagation),
        skip_upstream: skip(upstream.unwrap_or(true)),
        skip_downstream: skip(skips(&config.downstream_propagation).unwrap_or(false)),
    }
}

fn skip(external: bool) -> Skip {
    if external { Skip::External } else { Skip::Disabled }
}

fn skips(list: &Option<Vec<Method>>) -> Option<bool> {
    list.iter().flatten().find_map(|method| method.istio_headers.as_ref()?.skip_external_clusters)
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
            strip_trailers: true,
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
