//! HTTP configuration, as in `plain/http_config.rs`.

use super::abi::RESPONSE;
use super::{CONTINUE, IDLE, Program, abi};
use std::cell::RefCell;

pub(super) const PROGRAM: Program =
    Program { configure: |value| VALUE.set(value.to_vec()), response_headers, ..IDLE };

thread_local! {
    static VALUE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn response_headers(_: u32) -> u32 {
    let _ = VALUE.with_borrow(|value| abi::add_header(RESPONSE, "custom-header", value));
    CONTINUE
}
