//! The end of a stream: rows 28 and 29.

use crate::guest::{guest, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::exchange::Message;

#[test]
fn row_28_the_log_phase_reads_copies() {
    let seen = guest()
        .on_log(|_| {
            let get = |map, name| raw::get(map, name);
            raw::say((
                get(raw::REQUEST, ":path"),
                get(raw::RESPONSE, ":status"),
                get(raw::RESPONSE_TRAILERS, "u"),
            ));
            raw::say((get(raw::REQUEST_TRAILERS, "t"), raw::pairs(raw::REQUEST_TRAILERS)));
            raw::say((raw::add(raw::REQUEST, "a", "b"), raw::map_size(raw::RESPONSE)));
            Action::Continue
        })
        .serve(
            Message::request("GET", "/").trailer("t", "1"),
            Message::response(200).body("x").trailer("u", "2"),
        );
    let expected = [r#"(Ok("/"), Ok("200"), Ok("2"))"#, "(Err(1), Ok([]))", "(Err(2), Err(2))"];
    assert_eq!(said(&seen.log), expected);
}

#[test]
fn row_28_what_never_was_is_not_found() {
    let seen = guest()
        .on_request_headers(|_| Action::Pause)
        .on_log(|_| {
            raw::say((raw::get(raw::RESPONSE, ":status"), raw::pairs(raw::RESPONSE)));
            Action::Continue
        })
        .get();
    assert_eq!(said(&seen.log), ["(Err(1), Ok([]))"]);
}

#[test]
fn row_29_log_comes_before_done_and_delete() {
    let step = |name: &'static str, action| {
        move |_| {
            raw::say(name);
            action
        }
    };
    let seen = guest()
        .on_log(step("log", Action::Continue))
        // The answer of a stream does not matter.
        .on_done(step("done", Action::Pause))
        .on_delete(step("delete", Action::Continue))
        .get();
    assert_eq!(said(&seen.log), ["log", "done", "delete"]);
}
