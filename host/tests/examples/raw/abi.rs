//! What the module imports, and how the versions of the ABI differ there.

use std::ptr::null_mut;

pub(super) const REQUEST: u32 = 0;
pub(super) const RESPONSE: u32 = 2;
pub(super) const RESPONSE_BODY: u32 = 1;
pub(super) const ANSWER_BODY: u32 = 4;
#[cfg(not(feature = "v0_1_0"))]
const CONFIGURATION: u32 = 7;

pub(super) const CAS_MISMATCH: u32 = 8;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, text: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_get_header_map_value(map: u32, n: *const u8, ns: usize, v: *mut *mut u8, vs: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_add_header_map_value(map: u32, n: *const u8, ns: usize, v: *const u8, vs: usize) -> u32;
    fn proxy_replace_header_map_value(map: u32, n: *const u8, ns: usize, v: *const u8, vs: usize) -> u32;
    fn proxy_remove_header_map_value(map: u32, n: *const u8, ns: usize) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, size: usize, d: *mut *mut u8, ds: *mut usize)
    -> u32;
    fn proxy_set_buffer_bytes(buffer: u32, start: usize, size: usize, data: *const u8, ds: usize) -> u32;
    fn proxy_get_property(path: *const u8, size: usize, v: *mut *mut u8, vs: *mut usize) -> u32;
    fn proxy_get_shared_data(k: *const u8, ks: usize, v: *mut *mut u8, vs: *mut usize, cas: *mut u32) -> u32;
    fn proxy_set_shared_data(k: *const u8, ks: usize, v: *const u8, vs: usize, cas: u32) -> u32;
    fn proxy_register_shared_queue(name: *const u8, size: usize, id: *mut u32) -> u32;
    fn proxy_resolve_shared_queue(vm: *const u8, vs: usize, n: *const u8, ns: usize, id: *mut u32) -> u32;
    fn proxy_dequeue_shared_queue(id: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_enqueue_shared_queue(id: u32, data: *const u8, size: usize) -> u32;
    fn proxy_send_local_response(
        code: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_grpc_call(
        cluster: *const u8,
        cluster_size: usize,
        service: *const u8,
        service_size: usize,
        method: *const u8,
        method_size: usize,
        metadata: *const u8,
        metadata_size: usize,
        message: *const u8,
        message_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
    ) -> u32;
    #[cfg(feature = "v0_1_0")]
    fn proxy_get_configuration(data: *mut *mut u8, size: *mut usize) -> u32;
    #[cfg(feature = "v0_1_0")]
    fn proxy_continue_request() -> u32;
    #[cfg(not(feature = "v0_1_0"))]
    fn proxy_continue_stream(stream: u32) -> u32;
    #[cfg(not(feature = "v0_1_0"))]
    fn proxy_close_stream(stream: u32) -> u32;
    #[cfg(feature = "v0_2_1")]
    fn proxy_get_log_level(level: *mut u32) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(buffer: *mut u8, size: usize) -> u16;
}

/// What a host call returned besides Ok: the status.
pub(super) type Answer<T = ()> = Result<T, u32>;

fn done(status: u32) -> Answer {
    if status == 0 { Ok(()) } else { Err(status) }
}

/// A call that returns memory, which the host took from `proxy_on_memory_allocate`. A null pointer is nothing.
fn bytes(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Answer<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    done(call(&mut data, &mut size))?;
    // SAFETY: `exports::proxy_on_memory_allocate` makes vectors of just that size.
    Ok(if data.is_null() { Vec::new() } else { unsafe { Vec::from_raw_parts(data, size, size) } })
}

fn number<T: Default>(call: impl FnOnce(*mut T) -> u32) -> Answer<T> {
    let mut number = T::default();
    done(call(&mut number)).map(|()| number)
}

// SAFETY for all calls below: the pointers come from slices, or from places on the stack.

/// Logs at level info.
pub(super) fn log(text: &str) {
    if logs_info() {
        unsafe { proxy_log(2, text.as_ptr(), text.len()) };
    }
}

/// Only the last version can ask.
fn logs_info() -> bool {
    #[cfg(feature = "v0_2_1")]
    return number(|level| unsafe { proxy_get_log_level(level) }).is_ok_and(|level| level <= 2);
    #[cfg(not(feature = "v0_2_1"))]
    true
}

/// Nanoseconds since 1970.
pub(super) fn now() -> Answer<u64> {
    number(|time| unsafe { proxy_get_current_time_nanoseconds(time) })
}

pub(super) fn set_tick_period(milliseconds: u32) -> Answer {
    done(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

pub(super) fn random() -> u8 {
    let mut byte = 0;
    unsafe { random_get(&mut byte, 1) };
    byte
}

pub(super) fn set_effective_context(context: u32) -> Answer {
    done(unsafe { proxy_set_effective_context(context) })
}

/// The first value. A missing header is NotFound, but Ok and empty in the first version.
pub(super) fn header(map: u32, name: &str) -> Option<Vec<u8>> {
    let value =
        bytes(|v, vs| unsafe { proxy_get_header_map_value(map, name.as_ptr(), name.len(), v, vs) }).ok();
    value.filter(|value| !(cfg!(feature = "v0_1_0") && value.is_empty()))
}

pub(super) fn headers(map: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
    let wire = bytes(|v, vs| unsafe { proxy_get_header_map_pairs(map, v, vs) }).unwrap_or_default();
    unpacked(&wire).unwrap_or_default()
}

pub(super) fn add_header(map: u32, name: &str, value: &[u8]) -> Answer {
    let (n, ns) = (name.as_ptr(), name.len());
    done(unsafe { proxy_add_header_map_value(map, n, ns, value.as_ptr(), value.len()) })
}

pub(super) fn set_header(map: u32, name: &str, value: &str) -> Answer {
    let (n, ns) = (name.as_ptr(), name.len());
    done(unsafe { proxy_replace_header_map_value(map, n, ns, value.as_ptr(), value.len()) })
}

pub(super) fn remove_header(map: u32, name: &str) -> Answer {
    done(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

pub(super) fn buffer(buffer: u32, size: usize) -> Vec<u8> {
    bytes(|v, vs| unsafe { proxy_get_buffer_bytes(buffer, 0, size, v, vs) }).unwrap_or_default()
}

/// Replaces a buffer of this size.
pub(super) fn set_buffer(buffer: u32, size: usize, data: &str) -> Answer {
    done(unsafe { proxy_set_buffer_bytes(buffer, 0, size, data.as_ptr(), data.len()) })
}

/// The plugin's configuration: a buffer, but of a function of its own in the first version.
pub(super) fn configuration(size: usize) -> Vec<u8> {
    #[cfg(feature = "v0_1_0")]
    let found = bytes(|v, vs| unsafe { proxy_get_configuration(v, vs) }).unwrap_or_default();
    #[cfg(not(feature = "v0_1_0"))]
    let found = buffer(CONFIGURATION, size);
    assert_eq!(found.len(), size);
    found
}

pub(super) fn property(path: &[&str]) -> Option<Vec<u8>> {
    let path = path.join("\0");
    bytes(|v, vs| unsafe { proxy_get_property(path.as_ptr(), path.len(), v, vs) }).ok()
}

/// Lets the request of the effective context go on.
pub(super) fn resume_request() -> Answer {
    #[cfg(feature = "v0_1_0")]
    return done(unsafe { proxy_continue_request() });
    #[cfg(not(feature = "v0_1_0"))]
    done(unsafe { proxy_continue_stream(0) })
}

/// Closes the client's connection; the first version cannot.
#[cfg_attr(feature = "v0_1_0", allow(clippy::unnecessary_wraps))]
pub(super) fn close_downstream() -> Answer {
    #[cfg(feature = "v0_1_0")]
    return Err(12);
    #[cfg(not(feature = "v0_1_0"))]
    done(unsafe { proxy_close_stream(2) })
}

/// Answers a request; `grpc` is a status of gRPC.
pub(super) fn reply(code: u32, headers: &[(&str, &str)], body: &str, grpc: Option<u32>) -> Answer {
    let headers = packed(headers);
    let grpc = grpc.map_or(-1, u32::cast_signed);
    let (h, hs) = (headers.as_ptr(), headers.len());
    done(unsafe { proxy_send_local_response(code, null_mut(), 0, body.as_ptr(), body.len(), h, hs, grpc) })
}

/// Calls a service; its answer comes with the token.
pub(super) fn call(cluster: &str, headers: &[(&str, &str)], timeout: u32) -> Answer<u32> {
    let (headers, trailers) = (packed(headers), packed(&[]));
    let (c, cs, h, hs) = (cluster.as_ptr(), cluster.len(), headers.as_ptr(), headers.len());
    let (t, ts) = (trailers.as_ptr(), trailers.len());
    number(|token| unsafe { proxy_http_call(c, cs, h, hs, null_mut(), 0, t, ts, timeout, token) })
}

/// Calls a gRPC service with an empty message.
pub(super) fn grpc_call(cluster: &str, service: &str, method: &str, timeout: u32) -> Answer<u32> {
    let metadata = packed(&[]);
    let (c, cs, s, ss) = (cluster.as_ptr(), cluster.len(), service.as_ptr(), service.len());
    let (m, ms, d, ds) = (method.as_ptr(), method.len(), metadata.as_ptr(), metadata.len());
    number(|token| unsafe { proxy_grpc_call(c, cs, s, ss, m, ms, d, ds, null_mut(), 0, timeout, token) })
}

pub(super) fn foreign(name: &str, arguments: &[u8]) -> Answer<Vec<u8>> {
    let (n, ns, a, size) = (name.as_ptr(), name.len(), arguments.as_ptr(), arguments.len());
    bytes(|v, vs| unsafe { proxy_call_foreign_function(n, ns, a, size, v, vs) })
}

/// Value and version.
pub(super) fn shared(key: &str) -> Answer<(Vec<u8>, u32)> {
    let mut version = 0;
    let value =
        bytes(|v, vs| unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), v, vs, &mut version) })?;
    Ok((value, version))
}

pub(super) fn set_shared(key: &str, value: &[u8], version: u32) -> Answer {
    let (k, ks) = (key.as_ptr(), key.len());
    done(unsafe { proxy_set_shared_data(k, ks, value.as_ptr(), value.len(), version) })
}

pub(super) fn register_queue(name: &str) -> Answer<u32> {
    number(|id| unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), id) })
}

/// A queue of this VM.
pub(super) fn resolve_queue(name: &str) -> Answer<u32> {
    number(|id| unsafe { proxy_resolve_shared_queue(null_mut(), 0, name.as_ptr(), name.len(), id) })
}

pub(super) fn enqueue(queue: u32, data: &[u8]) -> Answer {
    done(unsafe { proxy_enqueue_shared_queue(queue, data.as_ptr(), data.len()) })
}

pub(super) fn dequeue(queue: u32) -> Answer<Vec<u8>> {
    bytes(|v, vs| unsafe { proxy_dequeue_shared_queue(queue, v, vs) })
}

/// Pairs on the wire: their number, all sizes, then all texts, each with a NUL behind it.
fn packed(pairs: &[(&str, &str)]) -> Vec<u8> {
    let word = |size: usize| u32::try_from(size).unwrap_or(0).to_le_bytes();
    let sizes = pairs.iter().flat_map(|(name, value)| [word(name.len()), word(value.len())].concat());
    let texts = pairs.iter().flat_map(|(name, value)| format!("{name}\0{value}\0").into_bytes());
    word(pairs.len()).into_iter().chain(sizes).chain(texts).collect()
}

fn unpacked(wire: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let word = |index: usize| {
        let bytes = wire.get(index * 4..index * 4 + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let count = word(0)?;
    let mut at = 4 + 8 * count;
    let mut text = |size: usize| {
        let text = wire.get(at..at + size)?.to_vec();
        at += size + 1;
        Some(text)
    };
    (0..count).map(|index| Some((text(word(1 + 2 * index)?)?, text(word(2 + 2 * index)?)?))).collect()
}
