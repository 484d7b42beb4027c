//! HTTP headers, as in `plain/http_headers.rs`.

use super::abi::{REQUEST, RESPONSE};
use super::{CONTINUE, IDLE, PAUSE, Program, abi};

pub(super) const PROGRAM: Program = Program {
    request_headers,
    response_headers,
    log: |context| abi::log(&format!("#{context} completed.")),
    ..IDLE
};

fn request_headers(context: u32) -> u32 {
    show(context, "->", REQUEST);
    if abi::header(REQUEST, ":path").as_deref() != Some(b"/hello") {
        return CONTINUE;
    }
    let headers = [("hello", "World"), ("powered-by", "proxy-wasm")];
    let _ = abi::reply(200, &headers, "Hello, World!\n", None);
    PAUSE
}

fn response_headers(context: u32) -> u32 {
    show(context, "<-", RESPONSE);
    CONTINUE
}

fn show(context: u32, arrow: &str, map: u32) {
    for (name, value) in abi::headers(map) {
        let (name, value) = (String::from_utf8_lossy(&name), String::from_utf8_lossy(&value));
        abi::log(&format!("#{context} {arrow} {name}: {value}"));
    }
}
