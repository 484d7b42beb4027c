//! What the returned actions mean: rows 10 to 13.

use crate::guest::{guest, raw};
use crate::scripted::{long_request, run};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::engine::{Call, Side};
use proxy_wasm_kit_host::exchange::{Exchange, Message, Setup};

/// Answers the headers of the request with `action`.
fn on_headers(setup: Setup, action: u32) -> (Exchange, usize) {
    let (seen, calls) = run(setup, long_request(), &Message::response(200), move |call| match call {
        Call::Headers { side: Side::Request, .. } => action,
        _ => 0,
    });
    let bodies = calls.iter().filter(|call| matches!(call, Call::Body { side: Side::Request, .. })).count();
    (seen, bodies)
}

/// Answers the pieces of the request's body with `actions`, and everything else with 0.
fn on_body(actions: [u32; 2]) -> Exchange {
    let mut actions = actions.into_iter();
    let answer = move |call: &Call| match call {
        Call::Body { side: Side::Request, .. } => actions.next().unwrap_or(0),
        _ => 0,
    };
    run(Setup::default(), long_request(), &Message::response(200), answer).0
}

fn upstream_body(seen: &Exchange) -> Vec<u8> {
    seen.upstream.as_ref().map(Message::whole_body).unwrap_or_default()
}

#[test]
fn row_10_continue_and_end_stream_is_continue() {
    for action in [0, 2] {
        let (seen, bodies) = on_headers(Setup::default(), action);
        assert_eq!((upstream_body(&seen), bodies), (b"one two".to_vec(), 2), "action {action}");
    }
}

#[test]
fn row_10_stop_iteration_on_headers_stops_all() {
    for action in [1, 3, 4, 99] {
        let (seen, bodies) = on_headers(Setup::default(), action);
        assert_eq!((seen.upstream, seen.client, bodies), (None, None, 0), "action {action}");
        assert_eq!(seen.details, "downstream_remote_disconnect");
    }
}

#[test]
fn row_10_stop_iteration_shows_the_body_where_that_is_allowed() {
    let setup = Setup { allow_on_headers_stop_iteration: true, ..Setup::default() };
    let (seen, bodies) = on_headers(setup, 1);
    // The first body callback continues, and with it the headers.
    assert_eq!((upstream_body(&seen), bodies), (b"one two".to_vec(), 2));
}

#[test]
fn row_10_only_stop_and_buffer_has_a_limit() {
    let outcome = |action| {
        let setup = Setup { buffer_limit: 3, ..Setup::default() };
        on_headers(setup, action).0.client.map(|client| client.status())
    };
    assert_eq!((outcome(3), outcome(4)), (Some(413), None));
}

#[test]
fn row_11_a_held_piece_goes_on_with_the_next() {
    for action in [1, 2] {
        let seen = on_body([action, 0]);
        assert_eq!(seen.upstream.unwrap().body, [b"one two".to_vec()], "action {action}");
    }
}

#[test]
fn row_11_stop_without_buffering_drops_the_piece() {
    for action in [3, 4, 99] {
        assert_eq!(upstream_body(&on_body([action, 0])), b"two", "action {action}");
    }
}

#[test]
fn row_12_any_action_but_continue_stops_at_the_trailers() {
    for action in [1, 2, 99] {
        let (seen, _) = run(Setup::default(), long_request(), &Message::response(200), move |call| {
            if matches!(call, Call::Trailers { side: Side::Request, .. }) { action } else { 0 }
        });
        let upstream = seen.upstream.unwrap();
        assert_eq!((upstream.whole_body(), upstream.trailers.0.len()), (b"one two".to_vec(), 0));
        assert_eq!((seen.client, seen.details.as_str()), (None, "downstream_remote_disconnect"));
    }
}

#[test]
fn row_13_after_a_local_reply_the_action_does_not_count() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::reply(403, "no", "", &[]).unwrap();
            Action::Continue
        })
        .on_request_body(|_| panic!("the body is not shown any more"))
        .serve(Message::request("POST", "/").body("x"), Message::response(200));
    assert_eq!((seen.client.unwrap().status(), seen.upstream, seen.vm_failure), (403, None, None));
}
