//! The timer of a root context: row 41.

use crate::guest::{guest, raw, said};
use crate::scripted::{around, say, worker};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::engine::{Call, Side, Vm};
use proxy_wasm_kit_host::exchange::{Clock, Message, Setup};
use std::time::Duration;

const MS: u64 = 1_000_000;

fn setup() -> Setup {
    Setup { clock: Clock::Fixed(0), ..around(&[]) }
}

/// Says at which millisecond it is called.
fn tick(call: &Call, vm: &mut Vm) {
    if let Call::Tick { context } = call {
        let now = vm.now() / MS;
        say!(vm, format!("tick {context} at {now}"));
    }
}

fn get() -> Message {
    Message::request("GET", "/")
}

#[test]
fn row_41_a_timer_is_armed_again_until_it_is_stopped() {
    let mut worker = worker(setup(), |call, vm| {
        match call {
            Call::ContextCreate { parent: 0, .. } => vm.set_tick_period(10).unwrap(),
            Call::Tick { .. } if vm.now() >= 30 * MS => vm.set_tick_period(0).unwrap(),
            _ => {}
        }
        tick(call, vm);
        0
    });
    worker.pass(Duration::from_millis(100));
    assert_eq!(said(worker.vm().borrow().lines()), ["tick 1 at 10", "tick 1 at 20", "tick 1 at 30"]);
    assert_eq!(worker.vm().borrow().now(), 100 * MS);
    assert_eq!(worker.next_due(), None);
}

#[test]
fn row_41_a_stream_sets_the_timer_of_its_root_and_a_new_period_replaces_the_old() {
    let mut worker = worker(setup(), |call, vm| {
        match call {
            Call::ContextCreate { parent: 0, .. } => vm.set_tick_period(50).unwrap(),
            Call::Headers { side: Side::Request, .. } => vm.set_tick_period(20).unwrap(),
            _ => {}
        }
        tick(call, vm);
        0
    });
    worker.pass(Duration::from_millis(45));
    worker.exchange(get(), &Message::response(200));
    worker.pass(Duration::from_millis(45));
    assert_eq!(said(worker.vm().borrow().lines()), ["tick 1 at 65", "tick 1 at 85"]);
}

#[test]
fn row_41_a_tick_can_let_a_stream_go_on() {
    let mut stream = 0;
    let mut worker = worker(setup(), move |call, vm| {
        tick(call, vm);
        match *call {
            Call::Headers { context, side: Side::Request, .. } => {
                stream = context;
                vm.set_tick_period(5).unwrap();
                return 1;
            }
            Call::Tick { .. } if vm.now() >= 10 * MS => {
                vm.set_effective_context(stream).unwrap();
                vm.continue_stream(0).unwrap();
                vm.set_tick_period(0).unwrap();
            }
            _ => {}
        }
        0
    });
    let seen = worker.exchange(get(), &Message::response(200));
    assert_eq!((seen.client.unwrap().status(), said(&seen.log)), (200, vec!["tick 1 at 5", "tick 1 at 10"]));
}

#[test]
fn row_41_a_client_does_not_wait_for_ever() {
    let mut worker = worker(setup(), |call, vm| {
        if let Call::Headers { side: Side::Request, .. } = call {
            vm.set_tick_period(1000).unwrap();
            return 1;
        }
        0
    });
    let seen = worker.exchange(get(), &Message::response(200));
    assert_eq!((seen.client, seen.details.as_str()), (None, "downstream_remote_disconnect"));
    assert_eq!(seen.callbacks["proxy_on_tick"], 60);
}

#[test]
fn row_41_a_tick_is_for_the_root() {
    let host = guest()
        .on_configure(|_| {
            raw::tick_every(7).unwrap();
            Action::Continue
        })
        .on_tick(|told| {
            raw::say(format!("{} {:?}", told.context, raw::get(raw::REQUEST, ":path")));
            Action::Continue
        })
        .start_with(setup())
        .unwrap();
    host.pass(Duration::from_millis(20));
    assert_eq!(said(&host.log()), ["1 Err(2)", "1 Err(2)"]);
}
