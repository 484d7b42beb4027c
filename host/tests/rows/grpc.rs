//! gRPC: row 40, and what rows 37, 38 and 50 say of it.

use crate::guest::said;
use crate::scripted::{around, say, worker};
use proxy_wasm_kit_host::engine::{BufferType, Call, GrpcCall, MapType, Side, Status, Vm};
use proxy_wasm_kit_host::exchange::{Exchange, Headers, Message, Setup};
use proxy_wasm_kit_host::outside::{Answer, Fault, GrpcAnswer, framed};
use std::time::Duration;

/// `envoy.config.core.v3.GrpcService` with `envoy_grpc.cluster_name` = `logs`, and `none`.
const LOGS: &[u8] = b"\x0a\x06\x0a\x04logs";
const NONE: &[u8] = b"\x0a\x06\x0a\x04none";

fn call(upstream: &[u8]) -> GrpcCall<'_> {
    let mut metadata = Headers::default();
    metadata.add("x-meta", "data");
    GrpcCall { upstream, service: b"a.Service", method: b"Method", metadata }
}

fn answering(answer: GrpcAnswer) -> Setup {
    around(&[("logs", vec![Answer { grpc: Some(answer), ..Answer::default() }])])
}

fn failing(fault: Fault) -> Setup {
    around(&[(
        "logs",
        vec![Answer { fault: Some(fault), grpc: Some(GrpcAnswer::default()), ..Answer::default() }],
    )])
}

/// Says every callback about gRPC with what can be read in it.
fn listen(call: &Call, vm: &mut Vm) {
    let line = match *call {
        Call::GrpcInitialMetadata { context, id, count } => {
            format!("{context} initial {id} {count} {}", vm.get_header_map_pairs(MapType::Callout(4)).0.len())
        }
        Call::GrpcReceive { context, id, size } => {
            let message = vm.get_buffer_bytes(BufferType::GrpcMessage, 0, 99).unwrap();
            format!("{context} message {id} {size} {}", String::from_utf8_lossy(&message))
        }
        Call::GrpcTrailingMetadata { context, id, count } => {
            format!(
                "{context} trailing {id} {count} {}",
                vm.get_header_map_pairs(MapType::Callout(5)).0.len()
            )
        }
        Call::GrpcClose { context, id, status } => {
            let (code, text) = vm.get_status();
            format!("{context} close {id} {status} {code} {}", String::from_utf8_lossy(&text))
        }
        _ => return,
    };
    say!(vm, line);
}

/// Runs `begin` when a request begins, and listens.
fn run(setup: Setup, mut begin: impl FnMut(&mut Vm) + 'static) -> Exchange {
    let mut worker = worker(setup, move |call, vm| {
        if let Call::Headers { side: Side::Request, .. } = call {
            begin(vm);
        }
        listen(call, vm);
        0
    });
    let mut seen = worker.exchange(Message::request("GET", "/"), &Message::response(200));
    worker.pass(Duration::from_secs(1));
    seen.log = worker.vm().borrow().lines().to_vec();
    seen
}

fn unary(setup: Setup, timeout: u32) -> Exchange {
    run(setup, move |vm| {
        let called = vm.grpc_call(call(LOGS), b"ask", timeout);
        say!(vm, called);
    })
}

#[test]
fn row_40_a_call_gets_its_message() {
    let answer = GrpcAnswer { messages: vec![b"yes".to_vec()], ..GrpcAnswer::default() };
    let seen = unary(answering(answer), 0);
    assert_eq!(said(&seen.log), ["Ok(5)", "1 message 5 3 yes"]);
    let [(cluster, request)] = seen.callouts.as_slice() else { panic!("{:?}", seen.callouts) };
    let headers = &request.headers;
    assert_eq!((cluster.as_str(), headers.first(":path")), ("logs", Some(&b"/a.Service/Method"[..])));
    assert_eq!(headers.first("x-meta"), Some(&b"data"[..]));
    assert_eq!(headers.first("content-type"), Some(&b"application/grpc"[..]));
    assert_eq!(request.whole_body(), framed(b"ask"));
}

#[test]
fn row_40_a_call_that_fails_is_closed_with_its_status() {
    let answer = GrpcAnswer { status: 7, text: "not you".into(), ..GrpcAnswer::default() };
    assert_eq!(said(&unary(answering(answer), 0).log), ["Ok(5)", "1 close 5 7 7 not you"]);
    // Success without a message is none.
    assert_eq!(said(&unary(answering(GrpcAnswer::default()), 0).log), ["Ok(5)", "1 close 5 13 13 "]);
}

#[test]
fn row_40_a_call_that_breaks_off() {
    let begin = "upstream connect error or disconnect/reset before headers. reset reason:";
    let rows = [
        (Fault::Refuse, format!("1 close 5 14 14 {begin} remote connection failure")),
        (Fault::Disconnect, format!("1 close 5 14 14 {begin} connection termination")),
        (Fault::Timeout, "1 close 5 14 14 upstream request timeout".to_owned()),
        (Fault::Reset, "1 close 5 13 13 ".to_owned()),
    ];
    for (fault, line) in rows {
        let seen = unary(failing(fault), 100);
        assert!(said(&seen.log)[1].starts_with(&line), "{fault:?}: {:?}", seen.log);
    }
}

#[test]
fn row_40_clusters_that_do_not_exist() {
    // The last two end Envoy: no name, and a service (with a timeout) that has no target.
    for upstream in [&b"nobody"[..], b"", b"\x1a\x00"] {
        let seen = run(around(&[]), move |vm| {
            say!(vm, vm_grpc(vm, upstream));
        });
        assert_eq!(said(&seen.log), [format!("{:?}", Err::<u32, _>(Status::PARSE_FAILURE))]);
    }
    let answer = GrpcAnswer { messages: vec![b"yes".to_vec()], ..GrpcAnswer::default() };
    let seen = run(answering(answer), |vm| {
        say!(vm, vm_grpc(vm, b"logs"));
    });
    assert_eq!(said(&seen.log), ["Ok(5)", "1 message 5 3 yes"]);
}

fn vm_grpc(vm: &mut Vm, upstream: &[u8]) -> Result<u32, Status> {
    vm.grpc_call(call(upstream), b"ask", 0)
}

#[test]
fn row_38_a_grpc_call_that_fails_on_the_spot_is_closed_under_an_id_that_was_never_given() {
    let failed = format!("{:?}", Err::<u32, _>(Status::INTERNAL_FAILURE));
    let seen = run(around(&[]), |vm| {
        say!(vm, vm_grpc(vm, NONE));
        say!(vm, "leaving");
    });
    assert_eq!(said(&seen.log), [&failed, "leaving", "1 close 5 14 14 Cluster not available"]);
    let seen = unary(failing(Fault::NoHost), 0);
    assert_eq!(said(&seen.log), [&failed, "1 close 5 14 14 no healthy upstream"]);
}

/// Envoy does, when the stream comes after the call.
#[test]
fn row_38_a_call_and_a_stream_that_both_fail_on_the_spot_hang_nobody() {
    let failed = format!("{:?}", Err::<u32, _>(Status::INTERNAL_FAILURE));
    let seen = run(failing(Fault::NoHost), |vm| {
        say!(vm, vm_grpc(vm, LOGS));
        say!(vm, vm.grpc_stream(call(LOGS)));
    });
    let closed = ["1 close 5 14 14 no healthy upstream", "1 close 6 14 14 no healthy upstream"];
    assert_eq!(said(&seen.log), [&failed, &failed, closed[0], closed[1]]);
    assert_eq!(seen.client.unwrap().status(), 200);
}

#[test]
fn row_40_a_stream_is_told_of_everything() {
    let answer = GrpcAnswer { messages: vec![b"one".to_vec(), b"two".to_vec()], ..GrpcAnswer::default() };
    let seen = run(answering(answer), |vm| {
        let id = vm.grpc_stream(call(LOGS)).unwrap();
        say!(vm, id);
        vm.grpc_send(id, b"first", false).unwrap();
        vm.grpc_send(id, b"second", false).unwrap();
        vm.grpc_close(id).unwrap();
    });
    let expected = [
        "6",
        "1 initial 6 2 2",
        "1 message 6 3 one",
        "1 message 6 3 two",
        "1 trailing 6 1 1",
        "1 close 6 0 0 ",
    ];
    assert_eq!(said(&seen.log), expected);
    assert_eq!(seen.callouts[0].1.whole_body(), [framed(b"first"), framed(b"second")].concat());
}

#[test]
fn row_40_a_stream_that_the_server_ends() {
    let answer = GrpcAnswer { status: 14, text: "busy".into(), ..GrpcAnswer::default() };
    let mut worker = worker(answering(answer), |call, vm| {
        if let Call::Headers { side: Side::Request, .. } = call {
            vm.grpc_stream(self::call(LOGS)).unwrap();
        }
        listen(call, vm);
        if let Call::GrpcClose { id, .. } = *call {
            // What the plugin has not closed stays open for it.
            say!(vm, vm_end(vm, id));
        }
        0
    });
    let seen = worker.exchange(Message::request("GET", "/"), &Message::response(200));
    let expected =
        ["1 initial 6 2 2", "1 trailing 6 2 2", "1 close 6 14 14 busy", "[Ok(()), Ok(()), Err(Status(1))]"];
    assert_eq!(said(&seen.log), expected);
}

fn vm_end(vm: &mut Vm, id: u32) -> [Result<(), Status>; 3] {
    [vm.grpc_send(id, b"more", false), vm.grpc_close(id), vm.grpc_close(id)]
}

#[test]
fn row_40_ids_tell_what_they_are_for() {
    let setup = around(&[("logs", vec![Answer { fault: Some(Fault::Timeout), ..Answer::default() }])]);
    let seen = run(setup, |vm| {
        let [one, two] = [vm_grpc(vm, LOGS).unwrap(), vm_grpc(vm, LOGS).unwrap()];
        let stream = vm.grpc_stream(call(LOGS)).unwrap();
        let http = vm.http_call(b"logs", Message::request("GET", "/"), 0).unwrap();
        say!(vm, [one, two, stream, http]);
        say!(vm, [one, http, 10].map(|id| vm_send(vm, id)));
        say!(vm, [one, one, http, 10].map(|id| vm.grpc_cancel(id).map_err(|status| status.0)));
        say!(vm, [two, two].map(|id| vm.grpc_close(id).map_err(|status| status.0)));
    });
    let expected =
        ["[5, 9, 6, 4]", "[Err(2), Err(2), Err(1)]", "[Ok(()), Err(1), Err(1), Err(1)]", "[Ok(()), Err(1)]"];
    assert_eq!(said(&seen.log), expected);
}

fn vm_send(vm: &mut Vm, id: u32) -> Result<(), u32> {
    vm.grpc_send(id, b"", false).map_err(|status| status.0)
}

#[test]
fn row_40_a_cancelled_stream_is_not_heard_of_again() {
    let answer = GrpcAnswer { messages: vec![b"one".to_vec()], ..GrpcAnswer::default() };
    let seen = run(answering(answer), |vm| {
        let id = vm.grpc_stream(call(LOGS)).unwrap();
        vm.grpc_send(id, b"first", true).unwrap();
        vm.grpc_cancel(id).unwrap();
    });
    assert_eq!((seen.log.len(), seen.callouts.len()), (0, 1));
}

#[test]
fn row_50_a_failed_vm_is_not_called_back() {
    let late = GrpcAnswer { messages: vec![b"one".to_vec()], ..GrpcAnswer::default() };
    let late = Answer { delay: Duration::from_millis(5), grpc: Some(late), ..Answer::default() };
    let mut worker = worker(around(&[("logs", vec![late])]), |call, vm| {
        if let Call::Headers { side: Side::Request, .. } = call {
            vm_grpc(vm, LOGS).unwrap();
            vm.fail("asked for");
        }
        listen(call, vm);
        0
    });
    let seen = worker.exchange(Message::request("GET", "/"), &Message::response(200));
    worker.pass(Duration::from_millis(9));
    assert_eq!((seen.client.unwrap().status(), worker.vm().borrow().lines().len()), (503, 0));
}
