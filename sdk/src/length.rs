//! Whether a body may change its length: only when `content-length` was taken out before the headers went on.

use crate::abi::{Buffer, Map};
use crate::error::HostError;
use std::cell::Cell;

/// Of the request and of the response.
pub(crate) type Free = [bool; 2];

thread_local! {
    /// Of the stream whose hook or task runs.
    static FREE: Cell<Free> = const { Cell::new([false; 2]) };
}

/// A hook or task of a stream begins, whose state this is.
pub(crate) fn enter(state: &Cell<Free>) {
    FREE.set(state.get());
}

/// It ends.
pub(crate) fn leave(state: &Cell<Free>) {
    state.set(FREE.get());
}

/// Runs a hook of a stream, whose state this is.
pub(crate) fn within<T>(state: &Cell<Free>, work: impl FnOnce() -> T) -> T {
    enter(state);
    let result = work();
    leave(state);
    result
}

pub(crate) fn free(map: Map) {
    let [request, response] = FREE.get();
    FREE.set(match map {
        Map::RequestHeaders => [true, response],
        _ => [request, true],
    });
}

pub(crate) fn require_free(buffer: Buffer) -> Result<(), HostError> {
    let [request, response] = FREE.get();
    let free = match buffer {
        Buffer::RequestBody => request,
        Buffer::ResponseBody => response,
        _ => true,
    };
    if free { Ok(()) } else { Err(HostError::length("proxy_set_buffer_bytes")) }
}
