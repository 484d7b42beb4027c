//! The host functions that the rows call: what each takes, and how that goes to a module, where a pointer of the test means
//! nothing. Both back ends make of it what they need.

/// Hands the table to a macro.
macro_rules! functions {
    ($with:ident) => {
        $with! {
            fn proxy_log(level: u32, data: *const u8, size: usize) = word(level) bytes(data, size);
            fn proxy_get_log_level(level: *mut u32) = word_out(level);
            fn proxy_get_current_time_nanoseconds(time: *mut u64) = long_out(time);
            fn proxy_set_effective_context(context: u32) = word(context);
            fn proxy_get_header_map_value(map: u32, n: *const u8, ns: usize, v: *mut *mut u8, vs: *mut usize) =
                word(map) bytes(n, ns) bytes_out(v, vs);
            fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) =
                word(map) bytes_out(data, size);
            fn proxy_get_header_map_size(map: u32, size: *mut usize) = word(map) size_out(size);
            fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) = word(map) bytes(data, size);
            fn proxy_add_header_map_value(map: u32, n: *const u8, ns: usize, v: *const u8, vs: usize) =
                word(map) bytes(n, ns) bytes(v, vs);
            fn proxy_replace_header_map_value(map: u32, n: *const u8, ns: usize, v: *const u8, vs: usize) =
                word(map) bytes(n, ns) bytes(v, vs);
            fn proxy_remove_header_map_value(map: u32, n: *const u8, ns: usize) = word(map) bytes(n, ns);
            fn proxy_get_buffer_bytes(buffer: u32, start: usize, size: usize, d: *mut *mut u8, ds: *mut usize) =
                word(buffer) size(start) size(size) bytes_out(d, ds);
            fn proxy_set_buffer_bytes(buffer: u32, start: usize, size: usize, data: *const u8, ds: usize) =
                word(buffer) size(start) size(size) bytes(data, ds);
            fn proxy_get_property(path: *const u8, size: usize, v: *mut *mut u8, vs: *mut usize) =
                bytes(path, size) bytes_out(v, vs);
            fn proxy_set_property(path: *const u8, size: usize, value: *const u8, value_size: usize) =
                bytes(path, size) bytes(value, value_size);
            fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32) =
                word(kind) bytes(name, size) word_out(id);
            fn proxy_increment_metric(id: u32, offset: i64) = word(id) signed(offset);
            fn proxy_record_metric(id: u32, value: u64) = word(id) long(value);
            fn proxy_get_metric(id: u32, value: *mut u64) = word(id) long_out(value);
            fn proxy_continue_stream(stream: u32) = word(stream);
            fn proxy_close_stream(stream: u32) = word(stream);
            fn proxy_send_local_response(
                code: u32,
                details: *const u8,
                details_size: usize,
                body: *const u8,
                body_size: usize,
                headers: *const u8,
                headers_size: usize,
                grpc_status: i32,
            ) = word(code) bytes(details, details_size) bytes(body, body_size) bytes(headers, headers_size) status(grpc_status);
            fn proxy_call_foreign_function(
                name: *const u8,
                name_size: usize,
                arguments: *const u8,
                arguments_size: usize,
                result: *mut *mut u8,
                result_size: *mut usize,
            ) = bytes(name, name_size) bytes(arguments, arguments_size) bytes_out(result, result_size);
            fn proxy_done() = ;
            fn proxy_set_tick_period_milliseconds(period: u32) = word(period);
            fn proxy_get_shared_data(k: *const u8, ks: usize, v: *mut *mut u8, vs: *mut usize, cas: *mut u32) =
                bytes(k, ks) bytes_out(v, vs) word_out(cas);
            fn proxy_set_shared_data(k: *const u8, ks: usize, v: *const u8, vs: usize, cas: u32) =
                bytes(k, ks) bytes(v, vs) word(cas);
            fn proxy_register_shared_queue(name: *const u8, size: usize, id: *mut u32) = bytes(name, size) word_out(id);
            fn proxy_resolve_shared_queue(vm: *const u8, vs: usize, n: *const u8, ns: usize, id: *mut u32) =
                bytes(vm, vs) bytes(n, ns) word_out(id);
            fn proxy_dequeue_shared_queue(id: u32, data: *mut *mut u8, size: *mut usize) = word(id) bytes_out(data, size);
            fn proxy_enqueue_shared_queue(id: u32, data: *const u8, size: usize) = word(id) bytes(data, size);
        }
    };
}
pub(crate) use functions;
