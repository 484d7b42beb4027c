//! Several plugins in one chain: rows 4, 7, 13, 16, 29, 33, 48 and 49 between them. The orders were measured.

use crate::back_end::{Host, failed_by, start_chain};
use crate::guest::{Guest, guest, plain, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::exchange::{Exchange, Message, Setup};

/// Says all that happens, with its name.
fn teller(name: &'static str) -> Guest {
    let step = move |hook: &'static str| {
        move |_| {
            raw::say(format!("{name} {hook}"));
            Action::Continue
        }
    };
    guest()
        .on_create(step("create"))
        .on_request_headers(step("request headers"))
        .on_request_body(step("request body"))
        .on_response_headers(step("response headers"))
        .on_response_body(step("response body"))
        .on_log(step("log"))
        .on_done(step("done"))
        .on_delete(step("delete"))
}

fn chain(guests: impl IntoIterator<Item = Guest>) -> Host {
    start_chain(guests.into_iter().map(|guest| (guest.extension(), plain()))).unwrap()
}

fn get(host: &Host) -> Exchange {
    host.exchange(Message::request("GET", "/"), &Message::response(200).body("x"))
}

#[test]
fn row_29_requests_pass_in_order_responses_in_reverse_and_all_log_before_any_is_done() {
    let host = chain([teller("one"), teller("two")]);
    let seen = host.exchange(Message::request("POST", "/").body("x"), &Message::response(200));
    let expected = [
        "one create",
        "one request headers",
        "two create",
        "two request headers",
        "one request body",
        "two request body",
        "two response headers",
        "one response headers",
        "one log",
        "two log",
        "one done",
        "one delete",
        "two done",
        "two delete",
    ];
    assert_eq!(said(&seen.log), expected);
}

#[test]
fn row_33_a_reply_passes_those_that_saw_the_request_and_all_log() {
    let two = teller("two").on_request_headers(|_| {
        raw::reply(403, "no", "", &[]).unwrap();
        Action::Pause
    });
    let seen = get(&chain([teller("one"), two, teller("three")]));
    assert_eq!((seen.client.unwrap().status(), seen.upstream), (403, None));
    let expected = [
        "one create",
        "one request headers",
        "two create",
        "two response headers",
        "one response headers",
        "one log",
        "two log",
        "three create",
        "three log",
    ];
    assert_eq!(said(&seen.log)[..9], expected);
}

#[test]
fn row_33_a_reply_in_place_of_a_response_goes_past_all() {
    let two = teller("two").on_response_headers(|_| {
        raw::reply(500, "no", "", &[]).unwrap();
        Action::Pause
    });
    let seen = get(&chain([teller("one"), two]));
    assert_eq!(seen.client.unwrap().status(), 500);
    assert!(!said(&seen.log).contains(&"one response headers"));
}

#[test]
fn row_16_each_plugin_holds_back_what_those_behind_it_get() {
    let seen = |edits: &'static str| {
        guest().on_request_body(move |told| {
            raw::say((edits, told.size, told.last));
            if !told.last {
                return Action::Pause;
            }
            raw::set_buffer(raw::REQUEST_BODY, usize::MAX, 0, edits).unwrap();
            Action::Continue
        })
    };
    let mut request = Message::request("POST", "/");
    request.body = vec!["one ".into(), "two".into()];
    let seen = chain([seen("+a"), seen("+b")]).exchange(request, &Message::response(200));
    assert_eq!(said(&seen.log), [r#"("+a", 4, false)"#, r#"("+a", 7, true)"#, r#"("+b", 9, true)"#]);
    assert_eq!(seen.upstream.unwrap().whole_body(), b"one two+a+b");
}

#[test]
fn row_16_headers_held_back_by_the_first_reach_the_second_when_it_resumes() {
    let one = guest()
        .on_request_headers(|_| {
            raw::add(raw::REQUEST, "x-one", "1").unwrap();
            Action::Pause
        })
        .on_tick(|_| {
            raw::set_effective_context(2).unwrap();
            raw::continue_stream(0).unwrap();
            raw::tick_every(0).unwrap();
            Action::Continue
        })
        .on_configure(|_| {
            raw::tick_every(100).unwrap();
            Action::Continue
        });
    let two = guest().on_request_headers(|_| {
        raw::say(raw::get(raw::REQUEST, "x-one"));
        Action::Continue
    });
    let seen = get(&chain([one, two]));
    assert_eq!((said(&seen.log), seen.client.unwrap().status()), (vec![r#"Ok("1")"#], 200));
}

#[test]
fn row_48_filter_state_is_shared_by_the_plugins_of_a_stream() {
    let one = guest().on_request_headers(|_| {
        raw::set_property("x", "of one").unwrap();
        Action::Continue
    });
    let two = guest().on_request_headers(|_| {
        raw::say(raw::property("x"));
        Action::Continue
    });
    let host = chain([one, two]);
    assert_eq!(said(&get(&host).log), [r#"Ok("of one")"#]);
    assert_eq!(get(&host).filter_state, [("wasm.x".to_owned(), b"of one".to_vec())].into());
}

#[test]
fn row_5_each_vm_counts_its_own_contexts() {
    let two = guest().on_request_headers(|told| {
        raw::say((told.context, raw::set_effective_context(3), raw::set_effective_context(2)));
        Action::Continue
    });
    assert_eq!(said(&get(&chain([guest(), two])).log), ["(2, Err(2), Ok(()))"]);
}

#[test]
fn row_49_a_plugin_that_fails_leaves_the_others_alone() {
    let host = chain([teller("one"), guest().on_request_headers(|_| panic!("boom")), teller("three")]);
    for _ in 0..2 {
        let seen = get(&host);
        assert_eq!(seen.client.unwrap().status(), 503);
        assert!(failed_by(seen.vm_failure.as_deref(), "boom"), "{:?}", seen.vm_failure);
        let log: Vec<_> = said(&seen.log).into_iter().filter(|line| !line.starts_with("panicked")).collect();
        let expected =
            ["one create", "one request headers", "one response headers", "one log", "three create"];
        assert_eq!(log[..5], expected);
    }
}

#[test]
fn row_4_plugins_with_the_same_code_id_and_configuration_share_a_vm() {
    let extension = guest()
        .on_vm_start(|told| {
            raw::say(("start", told.context));
            Action::Continue
        })
        .on_configure(|told| {
            raw::say((told.context, raw::property("plugin_name"), raw::buffer(7)));
            Action::Continue
        })
        .on_create(|told| {
            raw::say((told.context, raw::property("plugin_name")));
            Action::Continue
        })
        .extension();
    let setup = |name: &str, vm: &str| Setup {
        name: name.into(),
        vm_configuration: vm.into(),
        configuration: format!("of {name}").into(),
        ..plain()
    };
    let plugins = [setup("a", ""), setup("b", ""), setup("c", "other")];
    let host = start_chain(plugins.map(|setup| (extension.clone(), setup))).unwrap();
    let expected = [
        r#"("start", 1)"#,
        r#"(1, Ok("a"), Ok("of a"))"#,
        // Measured: a root is told that the VM starts, though it runs already.
        r#"("start", 2)"#,
        r#"(2, Ok("b"), Ok("of b"))"#,
        r#"("start", 1)"#,
        r#"(1, Ok("c"), Ok("of c"))"#,
    ];
    assert_eq!(said(&host.log()), expected);
    assert_eq!(said(&get(&host).log), [r#"(3, Ok("a"))"#, r#"(4, Ok("b"))"#, r#"(2, Ok("c"))"#]);
}
