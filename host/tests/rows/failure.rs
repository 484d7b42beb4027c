//! A plugin that panics, or goes too deep: rows 31, 49 and 51.

use crate::back_end::failed_by;
use crate::guest::{Guest, guest, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::engine::Errand;
use proxy_wasm_kit_host::exchange::{Message, Setup};

/// Says when its streams end.
fn mortal() -> Guest {
    let step = |name: &'static str| {
        move |_| {
            raw::say(name);
            Action::Continue
        }
    };
    guest().on_log(step("log")).on_done(step("done"))
}

fn open() -> Setup {
    Setup { fail_open: true, ..Setup::default() }
}

fn status(client: Option<Message>) -> u16 {
    client.map_or(0, |client| client.status())
}

#[test]
fn row_49_a_panic_is_one_503() {
    let host = mortal().on_request_headers(|_| panic!("boom")).start();
    let seen = host.exchange(Message::request("GET", "/"), &Message::response(200));
    assert_eq!(said(&seen.log), ["panicked: boom"]);
    assert!(failed_by(seen.vm_failure.as_deref(), "boom"), "{:?}", seen.vm_failure);
    assert_eq!((status(seen.client), seen.details.as_str(), seen.upstream), (503, "wasm_fail_stream", None));
}

#[test]
fn row_49_a_panic_on_response_headers_is_a_503_too() {
    let seen = guest().on_response_headers(|_| panic!("boom")).get();
    assert_eq!((status(seen.client), seen.details.as_str(), seen.reset), (503, "wasm_fail_stream", false));
}

#[test]
fn row_49_a_panic_on_a_response_body_resets_the_stream() {
    let seen = guest()
        .on_response_body(|_| panic!("boom"))
        .serve(Message::request("GET", "/"), Message::response(200).body("x"));
    assert_eq!((status(seen.client), seen.details.as_str(), seen.reset), (200, "wasm_fail_stream", true));
}

/// Measured: the reply for the failure is sent, under the details of the plugin's own.
#[test]
fn row_49_a_panic_beats_a_reply_in_the_same_callback() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::reply(401, "first", "one", &[]).unwrap();
            panic!("boom")
        })
        .get();
    assert_eq!((status(seen.client), seen.details.as_str()), (503, "first"));
}

#[test]
fn row_49_failing_open_lets_the_request_through() {
    let host = mortal().on_request_headers(|_| panic!("boom")).start_with(open()).unwrap();
    let seen = host.exchange(Message::request("PUT", "/").body("x"), &Message::response(200).body("y"));
    assert_eq!((status(seen.client), seen.upstream.unwrap().whole_body()), (200, b"x".to_vec()));
    assert_eq!(said(&seen.log), ["panicked: boom"]);
}

#[test]
fn row_51_a_failed_vm_stays_failed() {
    let host = mortal().on_response_headers(|_| panic!("boom")).start();
    host.exchange(Message::request("GET", "/"), &Message::response(200));
    let seen = host.exchange(Message::request("GET", "/"), &Message::response(200));
    assert_eq!((status(seen.client), seen.details.as_str()), (503, "wasm_fail_stream"));
    assert_eq!((seen.upstream, seen.log, seen.callbacks), (None, Vec::new(), Default::default()));
    assert!(failed_by(host.failure().as_deref(), "boom"), "{:?}", host.failure());
}

#[test]
fn row_51_a_failed_vm_is_skipped_when_it_fails_open() {
    let host = mortal().on_request_headers(|_| panic!("boom")).start_with(open()).unwrap();
    host.exchange(Message::request("GET", "/"), &Message::response(200));
    let seen = host.exchange(Message::request("GET", "/"), &Message::response(204));
    assert_eq!((status(seen.client), seen.details.as_str(), seen.callbacks.len()), (204, "via_upstream", 0));
}

/// What one stream hears of its answer is heard inside the callback in which the one before heard of its own.
#[test]
fn row_31_too_many_answers_in_one_callback_are_too_deep() {
    for (count, fails) in [(250, false), (400, true)] {
        let host = guest()
            .on_request_headers(|told| {
                if raw::get(raw::REQUEST, ":path").as_deref() == Ok("/last") {
                    for context in 1..=told.context {
                        let _ = raw::set_effective_context(context);
                        raw::reply(401, "answered", "", &[]).unwrap();
                    }
                }
                Action::Pause
            })
            .on_response_headers(|_| Action::Continue)
            .start();
        let paths = std::iter::repeat_n("/", count - 1).chain(["/last"]);
        let seen = host.run_all(paths.map(errand).collect());
        let failure = host.failure();
        assert_eq!(failure.as_deref(), fails.then_some("Maximum call stack size exceeded"), "{count}");
        let answered = seen.into_iter().filter(|one| status(one.client.clone()) == 401).count();
        assert_eq!(answered == count, !fails, "{answered} of {count}");
    }
}

fn errand(path: &str) -> Errand {
    Errand { request: Message::request("GET", path), upstream: Message::response(200).into(), patience: None }
}
