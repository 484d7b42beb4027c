//! Enters the guest through the exports that the `proxy-wasm` crate brings to every extension.

use crate::engine::{Call, Side};
// Only for its exports.
use proxy_wasm as _;

/// Enters the extension that is registered in this thread.
///
/// # Safety
/// It has been registered, and no other callback of it is running.
pub(super) unsafe fn enter(call: &Call) -> u32 {
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
            Call::NewConnection { context } => proxy_on_new_connection(context),
            Call::Data { context, side: Request, size, end_of_stream } => {
                proxy_on_downstream_data(context, size as usize, end_of_stream)
            }
            Call::Data { context, side: Response, size, end_of_stream } => {
                proxy_on_upstream_data(context, size as usize, end_of_stream)
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
            _ => {
                tell(call);
                0
            }
        }
    }
}

/// Callbacks of a root context that return nothing.
unsafe fn tell(call: &Call) {
    // SAFETY: as the caller's.
    unsafe {
        match *call {
            Call::ConnectionClose { context, side: Side::Request, closed_by } => {
                proxy_on_downstream_connection_close(context, closed_by);
            }
            Call::ConnectionClose { context, side: Side::Response, closed_by } => {
                proxy_on_upstream_connection_close(context, closed_by);
            }
            Call::Tick { context } => {
                proxy_on_tick(context);
            }
            Call::QueueReady { context, queue } => {
                proxy_on_queue_ready(context, queue);
            }
            Call::HttpCallResponse { context, id, headers, body_size, trailers } => {
                let [headers, body_size, trailers] =
                    [headers, body_size, trailers].map(|count| count as usize);
                proxy_on_http_call_response(context, id, headers, body_size, trailers);
            }
            Call::GrpcInitialMetadata { context, id, count } => {
                proxy_on_grpc_receive_initial_metadata(context, id, count);
            }
            Call::GrpcReceive { context, id, size } => {
                proxy_on_grpc_receive(context, id, size as usize);
            }
            Call::GrpcTrailingMetadata { context, id, count } => {
                proxy_on_grpc_receive_trailing_metadata(context, id, count);
            }
            Call::GrpcClose { context, id, status } => {
                proxy_on_grpc_close(context, id, status);
            }
            // Entered above; named, so that no new callback is forgotten.
            Call::ContextCreate { .. }
            | Call::VmStart { .. }
            | Call::Configure { .. }
            | Call::Headers { .. }
            | Call::Body { .. }
            | Call::Trailers { .. }
            | Call::NewConnection { .. }
            | Call::Data { .. }
            | Call::Log { .. }
            | Call::Done { .. }
            | Call::Delete { .. } => {}
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
    fn proxy_on_new_connection(context: u32) -> u32;
    fn proxy_on_downstream_data(context: u32, size: usize, end_of_stream: bool) -> u32;
    fn proxy_on_upstream_data(context: u32, size: usize, end_of_stream: bool) -> u32;
    // A `PeerType` of the crate is a `repr(u32)` enumeration, of these numbers.
    fn proxy_on_downstream_connection_close(context: u32, closed_by: u32);
    fn proxy_on_upstream_connection_close(context: u32, closed_by: u32);
    fn proxy_on_tick(context: u32);
    fn proxy_on_http_call_response(context: u32, id: u32, headers: usize, body_size: usize, trailers: usize);
    fn proxy_on_grpc_receive_initial_metadata(context: u32, id: u32, count: u32);
    fn proxy_on_grpc_receive(context: u32, id: u32, size: usize);
    fn proxy_on_grpc_receive_trailing_metadata(context: u32, id: u32, count: u32);
    fn proxy_on_grpc_close(context: u32, id: u32, status: u32);
    fn proxy_on_queue_ready(context: u32, queue: u32);
    fn proxy_on_log(context: u32);
    fn proxy_on_done(context: u32) -> bool;
    fn proxy_on_delete(context: u32);
}
