//! What many peers cost metadata_exchange: guest instructions for each request, and memory, over 1 to 100,000 of them. A
//! measurement and no test, since it takes the time; its figures are the same in every run. docs/mesh-costs.md shows them.
//!
//! `scripts/build`, then `cargo bench -p proxy-wasm-kit-tests --bench peers`.

use base64::prelude::{BASE64_STANDARD, Engine};
use proxy_wasm_kit_host::exchange::{Direction, Message, Setup};
use proxy_wasm_kit_host::wasm::{Host, Limits, Module};
use proxy_wasm_kit_mesh::Peer;
use proxy_wasm_kit_tests::modules;

fn main() {
    let bytes = std::fs::read(modules().join("metadata_exchange.wasm")).expect("scripts/build has built it");
    let module = Module::load(&bytes[..], &Limits::default()).expect("it is a module");
    println!("| peers | remembered | instructions, unseen | instructions, seen before | memory |");
    println!("|---|---|---|---|---|");
    for remembered in [500, 100_000] {
        for peers in [1, 10, 100, 1_000, 10_000, 100_000] {
            measure(&module, peers, remembered);
        }
    }
}

/// Lets each peer send a request, and then each once more.
fn measure(module: &Module, peers: u32, remembered: u32) {
    let configuration = format!(r#"{{"max_peer_cache_size": {remembered}}}"#).into_bytes();
    let setup = Setup { configuration, direction: Direction::Inbound, ..Setup::default() };
    let host = Host::start(module, setup).expect("it starts");
    let mut memory = 0;
    let mut round = || {
        let mut executed = 0;
        for peer in 0..peers {
            let seen = host.exchange(request(peer), &Message::response(200));
            executed += seen.guest_instructions.expect("they are counted");
            memory = seen.guest_memory.expect("it is counted");
        }
        executed / u64::from(peers)
    };
    let (unseen, seen) = (round(), round());
    println!(
        "| {peers} | {remembered} | {unseen} | {seen} | {:.1} MiB |",
        memory as f64 / f64::from(1 << 20)
    );
}

/// What the plugin of Istio sends, some 1.1 KB, with a name of its own for each peer.
fn request(number: u32) -> Message {
    let text = |text: &str| Some(text.to_owned());
    let name = format!("productpage-v1-{number:010}");
    let labels = [
        ("app", "productpage"),
        ("pod-template-hash", "84975bc778"),
        ("security.istio.io/tlsMode", "istio"),
        ("service.istio.io/canonical-name", "productpage"),
        ("service.istio.io/canonical-revision", "v1"),
        ("version", "v1"),
    ];
    let peer = Peer {
        name: Some(name.clone()),
        namespace: text("default"),
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        owner: text("kubernetes://apis/apps/v1/namespaces/default/deployments/productpage-v1"),
        workload_name: text("productpage-v1"),
        istio_version: text("1.17.2"),
        mesh_id: text("cluster.local"),
        app_containers: vec!["productpage".to_owned()],
        cluster_id: text("Kubernetes"),
        instance_ips: vec!["10.52.0.34".to_owned()],
        ..Peer::default()
    };
    let id = format!("sidecar~10.52.0.34~{name}.default~default.svc.cluster.local");
    Message::request("GET", "/")
        .header("x-envoy-peer-metadata-id", id)
        .header("x-envoy-peer-metadata", BASE64_STANDARD.encode(peer.encode()))
}
