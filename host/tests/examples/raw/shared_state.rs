//! Shared data and a queue, as in `plain/shared_state.rs`.

use super::abi::REQUEST;
use super::{CONTINUE, IDLE, Program, abi};

pub(super) const PROGRAM: Program =
    Program { start: || abi::register_queue("paths").is_ok(), queue_ready, request_headers, ..IDLE };

fn queue_ready(queue: u32) {
    while let Ok(path) = abi::dequeue(queue) {
        abi::log(&format!("Somebody wants {}.", String::from_utf8_lossy(&path)));
    }
}

fn request_headers(_: u32) -> u32 {
    let path = abi::header(REQUEST, ":path").unwrap_or_default();
    if abi::resolve_queue("paths").and_then(|queue| abi::enqueue(queue, &path)).is_err() {
        abi::log("There is no queue.");
    }
    let _ = abi::set_header(REQUEST, "x-count", &count().to_string());
    CONTINUE
}

/// Adds one, unless another worker is faster, and then again.
fn count() -> u8 {
    loop {
        let (count, version) = abi::shared("count").unwrap_or_default();
        let count = count.first().copied().unwrap_or(0).wrapping_add(1);
        if abi::set_shared("count", &[count], version) != Err(abi::CAS_MISMATCH) {
            return count;
        }
    }
}
