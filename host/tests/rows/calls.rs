//! HTTP callouts: rows 9, 22, 31, 34 to 39 and 50.

use crate::back_end::{failed_by, http_call};
use crate::guest::{guest, raw, said};
use crate::scripted::{around, say, worker, worker_within};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::engine::{BufferType, Call, Guest, MapType, Side, Status, Vm, Worker};
use proxy_wasm_kit_host::exchange::{Clock, Exchange, FailurePolicy, Message, Setup};
use proxy_wasm_kit_host::outside::{Answer, Arrival, Callout, Fault, Outside};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The header and the body map of a callout's response.
const HEADERS: MapType = MapType::Callout(6);
const TRAILERS: MapType = MapType::Callout(7);

fn get() -> Message {
    Message::request("GET", "/")
}

fn ok() -> Message {
    Message::response(200)
}

fn failing(fault: Fault) -> Answer {
    Answer { message: ok().body("half"), fault: Some(fault), ..Answer::default() }
}

/// Calls `policy`, as the crate does for its users.
fn call(timeout: u64) -> Result<u32, u32> {
    let headers = vec![(":method", "GET"), (":path", "/check"), (":authority", "policy")];
    http_call("policy", headers, Duration::from_millis(timeout))
}

/// What a callback about callouts can read, in one line.
fn readable(vm: &mut Vm) -> String {
    let status = vm.get_header_map_value(HEADERS, b":status").map(|value| String::from_utf8(value).unwrap());
    let body =
        vm.get_buffer_bytes(BufferType::CalloutBody, 0, 999).map(|body| String::from_utf8(body).unwrap());
    let (code, text) = vm.get_status();
    format!("{status:?} {body:?} {code} {}", String::from_utf8_lossy(&text))
}

/// A guest that calls `policy` when a request begins, waits, says what it is told, and goes on.
fn waiting(setup: Setup, timeout: u32) -> Exchange {
    let mut stream = 0;
    worker(setup, move |call, vm| match *call {
        Call::Headers { context, side: Side::Request, .. } => {
            stream = context;
            let called = vm.http_call(b"policy", Message::request("GET", "/check"), timeout);
            say!(vm, called);
            1
        }
        Call::HttpCallResponse { context, headers, body_size, trailers, .. } => {
            let line = readable(vm);
            say!(vm, format!("{context} {headers} {body_size} {trailers}: {line}"));
            vm.set_effective_context(stream).unwrap();
            vm.continue_stream(0).unwrap();
            0
        }
        _ => 0,
    })
    .exchange(get(), &ok())
}

#[test]
fn row_34_a_callout_belongs_to_the_root_and_reaches_its_cluster() {
    let answer = Message::response(403).header("x-a", "b").body("no").trailer("t", "1");
    let seen = waiting(around(&[("policy", vec![answer.into()])]), 0);
    assert_eq!(said(&seen.log), ["Ok(4)", "1 3 2 1: Ok(\"403\") Ok(\"no\") 0 "]);
    let [(cluster, request)] = seen.callouts.as_slice() else { panic!("{:?}", seen.callouts) };
    assert_eq!((cluster.as_str(), request.headers.first(":path")), ("policy", Some(&b"/check"[..])));
    assert_eq!(seen.client.unwrap().status(), 200);
}

#[test]
fn row_34_bad_arguments() {
    let seen = worker(around(&[("policy", vec![])]), |call, vm| {
        if let Call::Headers { side: Side::Request, .. } = call {
            for name in [":method", ":path", ":authority"] {
                let mut request = get();
                request.headers.remove(name);
                say!(vm, vm_call(vm, "policy", request, 0));
            }
            say!(vm, vm_call(vm, "nobody", get(), 0));
            say!(vm, vm_call(vm, "policy", get(), u32::MAX));
            let mut host = get();
            host.headers.remove(":authority");
            say!(vm, vm_call(vm, "policy", host.header("Host", "x"), 0));
        }
        0
    })
    .exchange(get(), &ok());
    let refused = format!("{:?}", Err::<u32, _>(Status::BAD_ARGUMENT));
    assert_eq!(said(&seen.log), [refused.as_str(); 5].into_iter().chain(["Ok(4)"]).collect::<Vec<_>>());
}

fn vm_call(vm: &mut Vm, cluster: &str, request: Message, timeout: u32) -> Result<u32, Status> {
    vm.http_call(cluster.as_bytes(), request, timeout)
}

#[test]
fn row_34_a_body_sets_its_length() {
    let seen = worker(around(&[("policy", vec![])]), |call, vm| {
        if let Call::Headers { side: Side::Request, .. } = call {
            vm_call(vm, "policy", get().header("content-length", "9").body("hello").trailer("t", "1"), 0)
                .unwrap();
            vm_call(vm, "policy", get(), 0).unwrap();
        }
        0
    })
    .exchange(get(), &ok());
    let [(_, with), (_, without)] = seen.callouts.as_slice() else { panic!("{:?}", seen.callouts) };
    assert_eq!(
        (with.headers.first("content-length"), with.whole_body()),
        (Some(&b"5"[..]), b"hello".to_vec())
    );
    assert_eq!(with.trailers.first("t"), Some(&b"1"[..]));
    assert_eq!((without.headers.first("content-length"), without.body.len()), (None, 0));
}

#[test]
fn row_35_an_immediate_failure_has_no_callback() {
    let seen = waiting(around(&[("policy", vec![failing(Fault::NoHost)])]), 0);
    assert_eq!(said(&seen.log), [format!("{:?}", Err::<u32, _>(Status::INTERNAL_FAILURE))]);
    assert_eq!((seen.client, seen.callouts.len()), (None, 0));
}

#[test]
fn row_36_failures_before_a_response_are_responses() {
    let begin = "upstream connect error or disconnect/reset before headers. reset reason: ";
    let rows = [
        (Fault::Refuse, 0, "503", format!("{begin}remote connection failure, tran"), 0),
        (Fault::Disconnect, 0, "503", format!("{begin}connection termination"), 1),
        (Fault::Timeout, 50, "504", "upstream request timeout".to_owned(), 1),
    ];
    for (fault, timeout, status, text, reached) in rows {
        let seen = waiting(around(&[("policy", vec![failing(fault)])]), timeout);
        let line = said(&seen.log)[1].to_owned();
        assert!(line.contains(&format!("Ok(\"{status}\") Ok(\"{text}")), "{line}");
        assert!(line.ends_with(" 0 "), "{line}");
        assert_eq!((seen.callouts.len(), seen.client.unwrap().status()), (reached, 200));
    }
}

#[test]
fn row_36_a_reset_is_a_callback_without_a_response() {
    for fault in [Fault::Reset, Fault::Oversize] {
        let seen = waiting(around(&[("policy", vec![failing(fault)])]), 0);
        assert_eq!(said(&seen.log)[1], "1 0 0 0: Err(Status(2)) Err(Status(1)) 11 reset");
    }
}

#[test]
fn row_36_what_comes_later_than_the_timeout_is_too_late() {
    let slow = Answer { delay: Duration::from_millis(80), ..ok().into() };
    let seen = waiting(around(&[("policy", vec![slow.clone()])]), 50);
    assert!(said(&seen.log)[1].contains("Ok(\"504\")"));
    let seen = waiting(around(&[("policy", vec![slow])]), 100);
    assert!(said(&seen.log)[1].contains("Ok(\"200\")"));
}

#[test]
fn row_36_answers_come_one_after_the_other_and_the_last_again() {
    let answers = [200, 404].map(|status| Message::response(status).into()).to_vec();
    let mut worker = worker(around(&[("policy", answers)]), |call, vm| {
        match call {
            Call::Headers { side: Side::Request, .. } => drop(vm_call(vm, "policy", get(), 0)),
            Call::HttpCallResponse { id, .. } => {
                let status = vm.get_header_map_value(HEADERS, b":status").unwrap();
                say!(vm, format!("{id} {}", String::from_utf8_lossy(&status)));
            }
            _ => {}
        }
        0
    });
    let said = [0, 1, 2].map(|_| said(&worker.exchange(get(), &ok()).log).join(","));
    assert_eq!(said, ["4 200", "8 404", "12 404"]);
}

#[test]
fn row_37_outside_of_its_callback_nothing_of_a_callout_can_be_read() {
    let setup = around(&[("policy", vec![ok().body("yes").trailer("t", "1").into()])]);
    let seen = worker(setup, |call, vm| {
        if let Call::Headers { side: Side::Request, .. } = call {
            vm_call(vm, "policy", get(), 0).unwrap();
        }
        if let Call::HttpCallResponse { .. } = call {
            say!(vm, vm_add(vm));
            say!(vm, vm.get_header_map_pairs(TRAILERS).0.len());
        }
        if let Call::HttpCallResponse { .. } | Call::Done { .. } = call {
            let line = readable(vm);
            say!(vm, line);
        }
        0
    })
    .exchange(get(), &ok());
    let refused = format!("{:?}", Err::<(), _>(Status::BAD_ARGUMENT));
    let expected = [&refused, "1", "Ok(\"200\") Ok(\"yes\") 0 ", "Err(Status(2)) Err(Status(1)) 0 "];
    assert_eq!(said(&seen.log), expected);
}

fn vm_add(vm: &mut Vm) -> Result<(), Status> {
    vm.add_header_map_value(HEADERS, b"x", b"y")
}

#[test]
fn row_38_an_answer_waits_until_the_callback_has_returned() {
    let seen = guest()
        .on_request_headers(|_| {
            raw::say(call(0).is_ok());
            raw::say("leaving");
            Action::Pause
        })
        .on_answer(|told| {
            raw::say(format!("answer of {} bytes", told.size));
            raw::continue_stream(0).unwrap();
            Action::Continue
        })
        .start_with(around(&[("policy", vec![ok().body("yes").into()])]))
        .unwrap()
        .exchange(get(), &ok());
    assert_eq!(said(&seen.log), ["true", "leaving", "answer of 3 bytes"]);
    assert_eq!((seen.details.as_str(), seen.misuse.len()), ("via_upstream", 0));
}

#[test]
fn row_39_a_stream_that_is_gone_does_not_end_its_callout() {
    let late = Answer { delay: Duration::from_millis(20), ..ok().into() };
    let mut stream = 0;
    let mut worker = worker(around(&[("policy", vec![late])]), move |call, vm| {
        match *call {
            Call::Headers { context, side: Side::Request, .. } => {
                stream = context;
                vm_call(vm, "policy", get(), 0).unwrap();
                vm.send_local_response(reply(403)).unwrap();
            }
            Call::HttpCallResponse { .. } => {
                say!(vm, vm.set_effective_context(stream));
            }
            _ => {}
        }
        0
    });
    let seen = worker.exchange(get(), &ok());
    assert_eq!((seen.client.unwrap().status(), seen.callouts.len(), seen.log.len()), (403, 1, 0));
    worker.pass(Duration::from_millis(20));
    assert_eq!(said(worker.vm().borrow().lines()), [format!("{:?}", Err::<(), _>(Status::BAD_ARGUMENT))]);
}

fn reply(status: u32) -> proxy_wasm_kit_host::engine::LocalReply {
    proxy_wasm_kit_host::engine::LocalReply { status, ..Default::default() }
}

#[test]
fn row_22_what_is_edited_before_the_request_goes_on_reaches_the_upstream() {
    let seen = guest()
        .on_request_headers(|_| {
            call(0).unwrap();
            Action::Pause
        })
        .on_answer(|_| {
            raw::add(raw::REQUEST, "x-user", raw::get(6, "x-user").unwrap().as_str()).unwrap();
            raw::continue_stream(0).unwrap();
            raw::say(raw::add(raw::REQUEST, "x-late", "1"));
            Action::Continue
        })
        .start_with(around(&[("policy", vec![ok().header("x-user", "joe").into()])]))
        .unwrap()
        .exchange(get(), &ok());
    assert_eq!(said(&seen.log), ["Err(2)"]);
    let upstream = seen.upstream.unwrap().headers;
    assert_eq!((upstream.first("x-user"), upstream.first("x-late")), (Some(&b"joe"[..]), None));
}

#[test]
fn row_9_a_callout_clears_the_route_of_the_effective_context() {
    let seen = guest()
        .on_request_headers(|_| {
            call(0).unwrap();
            Action::Pause
        })
        .on_answer(|told| {
            // The crate has set the effective context to the stream.
            raw::say((told.last, raw::get(raw::REQUEST, ":path"), raw::foreign("clear_route_cache")));
            raw::continue_stream(0).unwrap();
            Action::Continue
        })
        .start_with(around(&[("policy", vec![])]))
        .unwrap()
        .exchange(get(), &ok());
    assert_eq!(said(&seen.log), ["(false, Ok(\"/\"), Ok(\"\"))"]);
    assert_eq!(seen.route_clears, 1);
}

#[test]
fn row_31_a_reply_from_a_callout_answers_the_stream() {
    let seen = guest()
        .on_request_headers(|_| {
            call(0).unwrap();
            Action::Pause
        })
        .on_answer(|_| {
            raw::reply(403, "policy", "no", &[]).unwrap();
            Action::Continue
        })
        .start_with(around(&[("policy", vec![Message::response(403).into()])]))
        .unwrap()
        .exchange(get(), &ok());
    let client = seen.client.unwrap();
    assert_eq!((client.status(), client.whole_body(), seen.upstream), (403, b"no".to_vec(), None));
}

#[test]
fn row_32_a_reply_for_the_root_leaves_the_request_hanging() {
    let seen = worker(around(&[("policy", vec![])]), |call, vm| match call {
        Call::Headers { side: Side::Request, .. } => {
            vm_call(vm, "policy", get(), 0).unwrap();
            1
        }
        Call::HttpCallResponse { .. } => {
            say!(vm, vm.send_local_response(reply(403)));
            0
        }
        _ => 0,
    })
    .exchange(get(), &ok());
    assert_eq!((said(&seen.log), seen.client), (vec!["Ok(())"], None));
    assert_eq!(seen.details, "downstream_remote_disconnect");
}

#[test]
fn row_50_a_panic_in_a_callout_answers_nobody() {
    let host = guest()
        .on_request_headers(|_| {
            call(0).unwrap();
            Action::Pause
        })
        .on_answer(|_| panic!("asked for"))
        .start_with(around(&[("policy", vec![])]))
        .unwrap();
    let seen = host.exchange(get(), &ok());
    assert_eq!((seen.client, seen.details.as_str()), (None, "downstream_remote_disconnect"));
    assert!(failed_by(seen.vm_failure.as_deref(), "asked for"), "{:?}", seen.vm_failure);
    assert_eq!(host.exchange(get(), &ok()).client.unwrap().status(), 503);
}

#[test]
fn row_42_the_clock_stands_at_the_time_of_what_happens() {
    let slow = Answer { delay: Duration::from_millis(1500), ..ok().into() };
    let setup = Setup { clock: Clock::Fixed(1_000_000_000), ..around(&[("policy", vec![slow])]) };
    let host = guest()
        .on_request_headers(|_| {
            raw::say(raw::now());
            call(0).unwrap();
            Action::Pause
        })
        .on_answer(|_| {
            raw::say(raw::now());
            raw::continue_stream(0).unwrap();
            Action::Continue
        })
        .start_with(setup)
        .unwrap();
    assert_eq!(said(&host.exchange(get(), &ok()).log), ["Ok(1000000000)", "Ok(2500000000)"]);
}

/// Clusters that never answer; notes what is cancelled.
struct Silent(Arc<Mutex<Vec<u32>>>);

impl Outside for Silent {
    fn knows(&self, _: &str) -> bool {
        true
    }

    fn call(&mut self, _: &Callout) -> Option<Vec<Arrival>> {
        Some(Vec::new())
    }

    fn send(&mut self, _: u32, _: &[u8], _: bool) -> Vec<Arrival> {
        Vec::new()
    }

    fn cancel(&mut self, id: u32) {
        self.0.lock().unwrap().push(id);
    }
}

/// A plugin that calls out with each request, and fails when it is asked to; and what was cancelled.
fn forgetful(failure_policy: FailurePolicy) -> (Worker<impl Guest>, Arc<Mutex<Vec<u32>>>) {
    let cancelled = Arc::default();
    let setup = Setup { failure_policy, clock: Clock::Fixed(0), ..crate::guest::plain() };
    let worker = worker_within(setup, Silent(Arc::clone(&cancelled)), |call, vm| {
        if let Call::Headers { side: Side::Request, .. } = call {
            vm_call(vm, "policy", get(), 0).unwrap();
            if vm.get_header_map_value(MapType::Headers(Side::Request), b"x-fail").is_ok() {
                vm.fail("asked for");
            }
        }
        // Every root is done at once.
        1
    });
    (worker, cancelled)
}

#[test]
fn row_39_a_callout_ends_with_its_root() {
    let (mut worker, cancelled) = forgetful(FailurePolicy::Closed);
    worker.exchange(get().header("x-a", "b"), &ok());
    worker.exchange(get(), &ok());
    assert!(cancelled.lock().unwrap().is_empty());
    worker.shut_down();
    assert_eq!(*cancelled.lock().unwrap(), [1, 2]);
}

#[test]
fn row_39_a_callout_ends_when_its_plugin_is_started_again() {
    let (mut worker, cancelled) = forgetful(FailurePolicy::Reload);
    worker.exchange(get().header("x-fail", ""), &ok());
    assert!(cancelled.lock().unwrap().is_empty());
    worker.pass(Duration::from_secs(1));
    worker.exchange(get(), &ok());
    assert_eq!(*cancelled.lock().unwrap(), [1]);
}
