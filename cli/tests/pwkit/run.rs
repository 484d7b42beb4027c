//! `pwkit run`: real traffic through real plugins.

use crate::program::{Workshop, assert_on_record};
use crate::proxy::{ANSWERING, CALLING, CONFIGURED, Proxy, request};
use regex_lite::Regex;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// Nobody listens at this port, and no system gives it out.
const CLOSED: &str = "127.0.0.1:1";

/// Without what differs from run to run.
fn steady(text: &str) -> String {
    let numbers =
        [(r"[\d.]+ ms", "N ms"), (r"\d+ instructions", "N instructions"), (r"127\.0\.0\.1:\d+", "ADDRESS")];
    numbers.iter().fold(text.to_owned(), |text, (pattern, instead)| {
        Regex::new(pattern).expect("a pattern").replace_all(&text, *instead).into_owned()
    })
}

fn workshop(name: &str) -> Workshop {
    let workshop = Workshop::new(name);
    workshop.module("configured.wasm", CONFIGURED);
    // The same module twice would share a VM, and what this one keeps in its memory.
    workshop.module("second.wasm", &CONFIGURED.replace("$free", "$room"));
    workshop.module("answering.wasm", ANSWERING);
    workshop.file("one.json", "one");
    workshop.file("two.yaml", "two: [2, x]\n");
    workshop
}

#[test]
fn a_request_passes_the_plugins_in_order_and_each_is_shown() {
    let workshop = workshop("chain");
    let plugins = ["--plugin", "configured.wasm:one.json", "--plugin", "second.wasm:two.yaml"];
    let mut proxy = Proxy::start(&workshop, &plugins);
    let answer = proxy.get("/a?b=c");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("GET /a?b=c HTTP/1.1\nhost: example.com\n"), "{answer}");
    assert!(answer.ends_with("x-config: one\nx-config: {\"two\":[2,\"x\"]}\n"), "{answer}");
    assert!(proxy.end("-INT").success());
    assert_on_record("run-chain.txt", &steady(&proxy.seen));
}

#[test]
fn a_plugin_answers_and_those_before_it_see_the_answer() {
    let workshop = workshop("answer");
    let mut proxy =
        Proxy::start(&workshop, &["--plugin", "configured.wasm:one.json", "--plugin", "answering.wasm"]);
    let answer = proxy.get("/");
    assert!(
        answer.starts_with("HTTP/1.1 403 Forbidden\r\n") && answer.ends_with("\r\n\r\nnot today"),
        "{answer}"
    );
    assert!(proxy.end("-TERM").success());
    assert_on_record("run-answer.txt", &steady(&proxy.seen));
}

#[test]
fn a_plugin_with_a_prefix_serves_what_lies_below_it() {
    let workshop = workshop("prefix");
    let plugins =
        ["--plugin", "/a=configured.wasm:one.json", "--plugin", "/closed=answering.wasm", "--quiet"];
    let proxy = Proxy::start(&workshop, &plugins);
    let below = proxy.get("/a/b?c");
    assert!(below.contains("GET /b?c HTTP/1.1\n") && below.contains("x-config: one\n"), "{below}");
    assert!(proxy.get("/closed/").starts_with("HTTP/1.1 403 "));
    let beside = proxy.get("/other");
    assert!(beside.contains("GET /other HTTP/1.1\n") && !beside.contains("x-config"), "{beside}");
}

#[test]
fn a_plugin_calls_out_and_has_timers() {
    let workshop = workshop("callout");
    workshop.module("calling.wasm", CALLING);
    let behind = Proxy::start(&workshop, &["--plugin", "answering.wasm", "--quiet"]);
    let cluster = format!("auth=http://{}", behind.address);
    let arguments = ["--plugin", "calling.wasm", "--cluster", cluster.as_str(), "--workers", "1"];
    let mut proxy = Proxy::start(&workshop, &arguments);
    proxy.read_until("info     tick");
    let answer = proxy.get("/");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("x-auth: 403\n"), "{answer}");
    assert!(proxy.end("-INT").success());
    assert_on_record("run-callout.txt", &steady(&proxy.seen));
}

#[test]
fn a_cluster_that_is_unknown_or_down_is_told() {
    let workshop = workshop("no-cluster");
    workshop.module("calling.wasm", CALLING);
    let mut proxy = Proxy::start(&workshop, &["--plugin", "calling.wasm"]);
    assert!(proxy.get("/").starts_with("HTTP/1.1 200 OK\r\n"));
    let line = proxy.read_until("callout");
    assert_eq!(line, "    callout  auth: there is no such cluster; name it with --cluster auth=URL");
    let cluster = format!("auth=http://{CLOSED}");
    let mut proxy = Proxy::start(&workshop, &["--plugin", "calling.wasm", "--cluster", cluster.as_str()]);
    assert!(proxy.get("/").ends_with("x-auth: 503\n"));
    let line = steady(&proxy.read_until("callout"));
    let expected = "    callout  auth GET /check -> upstream ADDRESS cannot be reached: Connection refused (os error 111); is \
                    it running? in N ms";
    assert_eq!(line, expected);
}

#[test]
fn http2_is_spoken_on_both_sides_and_bodies_and_trailers_pass() {
    let workshop = workshop("http2");
    let behind = Proxy::start(&workshop, &["--plugin", "configured.wasm:one.json"]);
    let upstream = format!("h2c://{}", behind.address);
    let front =
        Proxy::start(&workshop, &["--plugin", "configured.wasm:two.yaml", "--upstream", upstream.as_str()]);
    let (status, body) = over_http2(front.address, "shop.example", "/cart", b"hello");
    assert_eq!(status, 200);
    let expected = ["POST /cart HTTP/1.1\nhost: shop.example\n", "x-config: one\n", "\nhello\n"];
    assert!(expected.iter().all(|part| body.contains(part)), "{body}");
    // HTTP/1.1 before, HTTP/2 behind.
    let answer = front.get("/x");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("host: example.com\n"), "{answer}");
}

/// Status and body of the answer to a POST over HTTP/2.
fn over_http2(
    address: std::net::SocketAddr,
    authority: &str,
    path: &str,
    body: &'static [u8],
) -> (u16, String) {
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let request = hyper::Request::post(format!("http://{authority}{path}"));
    let request = request.body(Full::new(hyper::body::Bytes::from_static(body))).expect("a request");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.expect("somebody listens");
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.expect("HTTP/2 is spoken");
        tokio::spawn(connection);
        let response = sender.send_request(request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    })
}

#[test]
fn an_upstream_that_is_down_is_a_503_as_of_envoy_and_told() {
    let workshop = workshop("down");
    let upstream = format!("http://{CLOSED}");
    let mut proxy =
        Proxy::start(&workshop, &["--plugin", "configured.wasm:one.json", "--upstream", upstream.as_str()]);
    let answer = proxy.get("/");
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    let text =
        "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure";
    assert!(answer.ends_with(&format!("\r\n\r\n{text}")), "{answer}");
    let told = steady(&proxy.read_until("is it running?"));
    assert_eq!(
        told,
        "  upstream ADDRESS cannot be reached: Connection refused (os error 111); is it running?"
    );
}

#[test]
fn long_bodies_pass_in_pieces() {
    let workshop = workshop("body");
    let proxy = Proxy::start(&workshop, &["--plugin", "configured.wasm:one.json", "--quiet"]);
    let size = 3_000_000;
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n");
    let answer = request(proxy.address, head + &"x".repeat(size));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{}", answer.len());
    assert!(answer.ends_with("\n... (3000000 bytes in all)\n") && answer.len() > 1_000_000);
    // Also where the length is not announced.
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, "x".repeat(60_000));
    let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = request(proxy.address, format!("{head}{chunk}{chunk}0\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.len() > 120_000, "{}", answer.len());
}

#[test]
fn a_plugin_that_dies_is_shown_and_the_proxy_goes_on() {
    let workshop = workshop("dies");
    workshop.module("dies.wasm", &ANSWERING.replace("(drop (call $log", "unreachable (drop (call $log"));
    let mut proxy = Proxy::start(&workshop, &["--plugin", "dies.wasm", "--failure-policy", "closed"]);
    for _ in 0..2 {
        assert!(proxy.get("/").starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
        proxy.read_until("its VM has failed: proxy_on_request_headers: wasm trap");
    }
    let open = ["--plugin", "dies.wasm", "--failure-policy", "open", "--quiet", "--workers", "1"];
    let open = Proxy::start(&workshop, &open);
    assert!(open.get("/").starts_with("HTTP/1.1 503 "));
    assert!(open.get("/").starts_with("HTTP/1.1 200 "));
}

#[test]
fn the_admin_port_tells_readiness_and_metrics() {
    let workshop = workshop("admin");
    let proxy = Proxy::start(&workshop, &["--plugin", "configured.wasm", "--quiet"]);
    proxy.get("/");
    let answer = request(proxy.admin, "GET /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("LIVE\n"), "{answer}");
    assert!(proxy.stats().contains("pwkit_requests_total{status=\"200\"} 1\n"), "{}", proxy.stats());
}

#[test]
fn a_request_under_way_is_answered_after_ctrl_c() {
    let workshop = workshop("farewell");
    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let upstream = format!("http://{}", server.local_addr().expect("an address"));
    let mut proxy =
        Proxy::start(&workshop, &["--plugin", "configured.wasm", "--upstream", upstream.as_str()]);
    let mut client = TcpStream::connect(proxy.address).expect("somebody listens");
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("it reads");
    let (mut asked, _) = server.accept().expect("the proxy asks");
    let answering = std::thread::spawn(move || {
        assert_ne!(asked.read(&mut [0; 1024]).expect("it asks"), 0);
        std::thread::sleep(std::time::Duration::from_millis(300));
        asked.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate").expect("it reads");
        asked
    });
    assert!(proxy.end("-INT").success());
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("late"), "{answer}");
    assert!(proxy.seen.ends_with("Stopped.\n"), "{}", proxy.seen);
    drop(answering.join());
}
