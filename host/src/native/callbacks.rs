//! Enters the guest through the exports that the `proxy-wasm` crate brings to every extension.

use crate::engine::{Call, Guest, Side, Trap};
// Only for its exports.
use proxy_wasm as _;

/// The extension that is linked into this binary, as registered in this thread.
pub struct Linked;

impl Guest for Linked {
    fn has(&self, _call: &Call) -> bool {
        true
    }

    fn call(&mut self, call: &Call) -> Result<u32, Trap> {
        // SAFETY: the functions are those of the `proxy-wasm` crate, declared as they are defined there; they touch the
        // state of this thread only.
        Ok(unsafe { enter(call) })
    }
}

unsafe fn enter(call: &Call) -> u32 {
    use Side::{Request, Response};
    // SAFETY: as the caller's.
    unsafe {
        match *call {
            Call::ContextCreate { context, parent } => {
                proxy_on_context_create(context, parent);
                0
            }
            Call::VmStart { context, size } => proxy_on_vm_start(context, size as usize).into(),
            Call::Configure { context, size } => proxy_on_configure(context, size as usize).into(),
            Call::Headers { context, side: Request, count, end_of_stream } => {
                proxy_on_request_headers(context, count as usize, end_of_stream)
            }
            Call::Headers { context, side: Response, count, end_of_stream } => {
                proxy_on_response_headers(context, count as usize, end_of_stream)
            }
            Call::Body { context, side: Request, size, end_of_stream } => {
                proxy_on_request_body(context, size as usize, end_of_stream)
            }
            Call::Body { context, side: Response, size, end_of_stream } => {
                proxy_on_response_body(context, size as usize, end_of_stream)
            }
            Call::Trailers { context, side: Request, count } => {
                proxy_on_request_trailers(context, count as usize)
            }
            Call::Trailers { context, side: Response, count } => {
                proxy_on_response_trailers(context, count as usize)
            }
            Call::Log { context } => {
                proxy_on_log(context);
                0
            }
            Call::Done { context } => proxy_on_done(context).into(),
            Call::Delete { context } => {
                proxy_on_delete(context);
                0
            }
        }
    }
}

// An `Action` of the crate is a `repr(u32)` enumeration; here it is the number it is.
unsafe extern "C" {
    fn proxy_on_context_create(context: u32, parent: u32);
    fn proxy_on_vm_start(context: u32, size: usize) -> bool;
    fn proxy_on_configure(context: u32, size: usize) -> bool;
    fn proxy_on_request_headers(context: u32, count: usize, end_of_stream: bool) -> u32;
    fn proxy_on_request_body(context: u32, size: usize, end_of_stream: bool) -> u32;
    fn proxy_on_request_trailers(context: u32, count: usize) -> u32;
    fn proxy_on_response_headers(context: u32, count: usize, end_of_stream: bool) -> u32;
    fn proxy_on_response_body(context: u32, size: usize, end_of_stream: bool) -> u32;
    fn proxy_on_response_trailers(context: u32, count: usize) -> u32;
    fn proxy_on_log(context: u32);
    fn proxy_on_done(context: u32) -> bool;
    fn proxy_on_delete(context: u32);
}
