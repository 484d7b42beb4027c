//! Headers that proxies of Istio have sent: what is read from them, and that it is written again byte for byte.
//!
//! All of these are deterministic: fields in the order of their names. `SampleIstioHeader`, from before 1.5, is not; it is in
//! `tests`. Of what a TCP connection begins with nobody has published bytes, see the tests of metadata_exchange.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

struct Header {
    version: &'static str,
    id: &'static str,
    text: &'static str,
    bytes: Vec<u8>,
}

fn headers() -> Vec<Header> {
    let lines = include_str!("../../tests/vectors/published.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    let header = |line: &'static str| match line.split(' ').collect::<Vec<_>>()[..] {
        [version, id, text] => Header { version, id, text, bytes: STANDARD.decode(text).unwrap() },
        _ => panic!("{line}"),
    };
    lines.map(header).collect()
}

fn peer(version: &str) -> (Peer, Vec<u8>) {
    let found = headers().into_iter().find(|header| header.version == version).unwrap();
    (Peer::decode(&found.bytes).unwrap(), found.bytes)
}

#[test]
fn headers_are_written_as_they_were_read() {
    let headers = headers();
    assert_eq!(headers.len(), 10);
    for Header { version, bytes, text, .. } in headers {
        let again = Struct::decode(&bytes).unwrap().encode();
        assert_eq!(STANDARD.encode(&again), text, "{version}");
    }
}

#[test]
fn peers_are_who_their_ids_say() {
    for Header { version, id, bytes, .. } in headers() {
        let peer = Peer::decode(&bytes).unwrap();
        let [_, address, name, domain] = id.split('~').collect::<Vec<_>>()[..] else { panic!("{id}") };
        let namespace = peer.namespace.as_deref().unwrap();
        assert_eq!(name, format!("{}.{namespace}", peer.name.as_deref().unwrap()), "{version}");
        assert_eq!(domain, format!("{namespace}.svc.cluster.local"), "{version}");
        let ips = &peer.instance_ips;
        assert!(ips.is_empty() || ips[0] == address, "{version}: {ips:?}");
        assert!(peer.istio_version.as_deref().is_none_or(|stated| stated == version), "{version}");
        let service = peer.label("service.istio.io/canonical-name").unwrap();
        let workload = peer.workload_name.as_deref().unwrap_or(service);
        assert!(workload.starts_with(service), "{version}: {workload}");
        assert!(peer.owner.as_deref().is_none_or(|owner| owner.ends_with(workload)), "{version}");
        assert_eq!(Peer::decode(&peer.encode()).unwrap(), peer, "{version}");
        assert_eq!(Peer::from_flat(&peer.to_flat()).unwrap(), peer, "{version}");
    }
}

#[test]
fn the_plugin_would_have_sent_the_same() {
    let (peer_of_17, bytes) = peer("1.17.2");
    assert_eq!(peer_of_17.encode(), bytes);
    // Up to 1.11 it had no addresses.
    for version in ["1.10.3", "1.11.1"] {
        let (peer, bytes) = peer(version);
        let fields =
            peer.to_struct().iter().map(|(key, value)| (key.to_owned(), value.clone())).collect::<Vec<_>>();
        let without: Struct = fields.into_iter().filter(|(key, _)| key != key::INSTANCE_IPS).collect();
        assert_eq!(without.encode(), bytes, "{version}");
    }
}

#[test]
fn what_else_they_say_is_read() {
    let (gateway, _) = peer("1.20.4");
    assert_eq!(gateway.labels.len(), 11);
    assert_eq!(gateway.label("operator.istio.io/component"), Some("IngressGateways"));
    let (both, _) = peer("1.19.0");
    assert_eq!(both.instance_ips, ["10.3.2.211", "fd00:10:96::2d3"]);
    let (alone, _) = peer("1.22.1");
    assert_eq!(alone.owner.as_deref(), Some("kubernetes://apis/v1/namespaces/default/pods/curl"));
    assert_eq!((alone.app_containers.len(), alone.mesh_id.as_deref()), (1, Some("cluster.local")));
    let (reduced, _) = peer("1.23.0");
    assert_eq!((reduced.labels.len(), reduced.instance_ips.len(), reduced.istio_version), (3, 0, None));
}
