//! What proxies of Istio have sent is believed, and this one says the same byte for byte.
//!
//! Headers are from public pages (mesh/tests/vectors/published.txt); values of `baggage` from the tests of Istio's proxy and
//! ztunnel. No page was found that shows the first bytes of a TCP connection: frames are put together here from published
//! metadata by the layout that Istio's source has, without the code that is tested.

use super::baggage;
use super::frame::{self, Sender, Start};
use super::local::{Local, Node};
use super::peers::Peers;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proxy_wasm_kit_mesh::Peer;

const HEADERS: &str = include_str!("../../../../mesh/tests/vectors/published.txt");

/// Version, id and metadata.
fn headers() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let lines = HEADERS.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        [version, id, metadata] => (version, id, metadata),
        _ => panic!("{line}"),
    })
}

fn header(wanted: &str) -> (&'static str, &'static str) {
    headers().find_map(|(version, id, metadata)| (version == wanted).then_some((id, metadata))).unwrap()
}

/// The proxy that sent a header.
fn node(version: &str) -> Node {
    let (id, metadata) = header(version);
    let peer = Peer::decode(&STANDARD.decode(metadata).unwrap()).unwrap();
    Node { id: id.into(), peer, ..Node::default() }
}

#[test]
fn every_header_is_believed() {
    for (version, id, metadata) in headers() {
        assert!(super::is_id(id.as_bytes()), "{version}");
        let flat = Peers::new(1).by_header(metadata.as_bytes()).unwrap();
        assert_eq!(Peer::from_flat(&flat).unwrap(), node(version).peer, "{version}");
    }
}

#[test]
fn the_same_workload_says_the_same() {
    // The plugin of Istio, and its native filter since it tells less.
    assert_eq!(Local::full(&node("1.17.2")).metadata, header("1.17.2").1);
    assert_eq!(Local::reduced(&node("1.23.0"), &[]).metadata, header("1.23.0").1);
}

/// A field of protobuf that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let (mut field, mut length) = (vec![number << 3 | 2], bytes.len());
    while length > 0x7f {
        field.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend(bytes);
    field
}

/// What a proxy with this id and metadata begins a connection with.
fn frame(id: &str, metadata: &[u8]) -> Vec<u8> {
    let entry = |key: &str, value: &[u8]| field(1, &[field(1, key.as_bytes()), field(2, value)].concat());
    let entries = [
        entry("x-envoy-peer-metadata", &field(5, metadata)),
        entry("x-envoy-peer-metadata-id", &field(3, id.as_bytes())),
    ];
    let any = [field(1, b"type.googleapis.com/google.protobuf.Struct"), field(2, &entries.concat())].concat();
    [&0x3D23_0467_u32.to_be_bytes()[..], &(any.len() as u32).to_be_bytes(), &any].concat()
}

#[test]
fn frames_with_published_metadata_are_read_and_written() {
    for (version, id, metadata) in headers() {
        let frame = frame(id, &STANDARD.decode(metadata).unwrap());
        let sender = Sender { peer: Some(Box::new(node(version).peer)), id: Some(id.to_owned()) };
        let expected = Start::Frame { length: frame.len(), sender: Ok(sender) };
        assert_eq!(frame::read(&[&frame[..], b"rest"].concat()), expected, "{version}");
    }
    for (local, version) in
        [(Local::full(&node("1.17.2")), "1.17.2"), (Local::reduced(&node("1.23.0"), &[]), "1.23.0")]
    {
        let (id, metadata) = header(version);
        assert_eq!(frame::write(&local), frame(id, &STANDARD.decode(metadata).unwrap()), "{version}");
    }
}

#[test]
fn baggage_is_read_and_written_alike() {
    // As Istio's proxy writes it.
    let rest = "k8s.cluster.name=my-cluster,k8s.namespace.name=default,service.name=foo-service,\
                service.version=v1alpha3,app.name=foo-app,app.version=v1";
    for kind in ["deployment", "cronjob"] {
        let text = format!("k8s.{kind}.name=foo,{rest}");
        assert_eq!(baggage::write(&baggage::read(text.as_bytes()).unwrap(), "", ""), text);
    }
    // A pod, or the run of a job, is its own instance, which proxies of today say.
    for kind in ["pod", "job"] {
        let text = format!("k8s.{kind}.name=foo,{rest}");
        let expected = format!("{text},k8s.instance.name=foo");
        assert_eq!(baggage::write(&baggage::read(text.as_bytes()).unwrap(), "", ""), expected);
    }
}

#[test]
fn baggage_in_other_orders_is_read() {
    // As ztunnel sends it.
    let text = b"k8s.cluster.name=K1,k8s.namespace.name=NS1,k8s.deployment.name=N1,service.name=N2,service.version=V1";
    let peer = baggage::read(text).unwrap();
    let texts = [&peer.cluster_id, &peer.namespace, &peer.workload_name].map(|text| text.as_deref().unwrap());
    assert_eq!(texts, ["K1", "NS1", "N1"]);
    let label = |name: &str| peer.label(&format!("service.istio.io/canonical-{name}"));
    assert_eq!((label("name"), label("revision")), (Some("N2"), Some("V1")));
    // As the proxy of today does.
    let text = b"k8s.namespace.name=upstream-namespace,k8s.cluster.name=upstream-cluster,service.name=upstream-service,\
        service.version=v2,k8s.workload.name=upstream-workload,k8s.workload.type=pod,\
        k8s.instance.name=upstream-instance-456,app.name=upstream-app,app.version=v3.0";
    let peer = baggage::read(text).unwrap();
    assert_eq!(peer.name.as_deref(), Some("upstream-instance-456"));
    assert_eq!(peer.workload_name.as_deref(), Some("upstream-workload"));
    assert_eq!((peer.label("app"), peer.label("version")), (Some("upstream-app"), Some("v3.0")));
}
