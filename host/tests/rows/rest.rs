//! The plain path, and host calls that only have to give the right status so far.

use crate::back_end::{COUNTS_INSTRUCTIONS, own_calls};
use crate::guest::{guest, raw, said};
use crate::scripted::long_request;
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::exchange::{Clock, Message, Setup};

#[test]
fn an_idle_plugin_lets_everything_through() {
    let upstream = Message::response(201).header("X-A", "b").body("pong").trailer("u", "2");
    let seen = guest().serve(long_request(), upstream);
    let (upstream, client) = (seen.upstream.unwrap(), seen.client.unwrap());
    assert_eq!((upstream.whole_body(), upstream.trailers.first("t")), (b"one two".to_vec(), Some(&b"1"[..])));
    assert_eq!((client.status(), client.whole_body()), (201, b"pong".to_vec()));
    assert_eq!((client.headers.first("x-a"), client.trailers.first("u")), (Some(&b"b"[..]), Some(&b"2"[..])));
    assert_eq!((seen.details.as_str(), seen.reset, seen.misuse.len()), ("via_upstream", false, 0));
}

#[test]
fn a_request_gets_what_the_proxy_adds() {
    let seen = guest().get();
    let client = seen.client.unwrap().headers;
    assert_eq!(client.first("x-envoy-upstream-service-time"), Some(&b"0"[..]));
    let upstream = seen.upstream.unwrap().headers;
    assert_eq!(upstream.first("x-forwarded-proto"), Some(&b"http"[..]));
    assert_eq!(upstream.first("x-request-id"), Some(&b"00000000-0000-4000-8000-000000000002"[..]));
    let own =
        Message::request("GET", "/").header("X-Request-Id", "mine").header("X-Forwarded-Proto", "https");
    let upstream = guest().serve(own, Message::response(200)).upstream.unwrap().headers;
    assert_eq!((upstream.first("x-request-id"), upstream.0.len()), (Some(&b"mine"[..]), 6));
}

#[test]
fn host_calls_and_callbacks_are_counted_per_exchange() {
    let host = guest()
        .on_configure(|_| {
            raw::define_metric(0, "m").unwrap();
            Action::Continue
        })
        .on_request_headers(|_| {
            let _ = (raw::get(raw::REQUEST, "a"), raw::get(raw::REQUEST, "b"), raw::pairs(raw::REQUEST));
            Action::Continue
        })
        .start();
    assert_eq!(host.calls_at_start()["proxy_define_metric"], 1);
    for _ in 0..2 {
        let seen = host.exchange(Message::request("GET", "/"), &Message::response(200));
        let calls = [("proxy_get_header_map_pairs", 1), ("proxy_get_header_map_value", 2)];
        assert_eq!(own_calls(&seen.host_calls), calls.map(|(name, count)| (name.to_owned(), count)).into());
        assert_eq!((seen.callbacks["proxy_on_request_headers"], seen.callbacks.len()), (1, 6));
        // Only a module's can be counted.
        assert_eq!(seen.guest_instructions.is_some(), COUNTS_INSTRUCTIONS);
    }
}

/// Envoy crashes.
#[test]
fn row_31_resuming_a_response_that_has_not_begun_is_misuse() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::say(raw::continue_stream(1));
            Action::Continue
        })
        .get();
    assert_eq!((said(&seen.log), seen.details.as_str()), (vec!["Ok(())"], "via_upstream"));
    assert_eq!(seen.misuse, ["Response resumed while it was not paused"]);
}

#[test]
fn responses_can_be_edited_down_to_their_trailers() {
    let seen = guest()
        .on_response_headers(|_| {
            raw::remove(raw::RESPONSE, "content-length").unwrap();
            Action::Continue
        })
        .on_response_body(|_| {
            raw::set_buffer(raw::RESPONSE_BODY, 9, 0, "!").unwrap();
            Action::Continue
        })
        .on_response_trailers(|_| {
            raw::replace(raw::RESPONSE_TRAILERS, "u", "3").unwrap();
            Action::Continue
        })
        .serve(
            Message::request("GET", "/"),
            Message::response(200).header("content-length", "2").body("hi").trailer("u", "2"),
        );
    let client = seen.client.unwrap();
    assert_eq!((client.whole_body(), client.trailers.first("u")), (b"hi!".to_vec(), Some(&b"3"[..])));
    assert_eq!(client.headers.first("content-length"), None);
}

#[test]
fn row_30_only_a_root_that_waits_can_be_done() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::say(raw::root_done());
            Action::Continue
        })
        .get();
    assert_eq!(said(&seen.log), ["Err(1)"]);
}

#[test]
fn row_31_a_root_has_nothing_to_resume_or_close() {
    let host = guest()
        .on_configure(|_| {
            raw::say([0, 1, 2, 3, 4].map(raw::continue_stream));
            raw::say([0, 1, 2, 3, 4].map(raw::close_stream));
            Action::Continue
        })
        .start();
    let expected = ["[Ok(()), Ok(()), Ok(()), Err(12), Err(2)]", "[Ok(()), Ok(()), Ok(()), Ok(()), Err(2)]"];
    assert_eq!(said(&host.log()), expected);
}

#[test]
fn row_31_closing_resets_the_stream() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::close_stream(0).unwrap();
            Action::Continue
        })
        .get();
    assert_eq!((seen.client, seen.reset, seen.details.as_str()), (None, true, "wasm_close_stream"));
}

#[test]
fn row_42_a_fixed_clock_stands_still() {
    let setup = Setup { clock: Clock::Fixed(784_111_777_000_000_000), ..Setup::default() };
    let host = guest()
        .on_configure(|_| {
            raw::say(raw::now());
            Action::Continue
        })
        .start_with(setup)
        .unwrap();
    let seen = host.exchange(Message::request("GET", "/"), &Message::response(200));
    assert_eq!(said(&host.log()), ["Ok(784111777000000000)"]);
    assert_eq!(seen.client.unwrap().headers.first("date"), Some(&b"Sun, 06 Nov 1994 08:49:37 GMT"[..]));
}
