//! HTTP auth (random), as in `plain/http_auth_random.rs`.

use super::abi::{ANSWER_BODY, RESPONSE};
use super::{CONTINUE, IDLE, PAUSE, Program, abi};
use std::cell::RefCell;
use std::collections::BTreeMap;

pub(super) const PROGRAM: Program = Program { request_headers, response_headers, http_answer, ..IDLE };

thread_local! {
    /// Streams that wait, by the token of their call: an answer is the root context's.
    static WAITING: RefCell<BTreeMap<u32, u32>> = const { RefCell::new(BTreeMap::new()) };
}

fn request_headers(context: u32) -> u32 {
    let headers = [(":method", "GET"), (":path", "/bytes/1"), (":authority", "httpbin.org")];
    match abi::call("httpbin", &headers, 1000) {
        Ok(token) => WAITING.with_borrow_mut(|waiting| {
            waiting.insert(token, context);
        }),
        Err(status) => {
            abi::log(&format!("no call: {status}"));
            let _ = abi::reply(503, &[], "Nobody to ask.\n", None);
        }
    }
    PAUSE
}

fn response_headers(_: u32) -> u32 {
    let _ = abi::set_header(RESPONSE, "powered-by", "proxy-wasm");
    CONTINUE
}

fn http_answer(token: u32, size: usize) {
    let even = abi::buffer(ANSWER_BODY, size).first().is_some_and(|byte| byte % 2 == 0);
    let Some(context) = WAITING.with_borrow_mut(|waiting| waiting.remove(&token)) else { return };
    let _ = abi::set_effective_context(context);
    if even {
        abi::log("Access granted.");
        let _ = abi::resume_request();
    } else {
        abi::log("Access forbidden.");
        let _ = abi::reply(403, &[("powered-by", "proxy-wasm")], "Access forbidden.\n", None);
    }
}
