//! Peers in the forms in which proxies of Istio send and keep them.

use super::flat::{FIELDS, Table};
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

/// `SampleIstioHeader` of Istio's own tests: all that a proxy of version 1.5 said of itself.
const SAMPLE: &str = include_str!("../../tests/vectors/sample_istio_header.txt");
/// What the same workload would say through the plugin of 1.17.
const PLUGIN: &str = include_str!("../../tests/vectors/plugin_header.txt");
/// `node.json` as a FlatBuffer by `flatc --binary node_info.fbs node.json`.
const FLAT: &[u8] = include_bytes!("../../tests/vectors/node.bin");

fn bytes(header: &str) -> Vec<u8> {
    STANDARD.decode(header.trim()).unwrap()
}

fn sample() -> Peer {
    Peer::decode(&bytes(SAMPLE)).unwrap()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn the_published_header_is_read() {
    let peer = sample();
    assert_eq!(peer.name, some("productpage-v1-84975bc778-pxz2w"));
    assert_eq!(peer.namespace, some("default"));
    assert_eq!(peer.workload_name, some("productpage-v1"));
    assert_eq!(peer.owner, some("kubernetes://apis/apps/v1/namespaces/default/deployments/productpage-v1"));
    assert_eq!((peer.cluster_id.clone(), peer.mesh_id.clone()), (some("client-cluster"), some("mesh")));
    assert_eq!(peer.istio_version, some("1.5-dev"));
    assert_eq!(peer.label("service.istio.io/canonical-revision"), Some("version-1"));
    assert_eq!(peer.labels.len(), 5);
    assert_eq!(peer.platform_metadata["gcp_location"], "us-east4-b");
    assert_eq!(peer.app_containers, ["test", "bonzai"]);
    assert_eq!(peer.instance_ips, ["10.52.0.34", "fe80::a075:11ff:fe5e:f1cd"]);
    assert_eq!(peer.identity, None);
}

#[test]
fn the_published_header_is_written_as_it_was_read() {
    let bytes = bytes(SAMPLE);
    assert_eq!(Struct::decode(&bytes).unwrap().encode(), bytes);
}

#[test]
fn a_header_of_the_plugin_is_written_as_it_was_read() {
    let bytes = bytes(PLUGIN);
    assert_eq!(Peer::decode(&bytes).unwrap().encode(), bytes);
    assert_eq!(STANDARD.encode(sample().encode()), PLUGIN.trim());
}

#[test]
fn a_header_without_anything_is_an_unknown_peer() {
    assert_eq!(Peer::decode(b"").unwrap(), Peer::default());
    let empty = Struct::decode(&Peer::default().encode()).unwrap();
    assert_eq!(
        empty.iter().map(|(key, _)| key).collect::<Vec<_>>(),
        ["APP_CONTAINERS", "INSTANCE_IPS", "LABELS", "PLATFORM_METADATA"]
    );
}

#[test]
fn values_of_another_kind_count_as_absent() {
    let mut metadata = Struct::default();
    metadata.push("NAME", Value::Number(1.0));
    metadata.push_text("LABELS", "none");
    metadata.push("OWNER", Value::List(Vec::new()));
    assert_eq!(Peer::from_struct(&metadata), Ok(Peer::default()));
}

#[test]
fn control_characters_are_refused_where_they_would_be_kept() {
    let named = |key: &str, value| {
        let mut metadata = Struct::default();
        metadata.push(key, value);
        Peer::from_struct(&metadata)
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let label = |key: &str, value: &str| Value::Struct([(key.to_owned(), text(value))].into_iter().collect());
    for (key, value) in [
        ("NAME", text("a\0b")),
        ("WORKLOAD_NAME", text("a\n")),
        ("LABELS", label("a\0", "b")),
        ("LABELS", label("a", "\u{85}")),
        ("INSTANCE_IPS", text("10.0.0.1,\r")),
    ] {
        assert_eq!(named(key, value), Err(Malformed::Text), "{key}");
    }
    named("SOMETHING_ELSE", text("a\0b")).unwrap();
}

#[test]
fn lists_and_maps_of_everything_are_refused() {
    let lists = |items: usize| {
        let mut metadata = Struct::default();
        metadata.push_text("APP_CONTAINERS", &",".repeat(items - 1));
        Peer::from_struct(&metadata)
    };
    assert_eq!(lists(MAX_ITEMS).unwrap().app_containers.len(), MAX_ITEMS);
    assert_eq!(lists(MAX_ITEMS + 1), Err(Malformed::TooLarge));
    let maps = |items: usize| {
        let labels = (0..items).map(|number| (number.to_string(), Value::Text(String::new())));
        let mut metadata = Struct::default();
        metadata.push("LABELS", Value::Struct(labels.collect()));
        Peer::from_struct(&metadata)
    };
    assert_eq!(maps(MAX_ITEMS).unwrap().labels.len(), MAX_ITEMS);
    assert_eq!(maps(MAX_ITEMS + 1), Err(Malformed::TooLarge));
}

#[test]
fn what_flatc_writes_is_read() {
    assert_eq!(Peer::from_flat(FLAT).unwrap(), sample());
    assert_eq!(Peer::from_flat(&sample().to_flat()).unwrap(), sample());
}

#[test]
fn the_schema_is_that_of_the_source_and_of_the_code() {
    let source = include_str!("node_info.fbs");
    let schema = Table::root(Peer::FLAT_SCHEMA).unwrap();
    let text =
        |table: &Table<'_>, field| String::from_utf8(table.text(field).unwrap().unwrap().to_vec()).unwrap();
    for object in schema.tables(0).unwrap() {
        let name = text(&object, 0);
        let short = name.rsplit('.').next().unwrap();
        let body = source.split(&format!("table {short} {{")).nth(1).unwrap().split('}').next().unwrap();
        let declared: Vec<&str> =
            body.split(';').filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
        let mut compiled: Vec<(usize, String)> =
            object.tables(1).unwrap().iter().map(|field| (field.short(2).unwrap(), text(field, 0))).collect();
        compiled.sort();
        let numbers: Vec<usize> = (0..declared.len()).collect();
        assert_eq!(compiled.iter().map(|(id, _)| *id).collect::<Vec<_>>(), numbers);
        assert_eq!(compiled.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), declared);
        if short == "FlatNode" {
            let code: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
            assert_eq!(declared, code);
            assert!(FIELDS.iter().map(|(_, number)| *number as usize).eq(numbers));
        }
    }
}

#[test]
fn a_flat_peer_that_is_cut_off_or_bent_is_refused_or_bounded() {
    for end in 0..FLAT.len() {
        assert!(Peer::from_flat(&FLAT[..end]).is_err() || end + 4 > FLAT.len(), "cut at {end}");
    }
    // Every offset of every word, wrong.
    for at in (0..FLAT.len()).step_by(2) {
        for wrong in [0_u16, 1, 4, 0x7fff, 0xffff] {
            let mut bent = FLAT.to_vec();
            bent[at..at + 2].copy_from_slice(&wrong.to_le_bytes());
            let _ = Peer::from_flat(&bent).map(|peer| assert!(peer.encode().len() <= 8 * FLAT.len()));
        }
    }
}

/// A list of a thousand items that all point to one text of a thousand bytes.
#[test]
fn offsets_that_meet_do_not_multiply() {
    const LIST: u32 = 36;
    const TEXT: u32 = LIST + 4 + 4000;
    let mut bytes = 28_u32.to_le_bytes().to_vec();
    let vtable = [22_u16, 8, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    bytes.extend(vtable.iter().flat_map(|half| half.to_le_bytes()));
    let mut words = vec![24, 4, 1000];
    words.extend((0..1000).map(|item| TEXT - (LIST + 4 + 4 * item)));
    words.push(1000);
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes.extend([b'x'; 1001]);
    assert_eq!(Peer::from_flat(&bytes), Err(Malformed::TooLarge));
    bytes[TEXT as usize] = 1;
    bytes[TEXT as usize + 1] = 0;
    assert_eq!(Peer::from_flat(&bytes).unwrap().app_containers, vec!["x"; 1000]);
}

fn peers() -> impl Strategy<Value = Peer> {
    let text = || prop::option::of("[a-z./:-]{0,20}");
    let map = || prop::collection::btree_map("[a-z./]{0,8}", "\\PC{0,8}", 0..5);
    let list = || prop::collection::vec("[a-z0-9:.]{1,9}", 0..4);
    ((text(), text(), text(), text(), text(), text(), text()), (text(), map(), map(), list(), list()))
        .prop_map(|((name, namespace, owner, workload_name, istio_version, mesh_id, cluster_id), rest)| {
            let (identity, labels, platform_metadata, app_containers, instance_ips) = rest;
            Peer {
                name,
                namespace,
                labels,
                owner,
                workload_name,
                platform_metadata,
                istio_version,
                mesh_id,
                app_containers,
                cluster_id,
                instance_ips,
                identity,
            }
        })
}

proptest! {
    #[test]
    fn both_forms_lose_nothing(peer in peers()) {
        prop_assert_eq!(Peer::decode(&peer.encode()).unwrap(), peer.clone());
        prop_assert_eq!(Peer::from_flat(&peer.to_flat()).unwrap(), peer);
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Peer::decode(&bytes);
        let _ = Peer::from_flat(&bytes);
    }
}
