//! Starts, workers, failures and ends: rows 3, 6, 30, 51 and 55.

use crate::back_end::{Host, failed_by, reconfigure, start_chain};
use crate::guest::{Guest, guest, plain, raw, said};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::engine::Metric;
use proxy_wasm_kit_host::exchange::{Clock, Exchange, FailurePolicy, Message, Setup};
use std::time::Duration;

fn get(host: &Host) -> Exchange {
    host.exchange(Message::request("GET", "/"), &Message::response(200))
}

fn status(host: &Host) -> u16 {
    get(host).client.map_or(0, |client| client.status())
}

/// Says something in a hook.
fn say(text: &'static str) -> impl Fn(crate::guest::Told) -> Action + Send + Sync {
    move |_| {
        raw::say(text);
        Action::Continue
    }
}

/// Counts how often it is configured; counts requests in its VM's memory.
fn counter() -> Guest {
    guest()
        .on_configure(|_| {
            raw::increment_metric(raw::define_metric(0, "configured").unwrap(), 1).unwrap();
            Action::Continue
        })
        .on_request_headers(|told| {
            raw::increment_metric(raw::define_metric(0, "requests").unwrap(), 1).unwrap();
            raw::say(told.context);
            Action::Continue
        })
}

#[test]
fn row_3_a_plugin_is_configured_twice_more_than_there_are_workers() {
    let configured = |workers, rehearse| {
        let host = counter().start_with(Setup { workers, rehearse, ..plain() }).unwrap();
        host.metrics()["configured"].clone()
    };
    assert_eq!(configured(1, true), Metric::Counter(3));
    assert_eq!(configured(4, true), Metric::Counter(6));
    assert_eq!(configured(4, false), Metric::Counter(4));
}

#[test]
fn row_3_a_refusal_shows_in_the_first_start_and_ends_all() {
    let refuse = guest().on_configure(|_| {
        raw::say("refused");
        Action::Pause
    });
    let rejected = refuse.start_with(Setup { workers: 2, rehearse: true, ..plain() }).err().unwrap();
    assert_eq!(said(&rejected.log), ["refused"]);
}

#[test]
fn row_3_workers_take_turns_and_have_vms_of_their_own() {
    let host = counter().start_with(Setup { workers: 2, ..plain() }).unwrap();
    let contexts: Vec<_> = (0..4).map(|_| said(&get(&host).log).join(",")).collect();
    assert_eq!(contexts, ["2", "2", "3", "3"]);
    host.turn_to(1);
    assert_eq!(said(&get(&host).log), ["4"]);
    assert_eq!(host.metrics()["requests"], Metric::Counter(5));
}

/// The first start is good, the others are not.
#[test]
fn row_6_a_plugin_that_does_not_start_on_a_worker_has_failed_there() {
    let host = |setup: Setup| {
        let good_once = guest().on_configure(|_| {
            let first = raw::shared("started").is_err();
            raw::set_shared("started", "", 0).unwrap();
            if first { Action::Continue } else { Action::Pause }
        });
        good_once.start_with(Setup { rehearse: true, ..setup }).unwrap()
    };
    let reload = FailurePolicy::Reload;
    assert_eq!(status(&host(plain())), 503);
    assert_eq!(status(&host(Setup { failure_policy: reload, ..plain() })), 503);
    assert_eq!(status(&host(Setup { fail_open: true, ..plain() })), 200);
}

#[test]
fn row_30_a_root_that_is_not_done_waits_until_it_says_so() {
    let host = guest()
        .on_configure(|_| {
            raw::tick_every(10).unwrap();
            Action::Continue
        })
        .on_root_done(|_| {
            raw::say("not yet");
            Action::Pause
        })
        .on_tick(|_| {
            raw::say((raw::root_done(), raw::root_done()));
            Action::Continue
        })
        .start_with(Setup { clock: Clock::Fixed(0), ..plain() })
        .unwrap();
    host.pass(Duration::from_millis(10));
    host.shut_down();
    host.pass(Duration::from_millis(100));
    // The timer is gone with the root.
    assert_eq!(said(&host.log()), ["(Err(1), Err(1))", "not yet", "(Ok(()), Err(1))"]);
}

#[test]
fn row_30_a_root_that_is_done_ends_at_once() {
    let host = guest().on_root_done(say("done")).start();
    host.shut_down();
    host.shut_down();
    assert_eq!(said(&host.log()), ["done"]);
}

#[test]
fn row_30_a_new_configuration_gets_a_root_of_its_own_and_the_old_one_ends() {
    let extension = guest()
        .on_configure(|told| {
            raw::say(("configure", told.context, raw::buffer(7)));
            if told.size == 3 { Action::Pause } else { Action::Continue }
        })
        .on_root_done(|told| {
            raw::say(("done", told.context));
            Action::Continue
        })
        .on_request_headers(|told| {
            raw::say((told.context, raw::property("plugin_name")));
            Action::Continue
        })
        .extension();
    let plugin = |name: &str, configuration: &str, vm: &str| {
        let (name, configuration) = (name.into(), configuration.into());
        (extension.clone(), Setup { name, configuration, vm_configuration: vm.into(), ..plain() })
    };
    let host = start_chain([plugin("a", "1", "")]).unwrap();
    get(&host);
    reconfigure(&host, [plugin("b", "22", "")]).unwrap();
    get(&host);
    let rejected = reconfigure(&host, [plugin("c", "bad", "")]).unwrap_err();
    assert_eq!(said(&rejected.log), [r#"("configure", 5, Ok("bad"))"#, r#"("done", 5)"#]);
    get(&host);
    reconfigure(&host, [plugin("d", "1", "new VM")]).unwrap();
    get(&host);
    let expected = [
        r#"("configure", 1, Ok("1"))"#,
        r#"(2, Ok("a"))"#,
        r#"("configure", 3, Ok("22"))"#,
        r#"("done", 1)"#,
        r#"(4, Ok("b"))"#,
        r#"("configure", 5, Ok("bad"))"#,
        r#"("done", 5)"#,
        r#"(6, Ok("b"))"#,
        r#"("configure", 1, Ok("1"))"#,
        r#"("done", 3)"#,
        r#"(2, Ok("d"))"#,
    ];
    assert_eq!(said(&host.log()), expected);
}

fn failing(policy: FailurePolicy) -> Host {
    guest()
        .on_request_headers(|told| {
            raw::say(told.context);
            if raw::get(raw::REQUEST, "x-fail").is_ok() {
                panic!("boom");
            }
            Action::Continue
        })
        .start_with(Setup { failure_policy: policy, clock: Clock::Fixed(0), ..plain() })
        .unwrap()
}

fn fail(host: &Host) -> u16 {
    let request = Message::request("GET", "/").header("x-fail", "");
    host.exchange(request, &Message::response(200)).client.map_or(0, |client| client.status())
}

/// Measured: unlike the older `fail_open`.
#[test]
fn row_49_the_policy_fail_open_lets_only_later_requests_through() {
    let host = failing(FailurePolicy::Open);
    assert_eq!((fail(&host), status(&host), said(&host.log()).len()), (503, 200, 2));
}

#[test]
fn row_51_a_failed_vm_is_loaded_again_by_a_stream_a_second_after_it_was_loaded() {
    let host = failing(FailurePolicy::Reload);
    host.pass(Duration::from_millis(999));
    assert_eq!((fail(&host), status(&host)), (503, 503));
    // Measured: it does not count from the failure on.
    host.pass(Duration::from_millis(1));
    assert_eq!((status(&host), fail(&host), status(&host)), (200, 503, 503));
    host.pass(Duration::from_millis(999));
    assert_eq!(status(&host), 503);
    host.pass(Duration::from_millis(1));
    assert_eq!((status(&host), host.failure()), (200, None));
    // Contexts count from the start again.
    let log = host.log();
    let contexts: Vec<_> = said(&log).into_iter().filter(|line| line.len() == 1).collect();
    assert_eq!(contexts, ["2", "2", "3", "2"]);
}

#[test]
fn row_51_only_the_worker_whose_vm_has_failed_suffers() {
    let host = guest()
        .on_request_headers(|_| match raw::get(raw::REQUEST, "x-fail") {
            Ok(_) => panic!("boom"),
            Err(_) => Action::Continue,
        })
        .start_with(Setup { workers: 2, ..plain() })
        .unwrap();
    assert_eq!([fail(&host), status(&host), status(&host), status(&host)], [503, 200, 503, 200]);
}

fn allowing(names: &[&str]) -> Setup {
    Setup { allowed_capabilities: Some(names.iter().map(|name| (*name).to_owned()).collect()), ..plain() }
}

#[test]
fn row_55_what_is_not_allowed_is_absent_or_fails() {
    let guest = guest()
        .on_request_headers(|_| {
            raw::say((raw::get(raw::REQUEST, ":path"), raw::set_property("x", "y")));
            Action::Continue
        })
        .on_response_headers(|_| panic!("not called"));
    let names =
        ["proxy_log", "proxy_on_context_create", "proxy_on_request_headers", "proxy_get_header_map_value"];
    let host = guest.clone().start_with(allowing(&names)).unwrap();
    assert_eq!(said(&get(&host).log), [r#"(Ok("/"), Err(10))"#]);
    // An empty list restricts nothing.
    let failure = get(&guest.start_with(allowing(&[])).unwrap()).vm_failure;
    assert!(failed_by(failure.as_deref(), "not called"), "{failure:?}");
}
