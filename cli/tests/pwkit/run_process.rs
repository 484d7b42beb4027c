//! `pwkit run` as one proxy: what plugins share, what becomes of a failed one, and how they end.

use crate::guests::{finding, leaving, marking, mortal};
use crate::program::Workshop;
use crate::proxy::{Proxy, request};

#[test]
fn plugins_of_a_chain_share_state_data_and_queues() {
    let workshop = Workshop::new("shared");
    workshop.module("marking.wasm", &marking());
    workshop.module("finding.wasm", &finding());
    let mut proxy = Proxy::start(&workshop, &["--plugin", "marking.wasm", "--plugin", "finding.wasm"]);
    // Also with the other worker, which has VMs of its own.
    for _ in 0..2 {
        let answer = proxy.get("/");
        assert!(answer.ends_with("x-state: made\nx-shared: made\n"), "{answer}");
        proxy.read_until("    info     queued");
    }
}

#[test]
fn a_plugin_whose_vm_has_failed_is_started_again() {
    let workshop = Workshop::new("mortal");
    workshop.module("mortal.wasm", &mortal());
    let mut proxy = Proxy::start(&workshop, &["--plugin", "mortal.wasm", "--workers", "1"]);
    let post = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx";
    assert!(request(proxy.address, post).starts_with("HTTP/1.1 503 "));
    let line = proxy.read_until("its VM has failed: proxy_on_request_headers: wasm trap");
    assert!(line.ends_with("; the next request starts it again, at most once a second"), "{line}");
    // Nothing but a new VM answers this; how long that takes depends on how long ago the first one started.
    while !proxy.get("/").starts_with("HTTP/1.1 200 ") {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn root_contexts_are_told_of_their_end() {
    let workshop = Workshop::new("leaving");
    workshop.module("leaving.wasm", &leaving());
    workshop.file("leaving.json", "{}");
    let plugin = ["--plugin", "leaving.wasm:leaving.json", "--workers", "1", "--watch"];
    let mut proxy = Proxy::start(&workshop, &plugin);
    workshop.module("leaving.wasm", &leaving().replace("\"left\"", "\"gone\""));
    for line in ["    info     leaving", "reloaded leaving.wasm", "    info     left"] {
        proxy.read_until(line);
    }
    assert!(proxy.end("-TERM").success());
    let end = proxy.seen.rsplit_once("    info     left").expect("the first has left").1;
    assert!(end.contains("    info     leaving\n") && end.contains("    info     gone\n"), "{end}");
    assert!(end.ends_with("Stopped.\n"), "{end}");
}
