//! Filter metadata, as in `plain/filter_metadata.rs`.

use super::abi::RESPONSE;
use super::{CONTINUE, IDLE, Program, abi};
use std::cell::RefCell;

pub(super) const PROGRAM: Program =
    Program { configure: |value| DEFAULT.set(value.to_vec()), response_headers, ..IDLE };

thread_local! {
    static DEFAULT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn response_headers(_: u32) -> u32 {
    let value = abi::property(&["metadata", "filter_metadata", "envoy.filters.http.lua", "custom"])
        .or_else(|| abi::property(&["xds", "route_metadata", "filter_metadata", "examples", "custom"]))
        .unwrap_or_else(|| DEFAULT.with_borrow(Clone::clone));
    let _ = abi::add_header(RESPONSE, "custom-metadata", &value);
    CONTINUE
}
