//! The host functions as imports of a module, in the order in which Envoy checks their arguments.
//!
//! Each takes what it needs out of the guest's memory, asks the VM, and writes the result back. What a function does
//! stands in the engine.

use super::instance::State;
use super::memory::HostCall;
use crate::engine::{BufferType, GrpcCall, LocalReply, MapType, Status, Vm, encode_pairs};
use crate::exchange::{Level, Message};
use crate::module::AbiVersion;
use wasmtime::{Caller, Linker, Result as Traps};

/// Everything that a proxy offers under `env` to a module of this version.
pub(super) fn offer(linker: &mut Linker<State>, abi: AbiVersion) -> Traps<()> {
    emscripten(linker)?;
    basics(linker)?;
    maps_and_buffers(linker)?;
    attributes_and_metrics(linker)?;
    shared(linker)?;
    callouts(linker)?;
    match abi {
        AbiVersion::V0_1_0 => first_version(linker),
        AbiVersion::V0_2_0 => streams(linker),
        AbiVersion::V0_2_1 => streams(linker).and_then(|()| log_level(linker)),
    }
}

/// What modules built by Emscripten want besides.
fn emscripten(linker: &mut Linker<State>) -> Traps<()> {
    linker.func_wrap(
        "env",
        "emscripten_notify_memory_growth",
        |caller: Caller<'_, State>, _memory: u32| {
            HostCall::begin(caller, "emscripten_notify_memory_growth").map(drop)
        },
    )?;
    linker.func_wrap("env", "pthread_equal", |left: u32, right: u32| u32::from(left == right))?;
    Ok(())
}

/// Makes a function for each group, which offers the host functions of the group. Their bodies say what is done with
/// the arguments; calling, counting and answering is the same for all.
macro_rules! host_functions {
    ($($(#[$doc:meta])* group $group:ident {
        $(fn $name:ident($guest:ident $(, $argument:ident: $type:ty)* $(,)?) $body:block)*
    })*) => {$(
        $(#[$doc])*
        fn $group(linker: &mut Linker<State>) -> Traps<()> {
            $({
                const NAME: &str = stringify!($name);
                linker.func_wrap("env", NAME, |caller: Caller<'_, State> $(, $argument: $type)*| {
                    let mut $guest = HostCall::begin(caller, NAME)?;
                    let result: Result<(), Status> = $guest.count().and_then(|()| $body);
                    $guest.end(result)
                })?;
            })*
            Ok(())
        }
    )*};
}

host_functions! {
    /// Logging, time, contexts, local replies.
    group basics {
        fn proxy_log(guest, level: u32, data: u32, size: u32) {
            Level::from_number(level).ok_or(Status::BAD_ARGUMENT)?;
            guest.ask(|vm, bytes| vm.log(level, bytes.get(data, size)?))
        }

        fn proxy_get_current_time_nanoseconds(guest, time: u32) {
            let now = guest.ask(|vm, _| Ok(vm.now()))?;
            guest.write(time, &now.to_le_bytes())
        }

        fn proxy_set_tick_period_milliseconds(guest, period: u32) {
            guest.ask(|vm, _| vm.set_tick_period(period))
        }

        fn proxy_set_effective_context(guest, context: u32) {
            guest.ask(|vm, _| vm.set_effective_context(context))
        }

        fn proxy_done(guest) {
            guest.ask(|vm, _| vm.done())
        }

        fn proxy_send_local_response(
            guest,
            code: u32,
            details: u32,
            details_size: u32,
            body: u32,
            body_size: u32,
            headers: u32,
            headers_size: u32,
            grpc_status: i32,
        ) {
            guest.ask(|vm, bytes| {
                let details = String::from_utf8_lossy(bytes.get(details, details_size)?).into_owned();
                let body = bytes.get(body, body_size)?.to_vec();
                let headers = bytes.pairs(headers, headers_size)?;
                let grpc_status = u32::try_from(grpc_status).ok();
                vm.send_local_response(LocalReply { status: code, details, body, headers, grpc_status })
            })
        }
    }

    /// Header maps and buffers.
    group maps_and_buffers {
        fn proxy_get_header_map_value(
            guest,
            map: u32,
            name: u32,
            name_size: u32,
            value: u32,
            value_size: u32,
        ) {
            let map = MapType::from_number(map)?;
            let found = guest.ask(|vm, bytes| vm.get_header_map_value(map, bytes.get(name, name_size)?));
            let found = match found {
                // The first version of the ABI does not tell a missing header from an empty one (row 23).
                Err(Status::NOT_FOUND) if guest.state().abi == AbiVersion::V0_1_0 => Vec::new(),
                found => found?,
            };
            guest.give(&found, value, value_size)
        }

        fn proxy_get_header_map_pairs(guest, map: u32, pairs: u32, size: u32) {
            let map = MapType::from_number(map)?;
            let found = guest.ask(|vm, _| Ok(vm.get_header_map_pairs(map)))?;
            // An empty map is nothing at all, not a count of zero.
            let wire = if found.0.is_empty() { Vec::new() } else { encode_pairs(&found.0) };
            guest.give(&wire, pairs, size)
        }

        fn proxy_get_header_map_size(guest, map: u32, size: u32) {
            let map = MapType::from_number(map)?;
            let found = guest.ask(|vm, _| vm.get_header_map_size(map))?;
            guest.write_size(size, found)
        }

        fn proxy_set_header_map_pairs(guest, map: u32, pairs: u32, size: u32) {
            let map = MapType::from_number(map)?;
            guest.ask(|vm, bytes| vm.set_header_map_pairs(map, &bytes.pairs(pairs, size)?))
        }

        fn proxy_add_header_map_value(
            guest,
            map: u32,
            name: u32,
            name_size: u32,
            value: u32,
            value_size: u32,
        ) {
            let map = MapType::from_number(map)?;
            guest.ask(|vm, bytes| {
                vm.add_header_map_value(map, bytes.get(name, name_size)?, bytes.get(value, value_size)?)
            })
        }

        fn proxy_replace_header_map_value(
            guest,
            map: u32,
            name: u32,
            name_size: u32,
            value: u32,
            value_size: u32,
        ) {
            let map = MapType::from_number(map)?;
            guest.ask(|vm, bytes| {
                vm.replace_header_map_value(map, bytes.get(name, name_size)?, bytes.get(value, value_size)?)
            })
        }

        fn proxy_remove_header_map_value(guest, map: u32, name: u32, name_size: u32) {
            let map = MapType::from_number(map)?;
            guest.ask(|vm, bytes| vm.remove_header_map_value(map, bytes.get(name, name_size)?))
        }

        fn proxy_get_buffer_bytes(guest, buffer: u32, start: u32, max_size: u32, data: u32, size: u32) {
            let buffer = BufferType::from_number(buffer)?;
            let found =
                guest.ask(|vm, _| vm.get_buffer_bytes(buffer, start as usize, max_size as usize))?;
            guest.give(&found, data, size)
        }

        fn proxy_get_buffer_status(guest, buffer: u32, size: u32, flags: u32) {
            let buffer = BufferType::from_number(buffer)?;
            let length = guest.ask(|vm, _| vm.get_buffer_length(buffer))?;
            guest.write_size(size, length)?;
            guest.write_word(flags, 0)
        }

        fn proxy_set_buffer_bytes(guest, buffer: u32, start: u32, size: u32, data: u32, data_size: u32) {
            let buffer = BufferType::from_number(buffer)?;
            guest.ask(|vm, bytes| {
                // A buffer that is not there comes before a pointer that leads nowhere.
                vm.get_buffer_length(buffer)?;
                vm.set_buffer_bytes(buffer, start as usize, size as usize, bytes.get(data, data_size)?)
            })
        }
    }

    /// Attributes and metrics.
    group attributes_and_metrics {
        fn proxy_get_property(guest, path: u32, path_size: u32, value: u32, value_size: u32) {
            let found = guest.ask(|vm, bytes| vm.get_property(bytes.get(path, path_size)?))?;
            guest.give(&found, value, value_size)
        }

        fn proxy_set_property(guest, path: u32, path_size: u32, value: u32, value_size: u32) {
            guest.ask(|vm, bytes| {
                vm.set_property(bytes.get(path, path_size)?, bytes.get(value, value_size)?)
            })
        }

        fn proxy_define_metric(guest, kind: u32, name: u32, name_size: u32, id: u32) {
            let defined = guest.ask(|vm, bytes| vm.define_metric(kind, bytes.get(name, name_size)?))?;
            guest.write_word(id, defined)
        }

        fn proxy_increment_metric(guest, id: u32, offset: i64) {
            guest.ask(|vm, _| vm.increment_metric(id, offset))
        }

        fn proxy_record_metric(guest, id: u32, value: u64) {
            guest.ask(|vm, _| vm.record_metric(id, value))
        }

        fn proxy_get_metric(guest, id: u32, value: u32) {
            let found = guest.ask(|vm, _| vm.get_metric(id))?;
            guest.write(value, &found.to_le_bytes())
        }
    }

    /// Shared data, queues and foreign functions.
    group shared {
        fn proxy_get_shared_data(guest, key: u32, key_size: u32, value: u32, value_size: u32, cas: u32) {
            let (found, version) = guest.ask(|vm, bytes| vm.get_shared_data(bytes.get(key, key_size)?))?;
            guest.give(&found, value, value_size)?;
            guest.write_word(cas, version)
        }

        fn proxy_set_shared_data(guest, key: u32, key_size: u32, value: u32, value_size: u32, cas: u32) {
            guest.ask(|vm, bytes| {
                vm.set_shared_data(bytes.get(key, key_size)?, bytes.get(value, value_size)?, cas)
            })
        }

        fn proxy_register_shared_queue(guest, name: u32, name_size: u32, id: u32) {
            let found = guest.ask(|vm, bytes| vm.register_shared_queue(bytes.get(name, name_size)?))?;
            guest.write_word(id, found)
        }

        fn proxy_resolve_shared_queue(
            guest,
            vm_id: u32,
            vm_id_size: u32,
            name: u32,
            name_size: u32,
            id: u32,
        ) {
            let found = guest.ask(|vm, bytes| {
                vm.resolve_shared_queue(bytes.get(vm_id, vm_id_size)?, bytes.get(name, name_size)?)
            })?;
            guest.write_word(id, found)
        }

        fn proxy_dequeue_shared_queue(guest, id: u32, data: u32, size: u32) {
            let found = guest.ask(|vm, _| vm.dequeue_shared_queue(id))?;
            guest.give(&found, data, size)
        }

        fn proxy_enqueue_shared_queue(guest, id: u32, data: u32, size: u32) {
            guest.ask(|vm, bytes| vm.enqueue_shared_queue(id, bytes.get(data, size)?))
        }

        fn proxy_call_foreign_function(
            guest,
            name: u32,
            name_size: u32,
            arguments: u32,
            arguments_size: u32,
            result: u32,
            result_size: u32,
        ) {
            let answer = guest.ask(|vm, bytes| {
                vm.call_foreign_function(bytes.get(name, name_size)?, bytes.get(arguments, arguments_size)?)
            })?;
            // Either place may be null: the result is not wanted.
            if result != 0 {
                let address = guest.copy(&answer)?;
                guest.write_word(result, address)?;
            }
            if result_size == 0 { Ok(()) } else { guest.write_size(result_size, answer.len()) }
        }
    }

    /// Callouts.
    group callouts {
        fn proxy_get_status(guest, code: u32, message: u32, message_size: u32) {
            let (number, text) = guest.ask(|vm, _| Ok(vm.get_status()))?;
            guest.write_word(code, number)?;
            guest.give(&text, message, message_size)
        }

        fn proxy_http_call(
            guest,
            cluster: u32,
            cluster_size: u32,
            headers: u32,
            headers_size: u32,
            body: u32,
            body_size: u32,
            trailers: u32,
            trailers_size: u32,
            timeout: u32,
            id: u32,
        ) {
            let (cluster, request) = guest.ask(|_, bytes| {
                let cluster = bytes.get(cluster, cluster_size)?.to_vec();
                let body = vec![bytes.get(body, body_size)?.to_vec()];
                let headers = bytes.pairs(headers, headers_size)?;
                let trailers = bytes.pairs(trailers, trailers_size)?;
                Ok((cluster, Message { headers, body, trailers }))
            })?;
            // Written before the call is made: an answer that could not be matched must not come.
            guest.write_word(id, 0)?;
            let called = guest.ask(|vm, _| vm.http_call(&cluster, request, timeout))?;
            guest.write_word(id, called)
        }

        fn proxy_grpc_call(
            guest,
            upstream: u32,
            upstream_size: u32,
            service: u32,
            service_size: u32,
            method: u32,
            method_size: u32,
            metadata: u32,
            metadata_size: u32,
            message: u32,
            message_size: u32,
            timeout: u32,
            id: u32,
        ) {
            let called = guest.ask(|vm, bytes| {
                let call = GrpcCall {
                    upstream: bytes.get(upstream, upstream_size)?,
                    service: bytes.get(service, service_size)?,
                    method: bytes.get(method, method_size)?,
                    metadata: bytes.pairs(metadata, metadata_size)?,
                };
                vm.grpc_call(call, bytes.get(message, message_size)?, timeout)
            })?;
            guest.write_word(id, called)
        }

        fn proxy_grpc_stream(
            guest,
            upstream: u32,
            upstream_size: u32,
            service: u32,
            service_size: u32,
            method: u32,
            method_size: u32,
            metadata: u32,
            metadata_size: u32,
            id: u32,
        ) {
            let opened = guest.ask(|vm, bytes| {
                vm.grpc_stream(GrpcCall {
                    upstream: bytes.get(upstream, upstream_size)?,
                    service: bytes.get(service, service_size)?,
                    method: bytes.get(method, method_size)?,
                    metadata: bytes.pairs(metadata, metadata_size)?,
                })
            })?;
            guest.write_word(id, opened)
        }

        fn proxy_grpc_send(guest, id: u32, message: u32, message_size: u32, end_of_stream: u32) {
            guest.ask(|vm, bytes| vm.grpc_send(id, bytes.get(message, message_size)?, end_of_stream != 0))
        }

        fn proxy_grpc_cancel(guest, id: u32) {
            guest.ask(|vm, _| vm.grpc_cancel(id))
        }

        fn proxy_grpc_close(guest, id: u32) {
            guest.ask(|vm, _| vm.grpc_close(id))
        }
    }

    /// Since ABI 0.2.0.
    group streams {
        fn proxy_continue_stream(guest, stream: u32) {
            guest.ask(|vm, _| vm.continue_stream(stream))
        }

        fn proxy_close_stream(guest, stream: u32) {
            guest.ask(|vm, _| vm.close_stream(stream))
        }
    }

    /// Since ABI 0.2.1.
    group log_level {
        fn proxy_get_log_level(guest, level: u32) {
            let current = guest.ask(|vm, _| Ok(vm.get_log_level()))?;
            guest.write_word(level, current)
        }
    }

    /// In ABI 0.1.0 only.
    group first_version {
        fn proxy_get_configuration(guest, data: u32, size: u32) {
            let configuration = guest.ask(|vm, _| Ok(vm.get_configuration()))?;
            guest.give(&configuration, data, size)
        }

        fn proxy_continue_request(guest) {
            guest.ask(|vm, _| vm.continue_stream(0))
        }

        fn proxy_continue_response(guest) {
            guest.ask(|vm, _| vm.continue_stream(1))
        }

        fn proxy_clear_route_cache(guest) {
            guest.ask(|vm, _| Vm::clear_route_cache(vm))
        }
    }
}
