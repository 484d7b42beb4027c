//! The functions of the ABI as symbols, for plugins that are linked into the same program.
#![allow(clippy::missing_safety_doc, reason = "all of them share one contract: the ABI's")]

use super::{HOST, Host, NOT_FOUND};

/// Any time after 2020.
const NOW: u64 = 1_600_000_000_000_000_000;
const INTERNAL_FAILURE: u32 = 10;
/// The buffers of configurations, by their numbers.
const VM_CONFIGURATION: u32 = 6;
const PLUGIN_CONFIGURATION: u32 = 7;

unsafe extern "C" {
    fn proxy_on_memory_allocate(size: usize) -> *mut u8;
}

/// Asks the host of this thread.
fn ask<T>(question: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(question)
}

/// Gives the guest an answer, in memory that it allocates.
unsafe fn give(answer: Result<Vec<u8>, u32>, data: *mut *mut u8, size: *mut usize) -> u32 {
    let bytes = match answer {
        Ok(bytes) => bytes,
        Err(status) => return status,
    };
    // SAFETY: the guest's allocator returns so many bytes, and the guest passes places for the result.
    unsafe {
        let copy =
            if bytes.is_empty() { std::ptr::null_mut() } else { proxy_on_memory_allocate(bytes.len()) };
        copy.copy_from(bytes.as_ptr(), bytes.len());
        data.write(copy);
        size.write(bytes.len());
    }
    0
}

/// Gives the guest a number that it has not seen.
unsafe fn give_number(place: *mut u32) -> u32 {
    let (status, number) = ask(|host| (host.status(), host.number()));
    // SAFETY: the guest passes a place for the result.
    unsafe { place.write(number) };
    status
}

/// Functions that answer with bytes, that answer with a number, that call, and that only take something.
macro_rules! host_functions {
    ($(data $name:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type,)* data: *mut *mut u8, size: *mut usize) -> u32 {
            $(let _ = $argument;)*
            // SAFETY: as the ABI says.
            unsafe { give(ask(Host::data), data, size) }
        }
    )*};
    ($(number $name:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type,)* number: *mut u32) -> u32 {
            $(let _ = $argument;)*
            // SAFETY: as the ABI says.
            unsafe { give_number(number) }
        }
    )*};
    ($(call $name:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type,)* number: *mut u32) -> u32 {
            $(let _ = $argument;)*
            // SAFETY: as the ABI says.
            call_status(unsafe { give_number(number) })
        }
    )*};
    ($(status $name:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($argument: $type),*) -> u32 {
            $(let _ = $argument;)*
            ask(Host::status)
        }
    )*};
}

host_functions! {
    data proxy_get_header_map_pairs(map: u32);
    data proxy_get_header_map_value(map: u32, name: *const u8, name_size: usize);
    data proxy_dequeue_shared_queue(id: u32);
}

host_functions! {
    number proxy_define_metric(kind: u32, name: *const u8, name_size: usize);
    number proxy_register_shared_queue(name: *const u8, name_size: usize);
    number proxy_resolve_shared_queue(vm_id: *const u8, vm_id_size: usize, name: *const u8, name_size: usize);
    number proxy_get_header_map_size(map: u32);
    number proxy_get_buffer_status(buffer: u32, size: *mut usize);
}

host_functions! {
    call proxy_grpc_call(
        cluster: *const u8, cluster_size: usize, service: *const u8, service_size: usize,
        method: *const u8, method_size: usize, metadata: *const u8, metadata_size: usize,
        message: *const u8, message_size: usize, timeout: u32
    );
    call proxy_grpc_stream(
        cluster: *const u8, cluster_size: usize, service: *const u8, service_size: usize,
        method: *const u8, method_size: usize, metadata: *const u8, metadata_size: usize
    );
}

host_functions! {
    status proxy_set_tick_period_milliseconds(period: u32);
    status proxy_done();
    status proxy_set_header_map_pairs(map: u32, pairs: *const u8, size: usize);
    status proxy_add_header_map_value(map: u32, name: *const u8, name_size: usize, value: *const u8, value_size: usize);
    status proxy_replace_header_map_value(map: u32, name: *const u8, name_size: usize, value: *const u8, value_size: usize);
    status proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize);
    status proxy_set_buffer_bytes(buffer: u32, start: usize, size: usize, data: *const u8, data_size: usize);
    status proxy_continue_stream(stream: u32);
    status proxy_close_stream(stream: u32);
    status proxy_send_local_response(
        code: u32, details: *const u8, details_size: usize, body: *const u8, body_size: usize,
        headers: *const u8, headers_size: usize, grpc_status: i32
    );
    status proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize);
    status proxy_increment_metric(id: u32, offset: i64);
    status proxy_record_metric(id: u32, value: u64);
    status proxy_set_shared_data(key: *const u8, key_size: usize, value: *const u8, value_size: usize, version: u32);
    status proxy_enqueue_shared_queue(id: u32, data: *const u8, size: usize);
    status proxy_grpc_send(id: u32, message: *const u8, size: usize, end: bool);
    status proxy_grpc_cancel(id: u32);
    status proxy_grpc_close(id: u32);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_log(level: u32, message: *const u8, size: usize) -> u32 {
    // SAFETY: as the ABI says.
    let text = unsafe { std::slice::from_raw_parts(message, size) };
    let text = String::from_utf8(text.to_vec()).expect("a line of the log is text");
    ask(|host| host.log.push((level, text)));
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_log_level(level: *mut u32) -> u32 {
    // SAFETY: as the ABI says.
    unsafe { level.write(0) };
    0
}

/// Of a context that is there it never fails, and on that the dispatcher of the crate relies.
#[unsafe(no_mangle)]
extern "C" fn proxy_set_effective_context(_context: u32) -> u32 {
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32 {
    // SAFETY: as the ABI says.
    unsafe { time.write(NOW) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_metric(_id: u32, value: *mut u64) -> u32 {
    // SAFETY: as the ABI says.
    unsafe { value.write(u64::MAX) };
    ask(Host::status)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_status(code: *mut u32, data: *mut *mut u8, size: *mut usize) -> u32 {
    // SAFETY: as the ABI says.
    unsafe {
        code.write(2);
        give(ask(Host::data), data, size)
    }
}

/// Only a request has a protocol: by that the SDK tells it from a connection, before anything else tells.
#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_property(
    path: *const u8,
    path_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    // SAFETY: as the ABI says.
    let is_protocol = unsafe { std::slice::from_raw_parts(path, path_size) } == b"request\0protocol";
    let answer = ask(|host| match host.is_connection {
        true if is_protocol => Err(NOT_FOUND),
        false if is_protocol => Ok(b"HTTP/1.1".to_vec()),
        _ => host.data(),
    });
    // SAFETY: as the ABI says.
    unsafe { give(answer, data, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_call_foreign_function(
    _name: *const u8,
    _name_size: usize,
    _arguments: *const u8,
    _arguments_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    let answer = ask(|host| if host.answers.is_empty() { Ok(vec![1, 0, 0, 0]) } else { host.data() });
    // SAFETY: as the ABI says.
    unsafe { give(answer, data, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_shared_data(
    _key: *const u8,
    _key_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
    version: *mut u32,
) -> u32 {
    // SAFETY: as the ABI says.
    unsafe {
        version.write(ask(Host::number));
        give(ask(Host::data), data, size)
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_buffer_bytes(
    buffer: u32,
    start: usize,
    most: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> u32 {
    let answer = ask(|host| match buffer {
        VM_CONFIGURATION => Ok(Vec::new()),
        PLUGIN_CONFIGURATION => Ok(host.configuration.clone()),
        _ => host.data(),
    });
    let part = |bytes: Vec<u8>| bytes.into_iter().skip(start).take(most).collect();
    // SAFETY: as the ABI says.
    unsafe { give(answer.map(part), data, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_http_call(
    _cluster: *const u8,
    _cluster_size: usize,
    _headers: *const u8,
    _headers_size: usize,
    _body: *const u8,
    _body_size: usize,
    _trailers: *const u8,
    _trailers_size: usize,
    _timeout: u32,
    id: *mut u32,
) -> u32 {
    // SAFETY: as the ABI says.
    let status = unsafe { give_number(id) };
    if status == 0 {
        // SAFETY: it has just been written.
        ask(|host| host.calls.push_back(unsafe { id.read() }));
    }
    call_status(status)
}

/// Of a call the crate knows what Envoy may answer, and has a panic for all else.
fn call_status(status: u32) -> u32 {
    if status == 0 { 0 } else { INTERNAL_FAILURE }
}

/// The SDK has caught a panic: what ends a VM in a proxy.
#[unsafe(no_mangle)]
extern "C" fn pwkit_guest_panicked(_message: *const u8, _size: usize) {
    // Whatever took it before has said where.
    std::process::abort();
}
