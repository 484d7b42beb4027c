//! gRPC auth (random), as in `plain/grpc_auth_random.rs`.

use super::abi::{REQUEST, RESPONSE};
use super::{CONTINUE, IDLE, PAUSE, Program, abi};
use std::cell::RefCell;
use std::collections::BTreeMap;

pub(super) const PROGRAM: Program = Program { request_headers, response_headers, grpc_answer, ..IDLE };

const ABORTED: u32 = 10;
const UNAVAILABLE: u32 = 14;

thread_local! {
    /// Streams that wait, by the token of their call: an answer is the root context's.
    static WAITING: RefCell<BTreeMap<u32, u32>> = const { RefCell::new(BTreeMap::new()) };
}

fn request_headers(context: u32) -> u32 {
    let kind = abi::header(REQUEST, "content-type").unwrap_or_default();
    if !kind.starts_with(b"application/grpc") {
        let _ = abi::reply(503, &[("powered-by", "proxy-wasm")], "Only for gRPC clients.\n", None);
        return PAUSE;
    }
    match abi::grpc_call("grpcbin", "grpcbin.GRPCBin", "RandomError", 1000) {
        Ok(token) => WAITING.with_borrow_mut(|waiting| {
            waiting.insert(token, context);
        }),
        Err(_) => drop(abi::reply(200, &[], "Nobody to ask.", Some(UNAVAILABLE))),
    }
    PAUSE
}

fn response_headers(_: u32) -> u32 {
    let _ = abi::set_header(RESPONSE, "powered-by", "proxy-wasm");
    CONTINUE
}

fn grpc_answer(token: u32, status: u32) {
    let Some(context) = WAITING.with_borrow_mut(|waiting| waiting.remove(&token)) else { return };
    let _ = abi::set_effective_context(context);
    abi::log(&format!("The service says {status}."));
    let _ = if status.is_multiple_of(2) {
        abi::resume_request()
    } else {
        abi::reply(200, &[], "Aborted by Proxy-Wasm!", Some(ABORTED))
    };
}
