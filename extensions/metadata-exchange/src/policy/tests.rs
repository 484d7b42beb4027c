//! What is believed and what is told, by values alone.

use super::baggage;
use super::frame::{self, Start};
use super::local::{Local, Node};
use super::peers::{Peers, Refusal, encode};
use super::plan::{Plans, Side, Way};
use super::{ID, METADATA, Said};
use crate::config::Config;
use proptest::prelude::*;
use proxy_wasm_kit_mesh::message::{MAX_BYTES, Struct};
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
    ] {
        assert_eq!(peers.by_header(header.as_bytes()), Err(refusal), "{header:.10}");
    }
    assert_eq!(peers.by_baggage(&[b'a'; baggage::LONGEST + 1]), Err(Refusal::Baggage));
}

#[test]
fn headers_count_once() {
    let one = said(&[(ID, b"a"), (METADATA, b"b"), ("other", b"c")]);
    assert_eq!((one.id(), one.metadata(), one.fault()), (Some(&b"a"[..]), Some(&b"b"[..]), None));
    let empty = said(&[(ID, b""), (METADATA, b"")]);
    assert_eq!((empty.id(), empty.metadata(), empty.fault()), (None, None, None));
    assert!(empty.has_id() && empty.has_metadata());
    for headers in [&[(ID, &b"a"[..]), (ID, b"a")], &[(METADATA, &b"a"[..]), (METADATA, b"a")]] {
        assert!(said(headers).fault().is_some());
    }
    for id in [&b"\xff"[..], b"a\x01", &[b'a'; 1025]] {
        let headers = [(ID, id)];
        assert!(said(&headers).fault().is_some() && said(&headers).id().is_none());
    }
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
fn the_nearest_statement_on_strangers_counts() {
    for (config, skips) in [
        ("{}", true),
        (r#"{"skip_external_clusters": false}"#, false),
        (r#"{"upstream_propagation": [{"istio_headers": {}}]}"#, true),
        (r#"{"upstream_propagation": [{"istio_headers": {"skip_external_clusters": false}}]}"#, false),
        (
            r#"{"skip_external_clusters": false,
                "upstream_propagation": [{"baggage": {}}, {"istio_headers": {"skip_external_clusters": true}}]}"#,
            true,
        ),
    ] {
        assert_eq!(plans(config).skip_external, skips, "{config}");
    }
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
fn baggage_of_others_stays_while_there_is_room() {
    let merged =
        |sent: &str| String::from_utf8(baggage::merged(Some(sent.as_bytes()), "app.name=a")).unwrap();
    assert_eq!(merged("x=1, app.name=z;p=q ,y=2"), "app.name=a,x=1,y=2");
    assert_eq!(merged(""), "app.name=a");
    assert_eq!(merged(&"x".repeat(baggage::LONGEST)), "app.name=a");
    assert_eq!(baggage::merged(None, "app.name=a"), b"app.name=a");
    assert_eq!(baggage::merged(Some(b"\xff"), "app.name=a"), b"app.name=a");
    for (sent, left) in
        [("x=1, app.name=a;p=q,y=2", Some("x=1,y=2")), (" k8s.pod.name = a,", Some("")), ("x=1,y=2", None)]
    {
        assert_eq!(baggage::stripped(sent.as_bytes()).as_deref(), left.map(str::as_bytes), "{sent}");
    }
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
        let read = baggage::read(baggage::write(&peer, "", "").as_bytes()).unwrap_or_default();
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
    let Start::Frame { peer, id, length } = frame::read(&[&frame[..], b"rest"].concat()) else { panic!() };
    assert_eq!((*peer, id.as_deref(), length), (node().peer, Some("node"), frame.len()));
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
            if let Start::Frame { peer, length, .. } = frame::read(&bent) {
                assert!(length <= bent.len() && peer.encode().len() <= MAX_BYTES);
            }
        }
    }
}
