//! HTTP body, as in `plain/http_body.rs`.

use super::abi::{RESPONSE, RESPONSE_BODY};
use super::{CONTINUE, IDLE, PAUSE, Program, abi};

pub(super) const PROGRAM: Program = Program { response_headers, response_body, ..IDLE };

fn response_headers(_: u32) -> u32 {
    let _ = abi::remove_header(RESPONSE, "content-length");
    CONTINUE
}

fn response_body(size: usize, last: bool) -> u32 {
    if !last {
        return PAUSE;
    }
    if String::from_utf8_lossy(&abi::buffer(RESPONSE_BODY, size)).contains("secret") {
        let _ = abi::set_buffer(
            RESPONSE_BODY,
            size,
            &format!("Original message body ({size} bytes) redacted.\n"),
        );
    }
    CONTINUE
}
