//! What is believed and what is told, by values alone.

use super::baggage;
use super::frame::{self, Sender, Start};
use super::local::{Local, Node};
use super::peers::{Peers, Refusal, encode};
use super::plan::{Cluster, Plans, Side, Way};
use super::{Has, ID, METADATA, Own, Said};
use crate::config::Config;
use proptest::prelude::*;
use proxy_wasm_kit_mesh::message::{MAX_BYTES, Struct, Value};
use proxy_wasm_kit_mesh::wire;
use proxy_wasm_kit_mesh::{Malformed, Peer};

/// What the plugin of Istio 1.17 sends for a workload, and what Istio's tests publish.
const PLUGIN: &str = include_str!("../../../../mesh/tests/vectors/plugin_header.txt");
const PUBLISHED: &str = include_str!("../../../../mesh/tests/vectors/sample_istio_header.txt");

fn plans(config: &str) -> Plans {
    Plans::new(&serde_json::from_str::<Config>(config).unwrap())
}

fn said<'a>(headers: &'a [(&'a str, &'a [u8])]) -> Said<'a> {
    Said::in_headers(headers.iter().map(|(name, value)| (name.as_bytes(), *value)))
}

fn node() -> Node {
    let mut peers = Peers::new(1);
    let flat = peers.by_header(PLUGIN.trim().as_bytes()).unwrap();
    Node { id: "node".into(), peer: Peer::from_flat(&flat).unwrap(), region: "r".into(), zone: String::new() }
}

#[test]
fn a_header_of_the_plugin_is_read_and_said_again_byte_by_byte() {
    assert_eq!(Local::full(&node()).metadata, PLUGIN.trim());
}

#[test]
fn a_peer_is_found_again_by_all_that_it_said() {
    let mut peers = Peers::new(10);
    let plugin = peers.by_header(PLUGIN.trim().as_bytes()).unwrap();
    let published = peers.by_header(PUBLISHED.trim().as_bytes()).unwrap();
    assert_eq!(plugin, published, "both say the same of what is kept");
    let again = peers.by_header(PLUGIN.trim().as_bytes()).unwrap();
    assert!(std::rc::Rc::ptr_eq(&plugin, &again) && !std::rc::Rc::ptr_eq(&plugin, &published));
    // What is known of baggage is not known of headers.
    let text = b"k8s.pod.name=a";
    assert!(peers.by_baggage(text).unwrap().is_some());
    assert_eq!(peers.by_header(text), Err(Refusal::Base64));
}

#[test]
fn what_is_refused_says_why() {
    let mut peers = Peers::new(10);
    let long = "A".repeat(MAX_BYTES.div_ceil(3) * 4 + 1);
    for (header, refusal) in [
        ("?", Refusal::Base64),
        ("A", Refusal::Base64),
        ("AB", Refusal::Base64),
        ("AA=A", Refusal::Base64),
        ("AA==", Refusal::Message(Malformed::Form)),
        (long.as_str(), Refusal::Message(Malformed::TooLarge)),
        ("AAAA,AAAA", Refusal::Base64),
    ] {
        assert_eq!(peers.by_header(header.as_bytes()), Err(refusal), "{header:.10}");
    }
    let endless = format!("k8s.pod.name={}", "a".repeat(baggage::LONGEST));
    assert_eq!(peers.by_baggage(endless.as_bytes()), Err(Refusal::Baggage));
}

#[test]
fn a_workload_in_baggage_is_found_again_whatever_stands_beside_it() {
    let mut peers = Peers::new(10);
    let long = format!("app.name=a,x={}", "x".repeat(3 * baggage::LONGEST));
    let mut of = |text: &str| peers.by_baggage(text.as_bytes()).unwrap().unwrap();
    let known = of("app.name=a,user=7");
    for text in ["app.name=a", "user=8, app.name=a ,\u{e4}=1", &long] {
        assert!(std::rc::Rc::ptr_eq(&known, &of(text)), "{text:.20}");
    }
    assert!(!std::rc::Rc::ptr_eq(&known, &of("app.name=a,app.version=b")));
    assert_eq!(peers.by_baggage(b"user=7"), Ok(None));
}

#[test]
fn so_many_peers_are_remembered_and_no_more_of_both_kinds_together() {
    let again = |most: usize, between: &[&[u8]]| {
        let mut peers = Peers::new(most);
        let first = peers.by_header(PLUGIN.trim().as_bytes()).unwrap();
        between.iter().for_each(|baggage| assert!(peers.by_baggage(baggage).unwrap().is_some()));
        std::rc::Rc::ptr_eq(&first, &peers.by_header(PLUGIN.trim().as_bytes()).unwrap())
    };
    assert!(!again(0, &[]), "no memory at all");
    assert!(again(1, &[]) && !again(1, &[b"app.name=a"]), "a memory of one");
    assert!(again(2, &[b"app.name=a"]) && !again(2, &[b"app.name=a", b"app.name=b"]), "a memory of two");
}

#[test]
fn headers_count_once() {
    let one = said(&[(ID, b"a"), (METADATA, b"b"), ("other", b"c")]);
    assert_eq!((one.id(), one.metadata(), one.fault()), (Some(&b"a"[..]), Some(&b"b"[..]), None));
    let empty = said(&[(ID, b""), (METADATA, b"")]);
    assert_eq!((empty.id(), empty.metadata(), empty.fault()), (None, None, None));
    assert_eq!(empty.says(), Has { id: false, metadata: false });
    assert_eq!(
        (empty.has(), said(&[]).has()),
        (Has { id: true, metadata: true }, Has { id: false, metadata: false })
    );
    for headers in [&[(ID, &b"a"[..]), (ID, b"a")], &[(METADATA, &b"a"[..]), (METADATA, b"a")]] {
        let said = said(headers);
        assert!(said.says() != Has { id: false, metadata: false });
        assert!(said.fault().is_some_and(|fault| fault.ends_with("is repeated")) && said.id().is_none());
    }
    for id in [&b"\xff"[..], b"a\x01", &[b'a'; 1025]] {
        let headers = [(ID, id)];
        assert!(said(&headers).fault().is_some() && said(&headers).id().is_none());
    }
}

#[test]
fn what_this_proxy_has_written_itself_was_said_by_nobody() {
    let local =
        Local { id: "me".into(), metadata: "m".into(), baggage: "a=1,b=2".into(), ..Local::default() };
    let both = [Way::Headers, Way::Baggage];
    let own = |id, metadata, baggage| Own { headers: Has { id, metadata }, baggage };
    type Case<'a> = (&'a [(&'a str, &'a [u8])], &'a [Way], Own, Has, Option<&'a [u8]>);
    let cases: [Case<'_>; 6] = [
        (&[(ID, b"me"), (METADATA, b"m")], &both, own(true, true, false), Has::default(), None),
        (
            &[(ID, b"me"), (METADATA, b"n")],
            &both,
            own(true, false, false),
            Has { id: false, metadata: true },
            None,
        ),
        // Who is not told by headers did not get these from this proxy.
        (&[(ID, b"me")], &[Way::Baggage], Own::default(), Has { id: true, metadata: false }, None),
        (&[("baggage", b"a=1,b=2")], &both, own(false, false, true), Has::default(), None),
        (&[("baggage", b"a=1, c=3 ,b=2")], &both, own(false, false, true), Has::default(), Some(b"c=3")),
        (&[("baggage", b"a=1,c=3")], &both, Own::default(), Has::default(), Some(b"a=1,c=3")),
    ];
    for (headers, ways, own, says, baggage) in cases {
        let mut said = said(headers);
        assert_eq!(said.forget_own(&local, ways), own, "{headers:?}");
        assert_eq!((said.says(), said.baggage.as_deref()), (says, baggage), "{headers:?}");
        assert_eq!(
            (said.id(), said.metadata()),
            (said.id().filter(|_| says.id), said.metadata().filter(|_| says.metadata))
        );
    }
    let nothing = [(ID, &b""[..]), ("baggage", b"")];
    assert_eq!(said(&nothing).forget_own(&Local::default(), &both), Own::default());
}

#[test]
fn who_is_told_depends_on_the_side() {
    let original = plans("{}");
    for (side, upstream, downstream) in [
        (Side::Inbound, vec![], vec![Way::Headers]),
        (Side::Outbound, vec![Way::Headers], vec![]),
        (Side::Unspecified, vec![Way::Headers], vec![Way::Headers]),
    ] {
        let plan = original.of(side);
        assert_eq!((&plan.tell_upstream, &plan.tell_downstream), (&upstream, &downstream), "{side:?}");
        assert!(plan.strip_request && plan.strip_response);
        let edge = plans(r#"{"trust": "none"}"#);
        let plan = edge.of(side);
        assert_eq!((&plan.tell_upstream, plan.ask_downstream.len()), (&upstream, 0), "{side:?}");
        assert!(plan.tell_downstream.is_empty() && plan.strip_request && plan.strip_baggage);
        let listed = plans(r#"{"trust": "none", "upstream_propagation": [{"istio_headers": {}}]}"#);
        assert!(listed.of(side).strip_request && listed.of(side).strip_response);
    }
}

#[test]
fn inbound_the_own_workload_is_not_asked() {
    let original = plans("{}");
    assert!(original.of(Side::Inbound).ask_upstream.is_empty());
    assert_eq!(original.of(Side::Outbound).ask_upstream, [Way::Headers]);
    assert_eq!(original.of(Side::Unspecified).ask_upstream, [Way::Headers]);
    assert!(original.differ() && !plans(r#"{"upstream_discovery": []}"#).differ());
}

#[test]
fn the_nearest_statement_on_strangers_counts() {
    let external = Cluster { external: true, disabled: false };
    for (config, server, client) in [
        ("{}", false, true),
        (r#"{"skip_external_clusters": false}"#, true, true),
        (r#"{"upstream_propagation": [{"istio_headers": {}}]}"#, false, true),
        (r#"{"upstream_propagation": [{"istio_headers": {"skip_external_clusters": false}}]}"#, true, true),
        (
            r#"{"downstream_propagation": [{"istio_headers": {"skip_external_clusters": true}}]}"#,
            false,
            false,
        ),
        (
            r#"{"skip_external_clusters": false,
                "upstream_propagation": [{"baggage": {}}, {"istio_headers": {"skip_external_clusters": true}}]}"#,
            false,
            true,
        ),
    ] {
        for side in [Side::Inbound, Side::Outbound, Side::Unspecified] {
            let plans = plans(config);
            let plan = plans.of(side);
            assert_eq!((plan.knows_server(external), plan.answers(external)), (server, client), "{config}");
            assert!(plan.knows_server(Cluster::default()) && plan.answers(Cluster::default()));
        }
    }
}

#[test]
fn who_takes_no_part_is_not_told_and_with_lists_nor_is_its_client() {
    let disabled = Cluster { external: false, disabled: true };
    for (config, client) in [
        (r#"{"skip_external_clusters": false}"#, true),
        (r#"{"skip_external_clusters": false, "downstream_propagation": [{"istio_headers": {}}]}"#, false),
    ] {
        let plans = plans(config);
        let plan = plans.of(Side::Inbound);
        assert_eq!((plan.knows_server(disabled), plan.answers(disabled)), (false, client), "{config}");
    }
}

#[test]
fn the_cluster_is_asked_for_where_it_matters() {
    let asks = |config: &str| {
        let plans = plans(config);
        [Side::Inbound, Side::Outbound, Side::Unspecified].map(|side| plans.of(side).asks_for_cluster())
    };
    assert_eq!(asks("{}"), [false, true, true]);
    assert_eq!(asks(r#"{"trust": "none"}"#), [false, true, true]);
    assert_eq!(asks(r#"{"downstream_discovery": [{"istio_headers": {}}]}"#), [false; 3]);
    assert_eq!(asks(r#"{"downstream_propagation": [{"istio_headers": {}}]}"#), [true; 3]);
    assert_eq!(asks(r#"{"upstream_propagation": [{"baggage": {}}]}"#), [true; 3]);
}

#[test]
fn reduced_metadata_holds_what_the_native_filter_tells() {
    let message = Local::reduced(&node(), &[]).message;
    let keys: Vec<&str> = message.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["CLUSTER_ID", "LABELS", "NAME", "NAMESPACE", "OWNER", "REGION", "WORKLOAD_NAME"]);
    let mut somewhere = node();
    (somewhere.zone, somewhere.region) = ("z".into(), String::new());
    (somewhere.peer.identity, somewhere.peer.owner) = (Some("spiffe://a/ns/b/sa/c".into()), None);
    let message = Local::reduced(&somewhere, &[]).message;
    let keys: Vec<&str> = message.iter().map(|(key, _)| key).collect();
    let told =
        ["AVAILABILITY_ZONE", "CLUSTER_ID", "IDENTITY", "LABELS", "NAME", "NAMESPACE", "WORKLOAD_NAME"];
    assert_eq!(keys, told);
    let labels = |additional: &[String]| {
        let message = Local::reduced(&node(), additional).message;
        let labels = message.get("LABELS").and_then(|labels| labels.as_struct()).cloned().unwrap();
        labels.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    let told = ["app", "service.istio.io/canonical-name", "service.istio.io/canonical-revision", "version"];
    assert_eq!(labels(&[]), told);
    assert_eq!(
        labels(&["pod-template-hash".into()]),
        ["app", "pod-template-hash", told[1], told[2], told[3]]
    );
}

#[test]
fn who_would_not_be_believed_is_told() {
    let complaint = |change: &dyn Fn(&mut Node)| {
        let mut node = node();
        change(&mut node);
        Local::full(&node).complaint()
    };
    assert_eq!(complaint(&|_| {}), None);
    assert_eq!(Local::full(&Node::default()).complaint(), None);
    let long = complaint(&|node| node.peer.mesh_id = Some("m".repeat(MAX_BYTES)));
    assert!(long.is_some_and(|told| told.contains("reduced")));
    let many =
        |node: &mut Node| node.peer.labels = (0..300).map(|label| (label.to_string(), "".into())).collect();
    assert!(complaint(&many).is_some());
    assert!(complaint(&|node| node.id = "x".repeat(1025)).is_some_and(|told| told.contains("the id of")));
}

#[test]
fn only_owners_with_a_name_in_baggage_are_told() {
    let owned = |owner: &str| {
        let peer = Peer { workload_name: Some("w".into()), owner: Some(owner.into()), ..Peer::default() };
        baggage::kind(&peer)
    };
    let path = "kubernetes://apis/apps/v1/namespaces/ns";
    for kind in ["deployment", "cronjob", "job", "pod"] {
        assert_eq!(owned(&format!("{path}/{kind}s/w")), Some(kind));
    }
    for owner in [&format!("{path}/statefulsets/w"), &format!("{path}/deployments/other"), "", "w", "s/w"] {
        assert_eq!(owned(owner), None, "{owner}");
    }
}

#[test]
fn baggage_that_would_need_encoding_is_not_told() {
    let peer = Peer { name: Some("a b".into()), namespace: Some("n,x=y".into()), ..Peer::default() };
    assert_eq!(baggage::write(&peer, "", "z"), "cloud.availability_zone=z");
    assert_eq!(baggage::write(&Peer::default(), "", ""), "");
}

#[test]
fn baggage_of_others_stays_whatever_its_length() {
    let merged = |sent: &[u8]| baggage::merged(Some(sent), "app.name=a");
    assert_eq!(merged(b"x=1, app.name=z;p=q ,y=2,"), b"app.name=a,x=1,y=2");
    assert_eq!(merged(b""), b"app.name=a");
    assert_eq!(merged(b"x=\xff,k8s.pod.name=\xff"), b"app.name=a,x=\xff");
    let long = "x".repeat(3 * baggage::LONGEST);
    assert_eq!(merged(long.as_bytes()), format!("app.name=a,{long}").as_bytes());
    assert_eq!(baggage::merged(None, "app.name=a"), b"app.name=a");
    let stripped =
        |sent: &[u8]| baggage::stripped(sent).map(|left| String::from_utf8_lossy(&left).into_owned());
    for (sent, left) in [
        ("x=1, app.name=a;p=q,y=2", Some("x=1,y=2")),
        (" k8s.pod.name = a,", Some("")),
        ("cloud.region", Some("")),
        ("x=1, y=2,", None),
        ("", None),
    ] {
        assert_eq!(stripped(sent.as_bytes()).as_deref(), left, "{sent}");
    }
    assert_eq!(stripped(format!("k8s.pod.name=a,{long}").as_bytes()), Some(long));
}

fn peers() -> impl Strategy<Value = Peer> {
    let text = || prop::option::of("[a-z0-9-]{1,12}");
    const LABELS: [&str; 3] = ["app", "version", "service.istio.io/canonical-name"];
    let labels = prop::collection::btree_map(
        prop::sample::select(&LABELS[..]).prop_map(str::to_owned),
        "[a-z]{1,8}",
        0..4,
    );
    (text(), text(), text(), text(), labels, prop::sample::select(&["deployment", "cronjob"][..])).prop_map(
        |(name, namespace, workload_name, cluster_id, labels, kind)| {
            let owner = namespace.as_deref().zip(workload_name.as_deref());
            let owner = owner.map(|(namespace, workload)| baggage::owner(namespace, kind, workload));
            Peer { name, namespace, workload_name, cluster_id, labels, owner, ..Peer::default() }
        },
    )
}

proptest! {
    #[test]
    fn a_workload_is_the_same_after_its_baggage(peer in peers()) {
        let told = baggage::write(&peer, "", "");
        prop_assert_eq!(baggage::workloads(told.as_bytes()), told.as_bytes());
        let read = baggage::read(told.as_bytes()).unwrap_or_default();
        // The kind of a workload stands in its owner, and that needs a namespace.
        let expected = if peer.owner.is_some() { peer } else { Peer { owner: read.owner.clone(), ..peer } };
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn nobody_does_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[A-Za-z0-9+/=]{0,400}") {
        let mut peers = Peers::new(3);
        for header in [&bytes[..], text.as_bytes(), encode(&bytes).as_bytes()] {
            if let Ok(flat) = peers.by_header(header) {
                Peer::from_flat(&flat).unwrap();
            }
            let _ = peers.by_baggage(header);
            let _ = baggage::merged(Some(header), "a=b");
        }
    }
}

#[test]
fn a_struct_that_says_little_is_a_peer() {
    let mut message = Struct::default();
    message.push_text("NAME", "a");
    let flat = Peers::new(0).by_header(encode(&message.encode()).as_bytes()).unwrap();
    assert_eq!(Peer::from_flat(&flat).unwrap().name.as_deref(), Some("a"));
}

/// The frame of a connection, for the workload that Istio's tests publish.
fn frame() -> Vec<u8> {
    frame::write(&Local::full(&node()))
}

#[test]
fn a_frame_is_laid_out_as_istio_does() {
    let frame = frame();
    assert_eq!(frame[..4], [0x3d, 0x23, 0x04, 0x67]);
    assert_eq!(u32::from_be_bytes(frame[4..8].try_into().unwrap()) as usize, frame.len() - 8);
    let any = b"\x0a\x2atype.googleapis.com/google.protobuf.Struct\x12";
    assert_eq!(frame[8..8 + any.len()], any[..]);
    let sender = Sender { peer: Some(Box::new(node().peer)), id: Some("node".into()) };
    let read = frame::read(&[&frame[..], b"rest"].concat());
    assert_eq!(read, Start::Frame { length: frame.len(), sender: Ok(sender) });
}

#[test]
fn a_frame_in_pieces_is_waited_for_and_nothing_else() {
    let frame = frame();
    for end in 0..frame.len() {
        assert_eq!(frame::read(&frame[..end]), Start::Part, "{end} bytes");
    }
    assert_eq!(frame::read(b"=#\x04h"), Start::Other);
    assert_eq!(frame::read(b"GET / HTTP/1.1"), Start::Other);
    let too_long = [&frame[..4], &(frame::LONGEST as u32 + 1).to_be_bytes()].concat();
    assert_eq!(frame::read(&too_long), Start::Broken(Malformed::TooLarge));
    let longest = [&frame[..4], &(frame::LONGEST as u32).to_be_bytes()].concat();
    assert_eq!(frame::read(&longest), Start::Part);
}

#[test]
fn every_bent_frame_is_one_thing_or_another() {
    let frame = frame();
    for at in 0..frame.len() {
        for bit in [0x01, 0x80] {
            let mut bent = frame.clone();
            bent[at] ^= bit;
            if let Start::Frame { length, sender } = frame::read(&bent) {
                let peer = sender.unwrap_or_default().peer.unwrap_or_default();
                assert!(length <= bent.len() && peer.encode().len() <= MAX_BYTES);
            }
        }
    }
}

/// A frame around the bytes of a Struct.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut any = Vec::new();
    wire::put(&mut any, 1, b"type.googleapis.com/google.protobuf.Struct");
    wire::put(&mut any, 2, message);
    [&frame()[..4], &(any.len() as u32).to_be_bytes(), &any].concat()
}

#[test]
fn a_frame_may_say_little_and_is_one_whatever_it_says() {
    let said = |message: &[u8]| {
        let frame = framed(message);
        let Start::Frame { length, sender } = frame::read(&frame) else { panic!("no frame: {message:?}") };
        assert_eq!(length, frame.len());
        sender
    };
    let mut id = Struct::default();
    id.push_text(ID, "a");
    assert_eq!(said(&id.encode()), Ok(Sender { peer: None, id: Some("a".into()) }));
    assert_eq!(said(b""), Ok(Sender::default()));
    assert_eq!(said(b"\x0a\x01"), Err(Malformed::Form));
    let mut nul = Struct::default();
    nul.push_text("NAME", "a\0");
    let mut metadata = Struct::default();
    metadata.push(METADATA, Value::Struct(nul));
    assert_eq!(said(&metadata.encode()), Err(Malformed::Text));
}
