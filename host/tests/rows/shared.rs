//! What VMs share: rows 43 and 44.

use crate::back_end::{Extension, start_chain};
use crate::guest::{Guest, guest, plain, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::exchange::{Message, Setup};

fn in_vm(guest: Guest, vm_id: &str) -> (Extension, Setup) {
    (guest.extension(), Setup { vm_id: vm_id.into(), ..plain() })
}

pub(crate) fn configuring(hook: impl Fn() + Send + Sync + 'static) -> Guest {
    guest().on_configure(move |_| {
        hook();
        Action::Continue
    })
}

#[test]
fn row_43_every_write_has_a_version_of_its_own_and_a_wrong_one_is_refused() {
    let host = configuring(|| {
        raw::say(raw::shared("k"));
        raw::say((raw::set_shared("k", "one", 99), raw::shared("k")));
        raw::say((raw::set_shared("k", "two", 2), raw::set_shared("k", "two", 1), raw::shared("k")));
        raw::say((raw::set_shared("other", "", 0), raw::shared("other")));
        raw::say((raw::set_shared("k", "three", u32::MAX), raw::set_shared("new", "x", u32::MAX)));
    })
    .start();
    let expected = [
        "Err(1)",
        r#"(Ok(()), Ok((Some("one"), 1)))"#,
        r#"(Err(8), Ok(()), Ok((Some("two"), 2)))"#,
        "(Ok(()), Ok((None, 3)))",
        "(Err(8), Ok(()))",
    ];
    assert_eq!(said(&host.log()), expected);
}

#[test]
fn row_43_data_is_shared_by_vm_id() {
    let writer = configuring(|| raw::set_shared("k", "v", 0).unwrap());
    let reader = || configuring(|| raw::say(raw::shared("k").map(|(value, _)| value)));
    let plugins = [in_vm(writer, "a"), in_vm(reader(), "a"), in_vm(reader(), "b")];
    let host = start_chain(plugins).unwrap();
    assert_eq!(said(&host.log()), [r#"Ok(Some("v"))"#, "Err(1)"]);
}

#[test]
fn row_44_a_queue_keeps_its_order_and_its_name() {
    let host = configuring(|| {
        let queue = raw::register_queue("q").unwrap();
        raw::say((raw::register_queue("q") == Ok(queue), raw::dequeue(queue), raw::dequeue(99)));
        raw::say((raw::enqueue(queue, "one"), raw::enqueue(queue, ""), raw::enqueue(99, "x")));
        raw::say((raw::dequeue(queue), raw::dequeue(queue), raw::dequeue(queue)));
        raw::say((raw::resolve_queue("", "q") == Ok(queue), raw::resolve_queue("", "other")));
        raw::say(raw::resolve_queue("other", "q"));
    })
    .start();
    let expected = [
        "(true, Err(7), Err(1))",
        "(Ok(()), Ok(()), Err(1))",
        r#"(Ok("one"), Ok(""), Err(7))"#,
        "(true, Err(1))",
        "Err(1)",
    ];
    assert_eq!(said(&host.log()), expected);
}

#[test]
fn row_44_the_receiver_hears_of_every_entry_once_the_callback_is_over() {
    let receiver = configuring(|| assert!(raw::register_queue("q").is_ok())).on_queue_ready(|told| {
        raw::say(("ready", told.context, raw::dequeue(told.size as u32)));
        Action::Continue
    });
    let sender = guest().on_request_headers(|_| {
        let queue = raw::resolve_queue("a", "q").unwrap();
        raw::enqueue(queue, "one").unwrap();
        raw::enqueue(queue, "two").unwrap();
        raw::say("sent");
        Action::Continue
    });
    let host = start_chain([in_vm(receiver, "a"), in_vm(sender, "b")]).unwrap();
    let seen = host.exchange(Message::request("GET", "/"), &Message::response(200));
    assert_eq!(said(&seen.log), ["sent", r#"("ready", 1, Ok("one"))"#, r#"("ready", 1, Ok("two"))"#]);
}

#[test]
fn row_44_who_registers_last_takes_the_queue_over_with_what_is_in_it() {
    let register = |name: &'static str| {
        configuring(move || {
            let queue = raw::register_queue("q").unwrap();
            raw::say((name, raw::enqueue(queue, name), raw::dequeue(queue)));
            raw::enqueue(queue, name).unwrap();
        })
        .on_queue_ready(move |_| {
            raw::say(format!("{name} hears"));
            Action::Continue
        })
    };
    let host = start_chain([in_vm(register("a"), "v"), in_vm(register("b"), "v")]).unwrap();
    assert_eq!(said(&host.log()), [r#"("a", Ok(()), Ok("a"))"#, r#"("b", Ok(()), Ok("a"))"#]);
    let seen = host.exchange(Message::request("GET", "/"), &Message::response(200));
    // What was sent before is told to who was the receiver then.
    assert_eq!(said(&seen.log), ["a hears", "a hears", "b hears", "b hears"]);
}
