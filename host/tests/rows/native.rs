//! What only shows where each VM has a thread of its own, of rows 2 and 44. For modules, `host/tests/hostile/start` has row 2
//! and `host/tests/cases/chain.yaml` row 44.

use crate::guest::{plain, raw, said};
use crate::shared::configuring;
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::engine::Refusal;
use proxy_wasm_kit_host::exchange::{Message, Setup};
use proxy_wasm_kit_host::native::Host;
use std::cell::Cell;

#[test]
fn row_2_only_logging_is_allowed_while_the_module_initialises() {
    let initialize = || {
        raw::say("hello");
        raw::say(raw::define_metric(0, "m"));
    };
    let rejected = Host::start(initialize, Setup::default()).err().unwrap();
    assert_eq!(said(&rejected.log), ["hello", "Err(10)"]);
    let reason = "restricted_callback: proxy_define_metric while the module initialises";
    assert_eq!(rejected.reason, Refusal::Failed(reason.into()));
}

thread_local! {
    /// Which of the workers a VM is on, by the order of their starts; each VM has a thread of its own.
    static NUMBER: Cell<u32> = const { Cell::new(0) };
}

#[test]
fn row_44_of_several_workers_the_last_one_hears_whoever_sends() {
    let guest = configuring(|| {
        let before = raw::shared("started").map_or(0, |(text, _)| text.map_or(0, |text| text.len()));
        raw::set_shared("started", &"x".repeat(before + 1), 0).unwrap();
        NUMBER.set(before as u32);
        raw::register_queue("q").unwrap();
    })
    .on_request_headers(|_| {
        raw::enqueue(raw::resolve_queue("", "q").unwrap(), "hello").unwrap();
        raw::say(("sent by", NUMBER.get()));
        Action::Continue
    })
    .on_queue_ready(|told| {
        raw::say(("heard by", NUMBER.get(), raw::dequeue(told.size as u32)));
        Action::Continue
    });
    let host = guest.start_with(Setup { workers: 3, ..plain() }).unwrap();
    for sender in 0..3 {
        let seen = host.exchange(Message::request("GET", "/"), &Message::response(200));
        let expected = [format!(r#"("sent by", {sender})"#), r#"("heard by", 2, Ok("hello"))"#.into()];
        assert_eq!(said(&seen.log), expected);
    }
}
