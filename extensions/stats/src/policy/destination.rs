//! The service that a request is for: its host and its name.

use super::Rules;

/// What is known of where a request goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Route<'a> {
    /// The host that the client asked for, unless it must not count.
    pub host: &'a [u8],
    /// The name of the route.
    pub route: &'a [u8],
    /// The name of the cluster.
    pub cluster: &'a [u8],
    /// The name of the service, as the cluster's metadata say it.
    pub service_name: &'a [u8],
    /// Its host, likewise.
    pub service_host: &'a [u8],
    /// Its namespace, likewise.
    pub service_namespace: &'a [u8],
}

/// The clusters of Istio that lead to no service.
const NO_SERVICE: [&[u8]; 4] =
    [BLACK_HOLE, PASSTHROUGH, b"InboundPassthroughClusterIpv4", b"InboundPassthroughClusterIpv6"];

const BLACK_HOLE: &[u8] = b"BlackHoleCluster";
const PASSTHROUGH: &[u8] = b"PassthroughCluster";

impl<'a> Route<'a> {
    /// Whether its host is that which the client asked for.
    pub(super) fn is_called_by_client(&self, rules: Rules) -> bool {
        self.host_in_metadata(rules).is_none() || self.no_service(rules).is_some()
    }

    /// Whether a route took the request. One without a name that leads to no cluster cannot be told from none.
    pub(super) fn is_taken(&self) -> bool {
        !self.route.is_empty() || !self.cluster.is_empty()
    }

    /// The host of the service, as the cluster's metadata say it. The original looked for it only where there is a name.
    fn host_in_metadata(&self, rules: Rules) -> Option<&'a [u8]> {
        let counts = rules == Rules::Native || !self.service_name.is_empty();
        Some(self.service_host).filter(|host| counts && !host.is_empty())
    }

    /// The cluster that stands for no service.
    fn no_service(&self, rules: Rules) -> Option<&'a [u8]> {
        let cluster = match self.route {
            b"block_all" => BLACK_HOLE,
            b"allow_any" => PASSTHROUGH,
            _ => self.cluster,
        };
        let is_native_passthrough = rules == Rules::Native && cluster == b"InboundPassthroughCluster";
        (NO_SERVICE.contains(&cluster) || is_native_passthrough).then_some(cluster)
    }

    /// Host and name of the service.
    pub(super) fn service(&self, rules: Rules) -> (&'a [u8], &'a [u8]) {
        if let Some(cluster) = self.no_service(rules) {
            return (self.host, cluster);
        }
        let host = self.host_in_metadata(rules).unwrap_or(self.host);
        let is_service = !self.service_host.is_empty() || !self.service_namespace.is_empty();
        match (self.service_name.is_empty(), rules) {
            (false, _) => (host, self.service_name),
            (true, Rules::Native) if is_service => {
                (host, host.split(|byte| *byte == b'.').next().unwrap_or(host))
            }
            (true, _) => (host, host),
        }
    }
}

#[cfg(test)]
mod tests {
    //! Every way to name a destination.

    use super::*;

    fn service(route: Route<'static>, rules: Rules) -> (&'static str, &'static str) {
        let (host, name) = route.service(rules);
        (std::str::from_utf8(host).unwrap(), std::str::from_utf8(name).unwrap())
    }

    const ASKED: Route<'_> = Route {
        host: b"shop.example:80",
        route: b"",
        cluster: b"outbound|80||shop.ns.svc.cluster.local",
        service_name: b"",
        service_host: b"",
        service_namespace: b"",
    };

    #[test]
    fn a_cluster_without_metadata_is_called_as_the_client_did() {
        assert_eq!(service(ASKED, Rules::Original), ("shop.example:80", "shop.example:80"));
        assert_eq!(service(ASKED, Rules::Native), ("shop.example:80", "shop.example:80"));
        let address = Route { host: b"127.0.0.1:8080", ..ASKED };
        assert_eq!(service(address, Rules::Native), ("127.0.0.1:8080", "127.0.0.1:8080"));
    }

    #[test]
    fn metadata_name_the_service() {
        let named = Route { service_name: b"shop", service_host: b"shop.ns.svc.cluster.local", ..ASKED };
        assert_eq!(service(named, Rules::Original), ("shop.ns.svc.cluster.local", "shop"));
        let nameless = Route { service_name: b"", ..named };
        assert_eq!(service(nameless, Rules::Native), ("shop.ns.svc.cluster.local", "shop"));
        assert_eq!(service(nameless, Rules::Original), ("shop.example:80", "shop.example:80"));
        assert!(
            nameless.is_called_by_client(Rules::Original) && !nameless.is_called_by_client(Rules::Native)
        );
        let hostless = Route { service_host: b"", ..named };
        assert_eq!(service(hostless, Rules::Original), ("shop.example:80", "shop"));
    }

    #[test]
    fn where_there_is_no_service_the_cluster_names_it() {
        let named = Route { service_name: b"shop", service_host: b"shop.ns.svc.cluster.local", ..ASKED };
        for (route, cluster, name) in [
            ("block_all", "any", "BlackHoleCluster"),
            ("allow_any", "any", "PassthroughCluster"),
            ("", "BlackHoleCluster", "BlackHoleCluster"),
            ("", "PassthroughCluster", "PassthroughCluster"),
            ("", "InboundPassthroughClusterIpv4", "InboundPassthroughClusterIpv4"),
            ("", "InboundPassthroughClusterIpv6", "InboundPassthroughClusterIpv6"),
        ] {
            let route = Route { route: route.as_bytes(), cluster: cluster.as_bytes(), ..named };
            assert_eq!(service(route, Rules::Original), ("shop.example:80", name));
            assert_eq!(service(route, Rules::Native), ("shop.example:80", name));
        }
        let route = Route { cluster: b"InboundPassthroughCluster", ..named };
        assert_eq!(service(route, Rules::Native).1, "InboundPassthroughCluster");
        assert_eq!(service(route, Rules::Original).1, "shop");
    }
}
