//! The host functions as a guest declares them, with the bare status as the answer: `Err(2)` is BadArgument.

use crate::back_end::imports::*;
use std::ptr::{null, null_mut};

pub(crate) const REQUEST: u32 = 0;
pub(crate) const REQUEST_TRAILERS: u32 = 1;
pub(crate) const RESPONSE: u32 = 2;
pub(crate) const RESPONSE_TRAILERS: u32 = 3;
pub(crate) const REQUEST_BODY: u32 = 0;
pub(crate) const RESPONSE_BODY: u32 = 1;

/// What a host call returned.
pub(crate) type Answer<T = ()> = Result<T, u32>;

fn done(status: u32) -> Answer {
    if status == 0 { Ok(()) } else { Err(status) }
}

/// A call that returns memory: `None` is a null pointer.
fn bytes(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Answer<Option<Vec<u8>>> {
    let (mut data, mut size) = (null_mut(), 0);
    done(call(&mut data, &mut size))?;
    // SAFETY: the host took this memory from `proxy_on_memory_allocate`, which makes vectors of just that size.
    Ok((!data.is_null()).then(|| unsafe { Vec::from_raw_parts(data, size, size) }))
}

/// The same as text; a null pointer counts as empty.
fn text(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Answer<String> {
    Ok(String::from_utf8_lossy(&bytes(call)?.unwrap_or_default()).into_owned())
}

// SAFETY for all calls below: the pointers come from slices, or from places on the stack.

pub(crate) fn log(level: u32, message: &str) -> Answer {
    done(unsafe { proxy_log(level, message.as_ptr(), message.len()) })
}

/// Logs at level info.
pub(crate) fn say(message: impl std::fmt::Debug) {
    log(2, format!("{message:?}").trim_matches('"')).unwrap();
}

pub(crate) fn log_level() -> Answer<u32> {
    let mut level = 99;
    done(unsafe { proxy_get_log_level(&mut level) }).map(|()| level)
}

pub(crate) fn now() -> Answer<u64> {
    let mut time = 0;
    done(unsafe { proxy_get_current_time_nanoseconds(&mut time) }).map(|()| time)
}

pub(crate) fn set_effective_context(context: u32) -> Answer {
    done(unsafe { proxy_set_effective_context(context) })
}

pub(crate) fn get(map: u32, name: &str) -> Answer<String> {
    text(|data, size| unsafe { proxy_get_header_map_value(map, name.as_ptr(), name.len(), data, size) })
}

/// The raw answer: whether there was a pointer at all.
pub(crate) fn get_bytes(map: u32, name: &str) -> Answer<Option<Vec<u8>>> {
    bytes(|data, size| unsafe { proxy_get_header_map_value(map, name.as_ptr(), name.len(), data, size) })
}

/// The pairs as they stand on the wire.
pub(crate) fn pairs_wire(map: u32) -> Answer<Option<Vec<u8>>> {
    bytes(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) })
}

/// The pairs as text, `name=value`.
pub(crate) fn pairs(map: u32) -> Answer<Vec<String>> {
    let wire = pairs_wire(map)?.unwrap_or_default();
    let pairs = proxy_wasm_kit_host::engine::decode_pairs(&wire).0;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(pairs.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect())
}

pub(crate) fn map_size(map: u32) -> Answer<usize> {
    let mut size = 0;
    done(unsafe { proxy_get_header_map_size(map, &mut size) }).map(|()| size)
}

pub(crate) fn set_pairs_wire(map: u32, wire: &[u8]) -> Answer {
    done(unsafe { proxy_set_header_map_pairs(map, wire.as_ptr(), wire.len()) })
}

pub(crate) fn set_pairs(map: u32, pairs: &[(&str, &str)]) -> Answer {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    set_pairs_wire(map, &proxy_wasm_kit_host::engine::encode_pairs(&pairs))
}

pub(crate) fn add(map: u32, name: &str, value: &str) -> Answer {
    let (n, v) = (name.as_bytes(), value.as_bytes());
    done(unsafe { proxy_add_header_map_value(map, n.as_ptr(), n.len(), v.as_ptr(), v.len()) })
}

pub(crate) fn replace(map: u32, name: &str, value: &str) -> Answer {
    let (n, v) = (name.as_bytes(), value.as_bytes());
    done(unsafe { proxy_replace_header_map_value(map, n.as_ptr(), n.len(), v.as_ptr(), v.len()) })
}

pub(crate) fn remove(map: u32, name: &str) -> Answer {
    done(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

/// `None` is a null pointer.
pub(crate) fn buffer_bytes(buffer: u32, start: usize, size: usize) -> Answer<Option<Vec<u8>>> {
    bytes(|data, length| unsafe { proxy_get_buffer_bytes(buffer, start, size, data, length) })
}

/// A whole buffer.
pub(crate) fn buffer(buffer: u32) -> Answer<String> {
    text(|data, length| unsafe { proxy_get_buffer_bytes(buffer, 0, usize::MAX, data, length) })
}

pub(crate) fn set_buffer(buffer: u32, start: usize, size: usize, bytes: &str) -> Answer {
    done(unsafe { proxy_set_buffer_bytes(buffer, start, size, bytes.as_ptr(), bytes.len()) })
}

/// A property by a path with dots.
pub(crate) fn property_bytes(path: &str) -> Answer<Vec<u8>> {
    let path = path.replace('.', "\0");
    Ok(bytes(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })?
        .unwrap_or_default())
}

/// The same as text.
pub(crate) fn property(path: &str) -> Answer<String> {
    Ok(String::from_utf8_lossy(&property_bytes(path)?).into_owned())
}

/// A property whose last part holds dots.
pub(crate) fn property_of(first: &str, second: &str) -> Answer<String> {
    let path = format!("{first}\0{second}");
    text(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

pub(crate) fn set_property(path: &str, value: &str) -> Answer {
    done(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) })
}

pub(crate) fn define_metric(kind: u32, name: &str) -> Answer<u32> {
    let mut id = 0;
    done(unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &mut id) }).map(|()| id)
}

pub(crate) fn increment_metric(id: u32, offset: i64) -> Answer {
    done(unsafe { proxy_increment_metric(id, offset) })
}

pub(crate) fn record_metric(id: u32, value: u64) -> Answer {
    done(unsafe { proxy_record_metric(id, value) })
}

pub(crate) fn get_metric(id: u32) -> Answer<u64> {
    let mut value = 0;
    done(unsafe { proxy_get_metric(id, &mut value) }).map(|()| value)
}

pub(crate) fn continue_stream(stream: u32) -> Answer {
    done(unsafe { proxy_continue_stream(stream) })
}

pub(crate) fn close_stream(stream: u32) -> Answer {
    done(unsafe { proxy_close_stream(stream) })
}

/// A local reply without a gRPC status.
pub(crate) fn reply(code: u32, details: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
    reply_grpc(code, details, body, headers, -1)
}

pub(crate) fn reply_grpc(
    code: u32,
    details: &str,
    body: &str,
    headers: &[(&str, &str)],
    grpc: i32,
) -> Answer {
    let pairs: Vec<_> = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let wire = proxy_wasm_kit_host::engine::encode_pairs(&pairs);
    done(unsafe {
        proxy_send_local_response(
            code,
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            wire.as_ptr(),
            wire.len(),
            grpc,
        )
    })
}

pub(crate) fn foreign(name: &str) -> Answer<String> {
    text(|data, size| unsafe {
        proxy_call_foreign_function(name.as_ptr(), name.len(), null(), 0, data, size)
    })
}

/// The same with arguments, and the result as it is.
pub(crate) fn foreign_bytes(name: &str, arguments: &[u8]) -> Answer<Vec<u8>> {
    let answer = bytes(|data, size| unsafe {
        let (name, length) = (name.as_ptr(), name.len());
        proxy_call_foreign_function(name, length, arguments.as_ptr(), arguments.len(), data, size)
    });
    answer.map(Option::unwrap_or_default)
}

pub(crate) fn tick_every(milliseconds: u32) -> Answer {
    done(unsafe { proxy_set_tick_period_milliseconds(milliseconds) })
}

/// Value and version; `None` is a null pointer.
pub(crate) fn shared(key: &str) -> Answer<(Option<String>, u32)> {
    let mut version = 0;
    let value = bytes(|data, size| unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut version)
    })?;
    Ok((value.map(|value| String::from_utf8_lossy(&value).into_owned()), version))
}

pub(crate) fn set_shared(key: &str, value: &str, version: u32) -> Answer {
    done(unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version) })
}

pub(crate) fn register_queue(name: &str) -> Answer<u32> {
    let mut id = 0;
    done(unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &mut id) }).map(|()| id)
}

pub(crate) fn resolve_queue(vm: &str, name: &str) -> Answer<u32> {
    let mut id = 0;
    done(unsafe { proxy_resolve_shared_queue(vm.as_ptr(), vm.len(), name.as_ptr(), name.len(), &mut id) })
        .map(|()| id)
}

pub(crate) fn dequeue(id: u32) -> Answer<String> {
    text(|data, size| unsafe { proxy_dequeue_shared_queue(id, data, size) })
}

pub(crate) fn enqueue(id: u32, value: &str) -> Answer {
    done(unsafe { proxy_enqueue_shared_queue(id, value.as_ptr(), value.len()) })
}

pub(crate) fn root_done() -> Answer {
    done(unsafe { proxy_done() })
}

pub(crate) fn panicked(message: &str) {
    unsafe { pwkit_guest_panicked(message.as_ptr(), message.len()) }
}
