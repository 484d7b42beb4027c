//! `pwkit run` over HTTP/2: bodies and trailers in pieces, on both sides, and gRPC.

use crate::guests::{counting, grpc, trailing};
use crate::http2::{self, data, making, send, serve, trailers};
use crate::program::Workshop;
use crate::proxy::{Proxy, request};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;

fn post(proxy: &Proxy, body: http2::Making) -> Request<http2::Making> {
    Request::post(format!("http://{}/talk", proxy.address)).body(body).expect("a request")
}

#[test]
fn a_conversation_passes_piece_by_piece_and_trailers_pass_both_ways() {
    let workshop = Workshop::new("converse");
    workshop.module("trailing.wasm", &trailing());
    let upstream = format!("h2c://{}", serve(http2::converse));
    let mut proxy = Proxy::start(&workshop, &["--plugin", "trailing.wasm", "--upstream", &upstream]);
    let (pieces, body) = making();
    let request = post(&proxy, body);
    http2::client(async {
        pieces.send(data("one")).expect("the client lives");
        let mut answer = send(proxy.address, request).await.into_body();
        // Only what has been answered is followed by more: nothing is collected on the way.
        for (said, heard) in [("two", "ONE"), ("three", "TWO")] {
            let frame = answer.frame().await.expect("a piece").expect("it is whole");
            assert_eq!(frame.into_data().expect("data"), heard);
            pieces.send(data(said)).expect("the client lives");
        }
        pieces.send(trailers("x-sum", "3")).expect("the client lives");
        drop(pieces);
        let rest = answer.collect().await.expect("it is whole");
        let fields = rest.trailers().cloned().expect("trailers");
        assert_eq!(rest.to_bytes(), "THREE");
        assert_eq!(fields["x-total"], "3 by-plugin");
        assert_eq!(fields["x-added"], "by-plugin");
    });
    proxy.read_until("request  + x-added: by-plugin (trailer)");
    proxy.read_until("response + x-added: by-plugin (trailer)");
}

#[test]
fn the_end_of_a_body_is_told_as_the_protocol_tells_it() {
    let workshop = Workshop::new("ends");
    workshop.module("counting.wasm", &counting());
    let mut proxy = Proxy::start(&workshop, &["--plugin", "counting.wasm"]);
    let post = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc";
    request(proxy.address, post);
    assert_eq!(proxy.read_until("size"), "    info     size 3 end 0");
    assert_eq!(proxy.read_until("size"), "    info     size 0 end 1");
    let request = Request::post(format!("http://{}/", proxy.address));
    let request = request.body(Full::new(Bytes::from_static(b"abcd"))).expect("a request");
    http2::client(send(proxy.address, request));
    assert_eq!(proxy.read_until("size"), "    info     size 4 end 1");
}

#[test]
fn a_plugin_speaks_grpc_to_a_real_server() {
    let workshop = Workshop::new("grpc");
    workshop.module("grpc.wasm", &grpc());
    let cluster = format!("auth=h2c://{}", serve(http2::grpc));
    let mut proxy = Proxy::start(&workshop, &["--plugin", "grpc.wasm", "--cluster", &cluster]);
    let unary = proxy.get("/");
    assert!(unary.ends_with("x-heard: /a.B/Check one\n"), "{unary}");
    proxy.read_until("callout  auth POST /a.B/Check -> 200 in ");
    let post = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc";
    let stream = request(proxy.address, post);
    assert!(stream.contains("x-heard: /a.B/Talk two\nx-status: 0\n"), "{stream}");
    proxy.read_until("callout  auth POST /a.B/Talk -> 200 in ");
}

#[test]
fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    let workshop = Workshop::new("broken");
    workshop.module("trailing.wasm", &trailing());
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", upstream.local_addr().expect("an address"));
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = upstream.accept().expect("the proxy asks");
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
    });
    let mut proxy = Proxy::start(&workshop, &["--plugin", "trailing.wasm", "--upstream", &address]);
    let answer = proxy.get("/");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhalf"), "{answer}");
    proxy.read_until("GET / -> 200 in");
    assert!(proxy.read_until("broke off its answer").starts_with("  upstream "));
}
