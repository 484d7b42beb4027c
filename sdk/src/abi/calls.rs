//! Callouts and the timer.
//!
//! The `proxy-wasm` crate's dispatcher delivers an answer only to a token that its own `hostcalls` registered; for an HTTP
//! token that it does not know it panics. Behind its door calls are therefore begun through it. It panics on a status that it
//! does not expect; of those Envoy gives none to these functions (1.40: Ok, BadArgument, ParseFailure, InternalFailure).
//! Behind the narrow door the host is called directly, as for all else.

use super::pairs::{self, Fields};
use super::{Result, check, fetch, imports};
use crate::bytes::Bytes;
use crate::error::HostError;
use proxy_wasm::hostcalls;
use std::cell::Cell;
use std::time::Duration;

type BeginHttp = fn(&HttpCall<'_>) -> Result<u32>;
type BeginGrpc = fn(&Method<'_>, &[u8], Duration) -> Result<u32>;
type BeginStream = fn(&Method<'_>) -> Result<u32>;

// How calls are begun. Each stands alone, so that pruning drops those that nobody makes.
thread_local! {
    static HTTP_CALL: Cell<BeginHttp> = const { Cell::new(direct::http_call) };
    static GRPC_CALL: Cell<BeginGrpc> = const { Cell::new(direct::grpc_call) };
    static GRPC_STREAM: Cell<BeginStream> = const { Cell::new(direct::grpc_stream) };
}

/// From now on calls are begun through the crate, whose dispatcher brings the answers.
pub(crate) fn begin_through_the_crate() {
    HTTP_CALL.set(through_the_crate::http_call);
    GRPC_CALL.set(through_the_crate::grpc_call);
    GRPC_STREAM.set(through_the_crate::grpc_stream);
}

/// An HTTP request to a cluster.
pub(crate) struct HttpCall<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) headers: Option<&'a Fields>,
    pub(crate) body: &'a [u8],
    pub(crate) trailers: Option<&'a Fields>,
    /// Rounded up to milliseconds: to the host 0 means for ever.
    pub(crate) timeout: Duration,
}

/// A method of a gRPC service, and what is told to it.
struct Method<'a> {
    cluster: &'a str,
    service: &'a str,
    name: &'a str,
    metadata: &'a [(&'a str, &'a [u8])],
}

/// Begins an HTTP call and gives its token.
pub(crate) fn http_call(call: &HttpCall<'_>) -> Result<u32> {
    HTTP_CALL.get()(call)
}

/// As the ABI has it, which knows no longer time.
fn milliseconds(timeout: Duration) -> u32 {
    let Ok(seconds) = u32::try_from(timeout.as_secs()) else { return u32::MAX };
    let rounded = u64::from(timeout.subsec_nanos().div_ceil(1_000_000));
    // No more than 43 bits.
    let milliseconds = u64::from(seconds).wrapping_mul(1000).wrapping_add(rounded);
    u32::try_from(milliseconds.max(1)).unwrap_or(u32::MAX)
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
    GRPC_CALL.get()(&Method { cluster, service, name: method, metadata }, message, timeout)
}

/// Opens a gRPC stream and gives its token.
pub(crate) fn grpc_stream(
    cluster: &str,
    service: &str,
    method: &str,
    metadata: &[(&str, &[u8])],
) -> Result<u32> {
    GRPC_STREAM.get()(&Method { cluster, service, name: method, metadata })
}

mod through_the_crate {
    //! Calls whose tokens the crate's dispatcher knows.

    use super::*;

    pub(super) fn http_call(call: &HttpCall<'_>) -> Result<u32> {
        let body = Some(call.body).filter(|body| !body.is_empty());
        let headers = call.headers.map(texts).unwrap_or_default();
        let trailers = call.trailers.map(texts).unwrap_or_default();
        hostcalls::dispatch_http_call(call.cluster, headers, body, trailers, duration(call.timeout))
            .map_err(|status| HostError::status("proxy_http_call", status as u32))
    }

    fn duration(timeout: Duration) -> Duration {
        Duration::from_millis(milliseconds(timeout).into())
    }

    /// The crate takes text and copies its bytes.
    fn texts(fields: &Fields) -> Vec<(&str, &str)> {
        // SAFETY: `serialize_map` of proxy-wasm 0.2.5, the version that the manifest pins, does nothing with a name or value but
        // to copy its bytes, so that nobody relies on their being UTF-8; a header may hold any byte.
        let text = |bytes| unsafe { str::from_utf8_unchecked(bytes) };
        fields.iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    pub(super) fn grpc_call(method: &Method<'_>, message: &[u8], timeout: Duration) -> Result<u32> {
        let Method { cluster, service, name, metadata } = *method;
        let timeout = duration(timeout);
        hostcalls::dispatch_grpc_call(cluster, service, name, metadata.to_vec(), Some(message), timeout)
            .map_err(|status| HostError::status("proxy_grpc_call", status as u32))
    }

    pub(super) fn grpc_stream(method: &Method<'_>) -> Result<u32> {
        let Method { cluster, service, name, metadata } = *method;
        hostcalls::open_grpc_stream(cluster, service, name, metadata.to_vec())
            .map_err(|status| HostError::status("proxy_grpc_stream", status as u32))
    }
}

mod direct {
    //! Calls whose answers come to the narrow door.

    use super::*;

    pub(super) fn http_call(call: &HttpCall<'_>) -> Result<u32> {
        const NAME: &str = "proxy_http_call";
        let (cluster, body) = (call.cluster, call.body);
        let headers = call.headers.map_or(&[][..], Fields::wire);
        let trailers = call.trailers.map_or(&[][..], Fields::wire);
        let mut token = 0;
        // SAFETY: the four pairs of pointer and length are of live slices; the host writes one u32 to a live place.
        let status = unsafe {
            imports::proxy_http_call(
                cluster.as_ptr(),
                cluster.len(),
                headers.as_ptr(),
                headers.len(),
                body.as_ptr(),
                body.len(),
                trailers.as_ptr(),
                trailers.len(),
                milliseconds(call.timeout),
                &raw mut token,
            )
        };
        check(NAME, status).map(|()| token)
    }

    pub(super) fn grpc_call(method: &Method<'_>, message: &[u8], timeout: Duration) -> Result<u32> {
        const NAME: &str = "proxy_grpc_call";
        let Method { cluster, service, name, metadata } = *method;
        let metadata = encoded(metadata, NAME)?;
        let mut token = 0;
        // SAFETY: the five pairs of pointer and length are of live slices; the host writes one u32 to a live place.
        let status = unsafe {
            imports::proxy_grpc_call(
                cluster.as_ptr(),
                cluster.len(),
                service.as_ptr(),
                service.len(),
                name.as_ptr(),
                name.len(),
                metadata.as_ptr(),
                metadata.len(),
                message.as_ptr(),
                message.len(),
                milliseconds(timeout),
                &raw mut token,
            )
        };
        check(NAME, status).map(|()| token)
    }

    pub(super) fn grpc_stream(method: &Method<'_>) -> Result<u32> {
        const NAME: &str = "proxy_grpc_stream";
        let Method { cluster, service, name, metadata } = *method;
        let metadata = encoded(metadata, NAME)?;
        let mut token = 0;
        // SAFETY: the four pairs of pointer and length are of live slices; the host writes one u32 to a live place.
        let status = unsafe {
            imports::proxy_grpc_stream(
                cluster.as_ptr(),
                cluster.len(),
                service.as_ptr(),
                service.len(),
                name.as_ptr(),
                name.len(),
                metadata.as_ptr(),
                metadata.len(),
                &raw mut token,
            )
        };
        check(NAME, status).map(|()| token)
    }

    fn encoded(metadata: &[(&str, &[u8])], call: &'static str) -> Result<Vec<u8>> {
        let metadata: Vec<_> = metadata.iter().map(|(name, value)| (name.as_bytes(), *value)).collect();
        pairs::encode(&metadata).ok_or(HostError::malformed(call))
    }
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
