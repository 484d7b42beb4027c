//! Bodies and buffers: rows 14 to 20.

use crate::guest::{guest, raw, said};
use crate::scripted::{long_request, run};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::engine::Call;
use proxy_wasm_kit_host::exchange::{Message, Protocol, Setup};

#[test]
fn row_14_a_paused_body_is_shown_as_a_whole() {
    let seen = guest()
        .on_request_body(|told| {
            raw::say((told.size, raw::buffer(raw::REQUEST_BODY).unwrap()));
            if told.size < 4 { Action::Pause } else { Action::Continue }
        })
        .serve(
            Message { body: vec!["ab".into(), "cd".into(), "ef".into()], ..Message::request("POST", "/") },
            Message::response(200),
        );
    // After the Continue, the third piece stands alone again; it is paused and ends the request, so it stays here.
    assert_eq!(said(&seen.log), [r#"(2, "ab")"#, r#"(4, "abcd")"#, r#"(2, "ef")"#]);
    assert_eq!(seen.upstream.unwrap().whole_body(), b"abcd");
}

#[test]
fn row_14_what_is_held_can_be_read_with_the_trailers() {
    let seen = guest()
        .on_request_body(|_| Action::Pause)
        .on_request_trailers(|_| {
            raw::say(raw::buffer(raw::REQUEST_BODY));
            raw::set_buffer(raw::REQUEST_BODY, 0, usize::MAX, "new").unwrap();
            Action::Continue
        })
        .serve(long_request(), Message::response(200));
    assert_eq!(said(&seen.log), [r#"Ok("one two")"#]);
    let upstream = seen.upstream.unwrap();
    assert_eq!((upstream.whole_body(), upstream.trailers.first("t")), (b"new".to_vec(), Some(&b"1"[..])));
}

/// Measured: the plugin is shown the oversized body once more, and only then comes the 413.
#[test]
fn row_15_a_request_beyond_the_limit_is_answered_413() {
    let setup = Setup { buffer_limit: 5, ..Setup::default() };
    let host = guest()
        .on_request_body(|told| {
            raw::say(told.size);
            Action::Pause
        })
        .on_response_headers(|_| {
            raw::say(raw::get(raw::RESPONSE, ":status"));
            Action::Continue
        })
        .start_with(setup)
        .unwrap();
    let seen = host.exchange(long_request(), &Message::response(200));
    assert_eq!(said(&seen.log), ["4", "7", r#"Ok("413")"#]);
    assert_eq!(seen.details, "request_payload_too_large");
    assert_eq!(seen.client.unwrap().whole_body(), b"Payload Too Large");
    assert_eq!(seen.upstream.map(|upstream| upstream.body), Some(vec![]));
}

#[test]
fn row_15_a_response_beyond_the_limit_is_reset() {
    let setup = Setup { buffer_limit: 5, ..Setup::default() };
    let host = guest()
        .on_response_body(|told| {
            raw::say(told.size);
            Action::Pause
        })
        .start_with(setup)
        .unwrap();
    let upstream = Message { body: vec!["1234".into(), "5678".into()], ..Message::response(200) };
    let seen = host.exchange(Message::request("GET", "/"), &upstream);
    assert_eq!((said(&seen.log), seen.reset), (vec!["4"], true));
    assert_eq!(seen.details, "response_payload_too_large");
}

#[test]
fn row_16_after_a_plain_stop_the_stream_goes_on_behind_the_plugin() {
    let setup = Setup { allow_on_headers_stop_iteration: true, ..Setup::default() };
    let host = guest()
        .on_request_headers(|_| Action::Pause)
        .on_request_body(|told| {
            raw::say((told.size, raw::get(raw::REQUEST, ":path")));
            Action::Continue
        })
        .start_with(setup)
        .unwrap();
    let seen = host.exchange(long_request(), &Message::response(200));
    // The headers stay within reach: only a Continue on headers takes them away.
    assert_eq!(said(&seen.log), [r#"(4, Ok("/"))"#, r#"(3, Ok("/"))"#]);
    assert_eq!(seen.upstream.unwrap().whole_body(), b"one two");
}

#[test]
fn row_17_the_end_of_a_stream_is_told_at_most_once() {
    let ends_over = |protocol, request: Message| {
        let setup = Setup { protocol, ..Setup::default() };
        let (_, calls) = run(setup, request, &Message::response(200), |_| 0);
        let end = |call: &Call| match call {
            Call::Headers { end_of_stream, .. } | Call::Body { end_of_stream, .. } => *end_of_stream,
            _ => false,
        };
        let requests = calls.iter().filter(|call| call.name().contains("request"));
        requests
            .map(|call| (call.name().trim_start_matches("proxy_on_request_"), end(call)))
            .collect::<Vec<_>>()
    };
    let ends = |request| ends_over(Protocol::Http1, request);
    assert_eq!(ends(Message::request("GET", "/")), [("headers", true)]);
    let put = Message::request("PUT", "/").body("a");
    assert_eq!(ends_over(Protocol::Http2, put.clone()), [("headers", false), ("body", true)]);
    // Over HTTP/1.1 the end of a body is an empty piece.
    assert_eq!(ends(put), [("headers", false), ("body", false), ("body", true)]);
    let trailers = [("headers", false), ("body", false), ("body", false), ("trailers", false)];
    assert_eq!(ends(long_request()), trailers);
    assert_eq!(
        ends(Message::request("GET", "/").trailer("t", "1")),
        [("headers", false), ("trailers", false)]
    );
}

/// Measured: a length that overflows a word is clipped too, since the proxy adds with 64 bits.
#[test]
fn row_18_reads_are_clipped_and_empty_ones_have_no_pointer() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::say(raw::buffer_bytes(raw::REQUEST_BODY, 0, 1));
            Action::Continue
        })
        .on_request_body(|_| {
            let read =
                |start, size| raw::buffer_bytes(raw::REQUEST_BODY, start, size).map(|body| body.map(text));
            raw::say((read(2, 2), read(1, usize::MAX), read(0, 0), read(9, 1)));
            let other = |buffer| raw::buffer_bytes(buffer, 0, 1);
            raw::say((other(7), other(4), other(5), other(8), other(9)));
            Action::Continue
        })
        .serve(Message::request("PUT", "/").body("hello"), Message::response(200));
    let expected = [
        "Ok(None)",
        r#"(Ok(Some("ll")), Ok(Some("ello")), Ok(None), Ok(None))"#,
        "(Err(1), Err(1), Ok(None), Ok(None), Err(2))",
    ];
    assert_eq!(said(&seen.log), expected);
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn row_19_partial_replace_is_bad_argument() {
    let seen = guest()
        .on_request_body(|_| {
            raw::say((raw::set_buffer(0, 1, 1, "x"), raw::buffer(0)));
            Action::Continue
        })
        .serve(Message::request("PUT", "/").body("hello"), Message::response(200));
    assert_eq!(said(&seen.log), [r#"(Err(2), Ok("hello"))"#]);
}

#[test]
fn row_19_writes_prepend_replace_or_append() {
    let seen = guest()
        .on_request_body(|_| {
            let write = |start, size, bytes| {
                raw::set_buffer(0, start, size, bytes).unwrap();
                raw::say(raw::buffer(0).unwrap());
            };
            write(0, 0, "<");
            write(99, 0, ">");
            write(0, 2, "AB");
            write(0, usize::MAX, "all");
            write(3, 7, "end");
            Action::Continue
        })
        .serve(Message::request("PUT", "/").body("hello"), Message::response(200));
    assert_eq!(said(&seen.log), ["<hello", "<hello>", "ABello>", "all", "allend"]);
    assert_eq!(seen.upstream.unwrap().whole_body(), b"allend");
}

#[test]
fn row_19_a_body_that_is_not_there_cannot_be_written() {
    let seen = guest()
        .on_request_headers(|_| {
            let write = |buffer| raw::set_buffer(buffer, 0, 0, "x");
            raw::say((write(0), write(1), write(5), write(6), write(7), write(8)));
            Action::Continue
        })
        .get();
    assert_eq!(said(&seen.log), ["(Err(2), Err(2), Err(2), Err(2), Err(1), Err(2))"]);
}

#[test]
fn row_20_configurations_are_buffers() {
    let setup = Setup { configuration: "plugin".into(), vm_configuration: "vm".into(), ..Setup::default() };
    let read = |_| {
        raw::say((raw::buffer(7), raw::buffer(6), raw::set_buffer(6, 0, 0, "x")));
        Action::Continue
    };
    let host =
        guest().on_vm_start(read).on_configure(read).on_request_headers(read).start_with(setup).unwrap();
    host.exchange(Message::request("GET", "/"), &Message::response(200));
    let expected = [
        r#"(Err(1), Ok("vm"), Err(2))"#,
        r#"(Ok("plugin"), Ok("vm"), Err(2))"#,
        r#"(Err(1), Ok("vm"), Err(2))"#,
    ];
    assert_eq!(said(&host.log()), expected);
}
