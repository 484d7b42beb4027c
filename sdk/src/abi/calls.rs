//! Callouts and the timer.
//!
//! The `proxy-wasm` crate's dispatcher delivers an answer only to a token that its own `hostcalls` registered; for an HTTP
//! token that it does not know it panics. So calls are begun through it. It panics on a status that it does not expect; of
//! those Envoy gives none to these functions (1.40: Ok, BadArgument, ParseFailure, InternalFailure). All else is called
//! directly.

use super::{Result, check, fetch, imports};
use crate::bytes::Bytes;
use crate::error::HostError;
use proxy_wasm::hostcalls;
use std::time::Duration;

/// A field of a request or of metadata.
pub(crate) type Field = (Vec<u8>, Vec<u8>);

/// The longest time that the ABI can say, in milliseconds.
const LONGEST: Duration = Duration::from_millis(u32::MAX as u64);

/// Begins an HTTP call and gives its token. `timeout` is rounded up to milliseconds: to the host 0 means for ever.
pub(crate) fn http_call(
    cluster: &str,
    headers: &[Field],
    body: &[u8],
    trailers: &[Field],
    timeout: Duration,
) -> Result<u32> {
    let body = Some(body).filter(|body| !body.is_empty());
    let (headers, trailers) = (texts(headers), texts(trailers));
    hostcalls::dispatch_http_call(cluster, headers, body, trailers, milliseconds(timeout))
        .map_err(|status| HostError::status("proxy_http_call", status as u32))
}

/// The crate takes text and copies its bytes.
fn texts(fields: &[Field]) -> Vec<(&str, &str)> {
    // SAFETY: `serialize_map` of proxy-wasm 0.2.5, the version that the manifest pins, does nothing with a name or value but
    // to copy its bytes, so that nobody relies on their being UTF-8; a header may hold any byte.
    let text = |bytes| unsafe { str::from_utf8_unchecked(bytes) };
    fields.iter().map(|(name, value)| (text(name), text(value))).collect()
}

fn milliseconds(timeout: Duration) -> Duration {
    let rounded = timeout.saturating_add(Duration::from_nanos(999_999));
    rounded.clamp(Duration::from_millis(1), LONGEST)
}

/// Begins a gRPC call with one message on each side, and gives its token.
pub(crate) fn grpc_call(
    cluster: &str,
    service: &str,
    method: &str,
    metadata: &[(&str, &[u8])],
    message: &[u8],
    timeout: Duration,
) -> Result<u32> {
    let timeout = milliseconds(timeout);
    hostcalls::dispatch_grpc_call(cluster, service, method, metadata.to_vec(), Some(message), timeout)
        .map_err(|status| HostError::status("proxy_grpc_call", status as u32))
}

/// Opens a gRPC stream and gives its token.
pub(crate) fn grpc_stream(
    cluster: &str,
    service: &str,
    method: &str,
    metadata: &[(&str, &[u8])],
) -> Result<u32> {
    hostcalls::open_grpc_stream(cluster, service, method, metadata.to_vec())
        .map_err(|status| HostError::status("proxy_grpc_stream", status as u32))
}

pub(crate) fn grpc_send(token: u32, message: &[u8], end_of_stream: bool) -> Result<()> {
    // SAFETY: pointer and length are of one live slice.
    let status = unsafe { imports::proxy_grpc_send(token, message.as_ptr(), message.len(), end_of_stream) };
    check("proxy_grpc_send", status)
}

/// Ends our side of a gRPC stream.
pub(crate) fn grpc_close(token: u32) -> Result<()> {
    // SAFETY: no memory is passed.
    check("proxy_grpc_close", unsafe { imports::proxy_grpc_close(token) })
}

/// Ends a gRPC call or stream of which nothing more is wanted.
pub(crate) fn grpc_cancel(token: u32) -> Result<()> {
    // SAFETY: no memory is passed.
    check("proxy_grpc_cancel", unsafe { imports::proxy_grpc_cancel(token) })
}

/// The status text of the gRPC call whose end is being delivered.
pub(crate) fn status_message() -> Result<Bytes> {
    let mut code = 0;
    fetch("proxy_get_status", |data, size| {
        // SAFETY: the host writes a u32, a pointer and a length to live places.
        unsafe { imports::proxy_get_status(&raw mut code, data, size) }
    })
}

/// Sets the timer of the current context's root; 0 stops it.
pub(crate) fn set_tick_period(milliseconds: u32) -> Result<()> {
    // SAFETY: no memory is passed.
    let status = unsafe { imports::proxy_set_tick_period_milliseconds(milliseconds) };
    check("proxy_set_tick_period_milliseconds", status)
}

/// Lets a message of the current context go on. Forgets its header maps: edit first.
pub(crate) fn continue_stream(stream: u32) -> Result<()> {
    // SAFETY: no memory is passed.
    check("proxy_continue_stream", unsafe { imports::proxy_continue_stream(stream) })
}
