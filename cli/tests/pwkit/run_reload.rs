//! `pwkit run --watch`: new modules and configurations reach the traffic, and no request is lost on the way.

use crate::program::Workshop;
use crate::proxy::{ANSWERING, CONFIGURED, Proxy};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

fn serve(workshop: &Workshop) -> Proxy {
    workshop.module("plugin.wasm", CONFIGURED);
    workshop.file("plugin.json", "0");
    Proxy::start(workshop, &["--plugin", "plugin.wasm:plugin.json", "--watch", "--quiet"])
}

#[test]
fn no_request_is_lost_while_configurations_and_modules_change() {
    let workshop = Workshop::new("reload");
    let mut proxy = serve(&workshop);
    let (over, address) = (AtomicBool::new(false), proxy.address);
    let client = || {
        let (mut seen, mut failed) = (BTreeSet::new(), Vec::new());
        while !over.load(Ordering::Relaxed) {
            let answer =
                crate::proxy::request(address, "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            match answer.rsplit_once("x-config: ") {
                Some((head, value)) if head.starts_with("HTTP/1.1 200 ") => {
                    seen.insert(value.trim_end().to_owned());
                }
                _ => failed.push(answer),
            }
        }
        (seen, failed)
    };
    std::thread::scope(|scope| {
        let clients = [scope.spawn(client), scope.spawn(client)];
        for round in 1..=3 {
            workshop.file("plugin.json", "x".repeat(round));
            let line = proxy.read_until("reloaded");
            assert!(line.starts_with("reloaded plugin.json in "), "{line}");
            workshop.module("plugin.wasm", &CONFIGURED.replace("$free", &format!("$free{round}")));
            let line = proxy.read_until("reloaded");
            assert!(line.starts_with("reloaded plugin.wasm in "), "{line}");
        }
        over.store(true, Ordering::Relaxed);
        for client in clients {
            let (seen, failed) = client.join().expect("a client ends");
            assert_eq!(failed, Vec::<String>::new());
            assert!(seen.len() > 1, "{seen:?}");
        }
    });
    assert!(proxy.get("/").ends_with("x-config: xxx\n"));
    assert!(proxy.stats().contains("pwkit_reloads_total{outcome=\"accepted\"} 6\n"));
}

#[test]
fn a_request_under_way_ends_with_the_plugins_that_it_began_with() {
    let workshop = Workshop::new("under-way");
    let mut proxy = serve(&workshop);
    let mut client = TcpStream::connect(proxy.address).expect("somebody listens");
    let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n";
    client.write_all(head.as_bytes()).expect("it reads");
    let mut begun = [0; 25];
    client.read_exact(&mut begun).expect("it has begun");
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
    workshop.module("plugin.wasm", ANSWERING);
    proxy.read_until("reloaded plugin.wasm");
    assert!(proxy.get("/").starts_with("HTTP/1.1 403 "));
    client.write_all(b"ab").expect("it reads");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("x-config: 0\n\nab\n"), "{answer}");
}

#[test]
fn a_module_that_is_half_written_waits_for_its_other_half() {
    let workshop = Workshop::new("half");
    let mut proxy = serve(&workshop);
    let whole = wat::parse_str(ANSWERING).expect("a module");
    workshop.file("plugin.wasm", &whole[..whole.len() / 2]);
    let line = proxy.read_until("not reloaded");
    assert!(
        line.starts_with("not reloaded: plugin.wasm: not a WebAssembly module: unexpected end"),
        "{line}"
    );
    assert!(proxy.get("/").ends_with("x-config: 0\n"));
    workshop.file("plugin.wasm", &whole);
    proxy.read_until("reloaded plugin.wasm");
    assert!(proxy.get("/").starts_with("HTTP/1.1 403 "));
}

#[test]
fn a_configuration_that_is_refused_changes_nothing() {
    let workshop = Workshop::new("refused-reload");
    let mut proxy = serve(&workshop);
    workshop.file("plugin.json", "bad");
    let line = proxy.read_until("not reloaded");
    let expected = "not reloaded: plugin.wasm does not start with plugin.json: the plugin refused its configuration: I take \
                    no configuration that begins with b; correct the configuration";
    assert_eq!(line, expected);
    proxy.read_until("  serving with what was there before");
    assert!(proxy.get("/").ends_with("x-config: 0\n"));
    assert!(proxy.stats().contains("pwkit_reloads_total{outcome=\"rejected\"} 1\n"));
    workshop.file("plugin.json", "good");
    proxy.read_until("reloaded plugin.json");
    assert!(proxy.get("/").ends_with("x-config: good\n"));
}

#[test]
fn a_module_that_is_replaced_by_nonsense_and_then_by_another() {
    let workshop = Workshop::new("module-reload");
    let mut proxy = serve(&workshop);
    workshop.file("plugin.wasm", "nonsense");
    let line = proxy.read_until("not reloaded");
    assert_eq!(line, "not reloaded: plugin.wasm: is no WebAssembly; build it with --target wasm32-wasip1");
    assert!(proxy.get("/").starts_with("HTTP/1.1 200 "));
    workshop.module("plugin.wasm", ANSWERING);
    proxy.read_until("reloaded plugin.wasm");
    assert!(proxy.get("/").starts_with("HTTP/1.1 403 "));
}
