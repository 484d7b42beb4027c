//! The host functions as symbols, for a guest that is linked into the same binary.
//!
//! Each one reads its arguments, asks the [`Vm`] of this thread, writes the result and returns the status. Pointers and
//! sizes are those of this machine. What a function does stands in the engine.
#![allow(
    clippy::missing_safety_doc,
    reason = "all of them share one contract: the ABI's, as the guest declares it"
)]

use super::VM;
use super::memory::{give, read, write};
use crate::engine::{BufferType, GrpcCall, LocalReply, MapType, Status, Vm, decode_pairs, encode_pairs};
use crate::exchange::Message;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The status that means success.
const OK: u32 = 0;

/// Runs a host function on this thread's VM.
fn ask<T>(name: &'static str, answer: impl FnOnce(&mut Vm) -> Result<T, Status>) -> Result<T, Status> {
    // Gone when the thread is ending, absent outside of a VM: a guest's destructor may still call.
    let vm = VM.try_with(|vm| vm.borrow().clone()).ok().flatten().ok_or(Status::INTERNAL_FAILURE)?;
    // Borrowed only when a host function itself panics, and a panic hook logs that.
    let mut vm = vm.try_borrow_mut().ok_or(Status::INTERNAL_FAILURE)?;
    vm.count_host_call(name)?;
    // A panic must not cross the boundary: it would end the whole test binary without a word.
    catch_unwind(AssertUnwindSafe(|| answer(&mut vm))).unwrap_or_else(|_| {
        vm.fail(format!("the host panicked in {name}"));
        Err(Status::INTERNAL_FAILURE)
    })
}

/// The status as the guest gets it; a result is delivered first.
fn reply<T>(result: Result<T, Status>, deliver: impl FnOnce(T)) -> u32 {
    match result {
        Ok(value) => {
            deliver(value);
            OK
        }
        Err(status) => status.0,
    }
}

/// The status of a function without a result.
fn status(result: Result<(), Status>) -> u32 {
    reply(result, |()| ())
}

/// Declares one host function. All are unsafe for the same reason: they trust the guest's pointers.
macro_rules! host_functions {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block)*) => {$(
        $(#[$doc])*
        #[unsafe(no_mangle)]
        #[allow(unused_unsafe, reason = "some take numbers only")]
        unsafe extern "C" fn $name($($argument: $type),*) -> u32 {
            // SAFETY: the guest passes pointers as the ABI says: to as many bytes as it states, or to a place for a result.
            unsafe { $body }
        }
    )*};
}

// Logging, time, contexts.
host_functions! {
    fn proxy_log(level: u32, data: *const u8, size: usize) {
        let message = read(data, size);
        let result = ask("proxy_log", |vm| vm.log(level, message));
        if result == Err(Status::INTERNAL_FAILURE) {
            // Outside of a VM: the process-wide logger or panic hook of the `proxy-wasm` crate, on a test's own thread.
            eprintln!("{}", String::from_utf8_lossy(message));
            return OK;
        }
        status(result)
    }

    fn proxy_get_log_level(level: *mut u32) {
        reply(ask("proxy_get_log_level", |vm| Ok(vm.get_log_level())), |value| write(level, value))
    }

    fn proxy_get_current_time_nanoseconds(time: *mut u64) {
        reply(ask("proxy_get_current_time_nanoseconds", |vm| Ok(vm.now())), |now| write(time, now))
    }

    fn proxy_set_tick_period_milliseconds(period: u32) {
        status(ask("proxy_set_tick_period_milliseconds", |vm| vm.set_tick_period(period)))
    }

    fn proxy_set_effective_context(context: u32) {
        status(ask("proxy_set_effective_context", |vm| vm.set_effective_context(context)))
    }

    fn proxy_done() {
        status(ask("proxy_done", Vm::done))
    }
}

// Header maps and buffers.
host_functions! {
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) {
        let found = ask("proxy_get_header_map_value", |vm| {
            vm.get_header_map_value(MapType::from_number(map)?, read(name, name_size))
        });
        reply(found, |found| give(&found, value, value_size))
    }

    fn proxy_get_header_map_pairs(map: u32, pairs: *mut *mut u8, size: *mut usize) {
        let found = ask("proxy_get_header_map_pairs", |vm| Ok(vm.get_header_map_pairs(MapType::from_number(map)?)));
        reply(found, |found| {
            // An empty map is nothing at all, not a count of zero.
            let wire = if found.0.is_empty() { Vec::new() } else { encode_pairs(&found.0) };
            give(&wire, pairs, size);
        })
    }

    fn proxy_get_header_map_size(map: u32, size: *mut usize) {
        let found = ask("proxy_get_header_map_size", |vm| vm.get_header_map_size(MapType::from_number(map)?));
        reply(found, |found| write(size, found))
    }

    fn proxy_set_header_map_pairs(map: u32, pairs: *const u8, size: usize) {
        status(ask("proxy_set_header_map_pairs", |vm| {
            vm.set_header_map_pairs(MapType::from_number(map)?, &decode_pairs(read(pairs, size)))
        }))
    }

    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) {
        status(ask("proxy_add_header_map_value", |vm| {
            let map = MapType::from_number(map)?;
            vm.add_header_map_value(map, read(name, name_size), read(value, value_size))
        }))
    }

    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) {
        status(ask("proxy_replace_header_map_value", |vm| {
            let map = MapType::from_number(map)?;
            vm.replace_header_map_value(map, read(name, name_size), read(value, value_size))
        }))
    }

    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) {
        status(ask("proxy_remove_header_map_value", |vm| {
            vm.remove_header_map_value(MapType::from_number(map)?, read(name, name_size))
        }))
    }

    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) {
        let found = ask("proxy_get_buffer_bytes", |vm| {
            vm.get_buffer_bytes(BufferType::from_number(buffer)?, start, max_size)
        });
        reply(found, |found| give(&found, data, size))
    }

    fn proxy_get_buffer_status(buffer: u32, size: *mut usize, flags: *mut u32) {
        let found = ask("proxy_get_buffer_status", |vm| vm.get_buffer_length(BufferType::from_number(buffer)?));
        reply(found, |length| {
            write(size, length);
            write(flags, 0);
        })
    }

    fn proxy_set_buffer_bytes(buffer: u32, start: usize, size: usize, data: *const u8, data_size: usize) {
        status(ask("proxy_set_buffer_bytes", |vm| {
            vm.set_buffer_bytes(BufferType::from_number(buffer)?, start, size, read(data, data_size))
        }))
    }
}

// Streams and local replies.
host_functions! {
    fn proxy_continue_stream(stream: u32) {
        status(ask("proxy_continue_stream", |vm| vm.continue_stream(stream)))
    }

    fn proxy_close_stream(stream: u32) {
        status(ask("proxy_close_stream", |vm| vm.close_stream(stream)))
    }

    fn proxy_send_local_response(
        code: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) {
        let reply = LocalReply {
            status: code,
            details: String::from_utf8_lossy(read(details, details_size)).into_owned(),
            body: read(body, body_size).to_vec(),
            headers: decode_pairs(read(headers, headers_size)),
            grpc_status: u32::try_from(grpc_status).ok(),
        };
        status(ask("proxy_send_local_response", |vm| vm.send_local_response(reply)))
    }
}

// Attributes and metrics.
host_functions! {
    fn proxy_get_property(path: *const u8, path_size: usize, value: *mut *mut u8, value_size: *mut usize) {
        let found = ask("proxy_get_property", |vm| vm.get_property(read(path, path_size)));
        reply(found, |found| give(&found, value, value_size))
    }

    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) {
        status(ask("proxy_set_property", |vm| {
            vm.set_property(read(path, path_size), read(value, value_size))
        }))
    }

    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) {
        let defined = ask("proxy_define_metric", |vm| vm.define_metric(kind, read(name, name_size)));
        reply(defined, |defined| write(id, defined))
    }

    fn proxy_increment_metric(id: u32, offset: i64) {
        status(ask("proxy_increment_metric", |vm| vm.increment_metric(id, offset)))
    }

    fn proxy_record_metric(id: u32, value: u64) {
        status(ask("proxy_record_metric", |vm| vm.record_metric(id, value)))
    }

    fn proxy_get_metric(id: u32, value: *mut u64) {
        reply(ask("proxy_get_metric", |vm| vm.get_metric(id)), |found| write(value, found))
    }
}

// Shared data, queues and foreign functions.
host_functions! {
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
        cas: *mut u32,
    ) {
        let found = ask("proxy_get_shared_data", |vm| vm.get_shared_data(read(key, key_size)));
        reply(found, |(found, version)| {
            give(&found, value, value_size);
            write(cas, version);
        })
    }

    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) {
        status(ask("proxy_set_shared_data", |vm| {
            vm.set_shared_data(read(key, key_size), read(value, value_size), cas)
        }))
    }

    fn proxy_register_shared_queue(name: *const u8, name_size: usize, id: *mut u32) {
        let found = ask("proxy_register_shared_queue", |vm| vm.register_shared_queue(read(name, name_size)));
        reply(found, |found| write(id, found))
    }

    fn proxy_resolve_shared_queue(
        vm_id: *const u8,
        vm_id_size: usize,
        name: *const u8,
        name_size: usize,
        id: *mut u32,
    ) {
        let found = ask("proxy_resolve_shared_queue", |vm| {
            vm.resolve_shared_queue(read(vm_id, vm_id_size), read(name, name_size))
        });
        reply(found, |found| write(id, found))
    }

    fn proxy_dequeue_shared_queue(id: u32, data: *mut *mut u8, size: *mut usize) {
        reply(ask("proxy_dequeue_shared_queue", |vm| vm.dequeue_shared_queue(id)), |found| give(&found, data, size))
    }

    fn proxy_enqueue_shared_queue(id: u32, data: *const u8, size: usize) {
        status(ask("proxy_enqueue_shared_queue", |vm| vm.enqueue_shared_queue(id, read(data, size))))
    }

    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
    ) {
        let answer = ask("proxy_call_foreign_function", |vm| {
            vm.call_foreign_function(read(name, name_size), read(arguments, arguments_size))
        });
        reply(answer, |answer| give(&answer, result, result_size))
    }

    fn proxy_get_status(code: *mut u32, message: *mut *mut u8, message_size: *mut usize) {
        reply(ask("proxy_get_status", |vm| Ok(vm.get_status())), |(number, text)| {
            write(code, number);
            give(&text, message, message_size);
        })
    }
}

// Callouts.
host_functions! {
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
        id: *mut u32,
    ) {
        let request = Message {
            headers: decode_pairs(read(headers, headers_size)),
            body: vec![read(body, body_size).to_vec()],
            trailers: decode_pairs(read(trailers, trailers_size)),
        };
        let called = ask("proxy_http_call", |vm| vm.http_call(read(cluster, cluster_size), request, timeout));
        reply(called, |called| write(id, called))
    }

    fn proxy_grpc_call(
        upstream: *const u8,
        upstream_size: usize,
        service: *const u8,
        service_size: usize,
        method: *const u8,
        method_size: usize,
        metadata: *const u8,
        metadata_size: usize,
        message: *const u8,
        message_size: usize,
        timeout: u32,
        id: *mut u32,
    ) {
        let call = GrpcCall {
            upstream: read(upstream, upstream_size),
            service: read(service, service_size),
            method: read(method, method_size),
            metadata: decode_pairs(read(metadata, metadata_size)),
        };
        let called =
            ask("proxy_grpc_call", |vm| vm.grpc_call(call, read(message, message_size), timeout));
        reply(called, |called| write(id, called))
    }

    fn proxy_grpc_stream(
        upstream: *const u8,
        upstream_size: usize,
        service: *const u8,
        service_size: usize,
        method: *const u8,
        method_size: usize,
        metadata: *const u8,
        metadata_size: usize,
        id: *mut u32,
    ) {
        let call = GrpcCall {
            upstream: read(upstream, upstream_size),
            service: read(service, service_size),
            method: read(method, method_size),
            metadata: decode_pairs(read(metadata, metadata_size)),
        };
        reply(ask("proxy_grpc_stream", |vm| vm.grpc_stream(call)), |opened| write(id, opened))
    }

    fn proxy_grpc_send(id: u32, message: *const u8, message_size: usize, end_of_stream: bool) {
        status(ask("proxy_grpc_send", |vm| vm.grpc_send(id, read(message, message_size), end_of_stream)))
    }

    fn proxy_grpc_cancel(id: u32) {
        status(ask("proxy_grpc_cancel", |vm| vm.grpc_cancel(id)))
    }

    fn proxy_grpc_close(id: u32) {
        status(ask("proxy_grpc_close", |vm| vm.grpc_close(id)))
    }
}

/// The guest caught a panic of its own: what kills a VM in a proxy.
#[unsafe(no_mangle)]
unsafe extern "C" fn pwkit_guest_panicked(message: *const u8, size: usize) {
    // SAFETY: the guest passes a slice.
    let message = String::from_utf8_lossy(unsafe { read(message, size) });
    match VM.try_with(|vm| vm.borrow().clone()) {
        Ok(Some(vm)) => {
            let mut vm = vm.borrow_mut();
            vm.note_panic(&message);
            vm.fail(message);
        }
        _ => eprintln!("a guest panicked outside of a VM: {message}"),
    }
}
