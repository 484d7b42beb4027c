//! Start-up and contexts: rows 5 to 8.

use crate::back_end::{failed_by, own_calls};
use crate::guest::{guest, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::engine::Refusal;
use proxy_wasm_kit_host::exchange::{Message, Setup};

#[test]
fn row_5_contexts_count_from_one_and_are_not_reused() {
    let host = guest()
        .on_configure(|told| {
            raw::say(told.context);
            Action::Continue
        })
        .on_create(|told| {
            raw::say(told.context);
            Action::Continue
        })
        .start();
    for _ in 0..2 {
        host.exchange(Message::request("GET", "/"), &Message::response(200));
    }
    assert_eq!(said(&host.log()), ["1", "2", "3"]);
}

#[test]
fn row_6_a_refused_configuration_is_a_rejection() {
    let refuse = |_| {
        raw::say("refused");
        Action::Pause
    };
    let by_configure = guest().on_configure(refuse).start_with(Setup::default()).err().unwrap();
    assert_eq!((said(&by_configure.log), by_configure.reason), (vec!["refused"], Refusal::Configure));
    let by_start = guest().on_vm_start(refuse).on_configure(|_| panic!("never")).start_with(Setup::default());
    assert_eq!(by_start.err().unwrap().reason, Refusal::VmStart);
}

#[test]
fn row_6_a_panic_while_configuring_is_a_rejection() {
    let rejected = guest().on_configure(|_| panic!("boom")).start_with(Setup::default()).err().unwrap();
    let Refusal::Failed(reason) = &rejected.reason else { panic!("{rejected}") };
    assert!(failed_by(Some(reason), "boom"), "{reason}");
    assert_eq!(rejected.to_string(), format!("the VM failed: {reason}\nError: panicked: boom"));
}

#[test]
fn row_6_sizes_of_the_configurations_are_told() {
    let setup = Setup { configuration: "plugin".into(), vm_configuration: "vm".into(), ..Setup::default() };
    let size = |told: crate::guest::Told| {
        raw::say(told.size);
        Action::Continue
    };
    let host = guest().on_vm_start(size).on_configure(size).start_with(setup).unwrap();
    assert_eq!(said(&host.log()), ["2", "6"]);
    assert_eq!(own_calls(host.calls_at_start()), [("proxy_log".to_owned(), 2)].into());
}

#[test]
fn row_7_a_stream_context_is_created_with_its_first_headers() {
    let seen = guest()
        .on_create(|_| {
            raw::say(("create", raw::property("request.path"), raw::property("xds.cluster_name")));
            Action::Continue
        })
        .on_request_headers(|_| {
            raw::say("headers");
            Action::Continue
        })
        .get();
    assert_eq!(said(&seen.log), [r#"("create", Err(1), Ok("upstream"))"#, "headers"]);
}

#[test]
fn row_8_the_effective_context_ends_with_the_callback() {
    let seen = guest()
        .on_request_headers(|told| {
            raw::say((raw::set_effective_context(1), raw::get(raw::REQUEST, ":path")));
            raw::say((raw::set_effective_context(told.context), raw::get(raw::REQUEST, ":path")));
            raw::say((raw::set_effective_context(99), raw::set_effective_context(0)));
            raw::set_effective_context(1).unwrap();
            Action::Continue
        })
        .on_response_headers(|_| {
            raw::say(raw::get(raw::RESPONSE, ":status"));
            Action::Continue
        })
        .get();
    let expected = ["(Ok(()), Err(2))", r#"(Ok(()), Ok("/"))"#, "(Err(2), Err(2))", r#"Ok("200")"#];
    assert_eq!(said(&seen.log), expected);
}
