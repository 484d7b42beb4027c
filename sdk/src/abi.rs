//! The boundary to the host: every `proxy_*` function, its status turned into a `Result` once, its memory owned.
//!
//! The only room of the SDK with `unsafe` in it. The wrappers of the `proxy-wasm` crate do not serve: they panic on status
//! codes they do not know and on text that is not UTF-8, and either would take down the VM of a worker.
#![allow(unsafe_code)] // Foreign functions and the memory they return; each block says why it is sound.

pub(crate) mod calls;
mod imports;
#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod memory;
pub(crate) mod pairs;
pub(crate) mod shared;

use crate::bytes::Bytes;
use crate::error::HostError;

type Result<T> = std::result::Result<T, HostError>;

/// Buffers by their number in the ABI (`proxy_buffer_type_t`).
#[derive(Clone, Copy)]
pub(crate) enum Buffer {
    RequestBody = 0,
    ResponseBody = 1,
    DownstreamData = 2,
    UpstreamData = 3,
    CallBody = 4,
    GrpcMessage = 5,
    VmConfiguration = 6,
    PluginConfiguration = 7,
}

/// Header maps by their number in the ABI (`proxy_header_map_type_t`).
#[derive(Clone, Copy)]
pub(crate) enum Map {
    RequestHeaders = 0,
    RequestTrailers = 1,
    ResponseHeaders = 2,
    ResponseTrailers = 3,
    GrpcInitialMetadata = 4,
    GrpcTrailingMetadata = 5,
    CallHeaders = 6,
    CallTrailers = 7,
}

/// Metrics by their number in the ABI (`proxy_metric_type_t`).
#[derive(Clone, Copy)]
pub(crate) enum Metric {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

/// Turns a raw status into a `Result`; the number is kept as it came.
fn check(call: &'static str, status: u32) -> Result<()> {
    if status == 0 { Ok(()) } else { Err(HostError::status(call, status)) }
}

/// Runs a host function that returns memory, and takes ownership of that memory whatever the status.
fn fetch(call: &'static str, function: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Bytes> {
    let mut data = std::ptr::null_mut();
    let mut size = 0;
    let status = function(&raw mut data, &raw mut size);
    // SAFETY: both were null and 0, or were set by the host to memory it took from `proxy_on_memory_allocate`.
    let bytes = unsafe { own(data, size) };
    check(call, status).map(|()| bytes)
}

/// Owns memory that the host took from `proxy_on_memory_allocate`; null stands for no bytes at all.
///
/// # Safety
///
/// `data` is null, or was returned by `proxy_on_memory_allocate(size)` and is owned by nobody else.
unsafe fn own(data: *mut u8, size: usize) -> Bytes {
    if data.is_null() {
        return Bytes::default();
    }
    // SAFETY: the crate's allocator hands out a `Box<[u8]>` of exactly `size` bytes, and the caller owns it.
    Bytes::from(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(data, size)) })
}

/// `NotFound` means that there is no such thing, which callers expect: `None`.
fn optional<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn log(level: u32, message: &str) -> Result<()> {
    // SAFETY: pointer and length are of one live `str`.
    check("proxy_log", unsafe { imports::proxy_log(level, message.as_ptr(), message.len()) })
}

pub(crate) fn log_level() -> Result<u32> {
    let mut level = 0;
    // SAFETY: the host writes one u32 to a live place.
    check("proxy_get_log_level", unsafe { imports::proxy_get_log_level(&raw mut level) })?;
    Ok(level)
}

pub(crate) fn current_time_nanoseconds() -> Result<u64> {
    let mut time = 0;
    // SAFETY: the host writes one u64 to a live place.
    let status = unsafe { imports::proxy_get_current_time_nanoseconds(&raw mut time) };
    check("proxy_get_current_time_nanoseconds", status)?;
    Ok(time)
}

pub(crate) fn buffer(buffer: Buffer, start: usize, size: usize) -> Result<Option<Bytes>> {
    optional(fetch("proxy_get_buffer_bytes", |data, length| {
        // SAFETY: the host writes a pointer and a length to live places.
        unsafe { imports::proxy_get_buffer_bytes(buffer as u32, start, size, data, length) }
    }))
}

pub(crate) fn set_buffer(buffer: Buffer, start: usize, size: usize, data: &[u8]) -> Result<()> {
    // SAFETY: pointer and length are of one live slice.
    let status =
        unsafe { imports::proxy_set_buffer_bytes(buffer as u32, start, size, data.as_ptr(), data.len()) };
    check("proxy_set_buffer_bytes", status)
}

pub(crate) fn map_pairs(map: Map) -> Result<Bytes> {
    fetch("proxy_get_header_map_pairs", |data, size| {
        // SAFETY: the host writes a pointer and a length to live places.
        unsafe { imports::proxy_get_header_map_pairs(map as u32, data, size) }
    })
}

pub(crate) fn set_map_pairs(map: Map, pairs: &[u8]) -> Result<()> {
    // SAFETY: pointer and length are of one live slice.
    let status = unsafe { imports::proxy_set_header_map_pairs(map as u32, pairs.as_ptr(), pairs.len()) };
    check("proxy_set_header_map_pairs", status)
}

pub(crate) fn map_value(map: Map, name: &[u8]) -> Result<Option<Bytes>> {
    optional(fetch("proxy_get_header_map_value", |data, size| {
        // SAFETY: `name` is a live slice; the host writes a pointer and a length to live places.
        unsafe { imports::proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size) }
    }))
}

type MapEdit = unsafe extern "C" fn(u32, *const u8, usize, *const u8, usize) -> u32;

fn edit_map(call: &'static str, function: MapEdit, map: Map, name: &[u8], value: &[u8]) -> Result<()> {
    // SAFETY: both pairs of pointer and length are of live slices, and `function` is one of the two map edits below.
    let status = unsafe { function(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    check(call, status)
}

pub(crate) fn add_map_value(map: Map, name: &[u8], value: &[u8]) -> Result<()> {
    edit_map("proxy_add_header_map_value", imports::proxy_add_header_map_value, map, name, value)
}

pub(crate) fn replace_map_value(map: Map, name: &[u8], value: &[u8]) -> Result<()> {
    edit_map("proxy_replace_header_map_value", imports::proxy_replace_header_map_value, map, name, value)
}

pub(crate) fn remove_map_value(map: Map, name: &[u8]) -> Result<()> {
    // SAFETY: pointer and length are of one live slice.
    let status = unsafe { imports::proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) };
    check("proxy_remove_header_map_value", status)
}

/// Reads an attribute; `path` has its segments separated by NUL.
pub(crate) fn property(path: &str) -> Result<Option<Bytes>> {
    optional(fetch("proxy_get_property", |data, size| {
        // SAFETY: `path` is live; the host writes a pointer and a length to live places.
        unsafe { imports::proxy_get_property(path.as_ptr(), path.len(), data, size) }
    }))
}

pub(crate) fn set_property(path: &str, value: &[u8]) -> Result<()> {
    // SAFETY: both pairs of pointer and length are of live slices.
    let status =
        unsafe { imports::proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) };
    check("proxy_set_property", status)
}

/// A local reply as the ABI wants it; `headers` is in the pairs format, `grpc_status` -1 means none.
pub(crate) struct LocalReply<'a> {
    pub(crate) status: u32,
    pub(crate) details: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) headers: &'a [u8],
    pub(crate) grpc_status: i32,
}

pub(crate) fn send_local_response(reply: &LocalReply<'_>) -> Result<()> {
    let (details, body, headers) = (reply.details, reply.body, reply.headers);
    // SAFETY: the three pairs of pointer and length are of live slices.
    let status = unsafe {
        imports::proxy_send_local_response(
            reply.status,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            reply.grpc_status,
        )
    };
    check("proxy_send_local_response", status)
}

/// Resets the HTTP stream of the current context.
pub(crate) fn close_stream() -> Result<()> {
    const HTTP_REQUEST: u32 = 0;
    // SAFETY: no memory is passed.
    check("proxy_close_stream", unsafe { imports::proxy_close_stream(HTTP_REQUEST) })
}

/// Closes the connection of the current context, on both sides.
pub(crate) fn close_connection() -> Result<()> {
    const DOWNSTREAM: u32 = 2;
    // SAFETY: no memory is passed.
    check("proxy_close_stream", unsafe { imports::proxy_close_stream(DOWNSTREAM) })
}

/// Lets the host calls that follow, until this callback returns, act on another context.
pub(crate) fn set_effective_context(context_id: u32) -> Result<()> {
    // SAFETY: no memory is passed.
    check("proxy_set_effective_context", unsafe { imports::proxy_set_effective_context(context_id) })
}

pub(crate) fn define_metric(kind: Metric, name: &str) -> Result<u32> {
    let mut id = 0;
    // SAFETY: `name` is live; the host writes one u32 to a live place.
    let status = unsafe { imports::proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) };
    check("proxy_define_metric", status)?;
    Ok(id)
}

pub(crate) fn increment_metric(id: u32, offset: i64) -> Result<()> {
    // SAFETY: no memory is passed.
    check("proxy_increment_metric", unsafe { imports::proxy_increment_metric(id, offset) })
}

pub(crate) fn record_metric(id: u32, value: u64) -> Result<()> {
    // SAFETY: no memory is passed.
    check("proxy_record_metric", unsafe { imports::proxy_record_metric(id, value) })
}

pub(crate) fn metric(id: u32) -> Result<u64> {
    let mut value = 0;
    // SAFETY: the host writes one u64 to a live place.
    check("proxy_get_metric", unsafe { imports::proxy_get_metric(id, &raw mut value) })?;
    Ok(value)
}

/// Tells a native host that a hook panicked; on wasm a panic traps and the host sees it by itself.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn guest_panicked(message: &str) {
    // SAFETY: pointer and length are of one live `str`.
    unsafe { imports::pwkit_guest_panicked(message.as_ptr(), message.len()) }
}

/// Seconds that a message waits unless the filter says otherwise. A function of its own, which pruning looks for: a module
/// in which nobody calls it lets no message wait.
#[cfg_attr(target_arch = "wasm32", unsafe(no_mangle))]
#[inline(never)]
pub(crate) extern "C" fn pwkit_later() -> u64 {
    // Known to the compiler, it would be put in the place of the call.
    std::hint::black_box(15)
}
