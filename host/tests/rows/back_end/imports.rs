//! The host functions as symbols, which the native back end defines.

unsafe extern "C" {
    pub(crate) fn proxy_log(level: u32, data: *const u8, size: usize) -> u32;
    pub(crate) fn proxy_get_log_level(level: *mut u32) -> u32;
    pub(crate) fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    pub(crate) fn proxy_set_effective_context(context: u32) -> u32;
    pub(crate) fn proxy_get_header_map_value(
        map: u32,
        n: *const u8,
        ns: usize,
        v: *mut *mut u8,
        vs: *mut usize,
    ) -> u32;
    pub(crate) fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    pub(crate) fn proxy_get_header_map_size(map: u32, size: *mut usize) -> u32;
    pub(crate) fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) -> u32;
    pub(crate) fn proxy_add_header_map_value(
        map: u32,
        n: *const u8,
        ns: usize,
        v: *const u8,
        vs: usize,
    ) -> u32;
    pub(crate) fn proxy_replace_header_map_value(
        map: u32,
        n: *const u8,
        ns: usize,
        v: *const u8,
        vs: usize,
    ) -> u32;
    pub(crate) fn proxy_remove_header_map_value(map: u32, n: *const u8, ns: usize) -> u32;
    pub(crate) fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        d: *mut *mut u8,
        ds: *mut usize,
    ) -> u32;
    pub(crate) fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        data: *const u8,
        ds: usize,
    ) -> u32;
    pub(crate) fn proxy_get_property(path: *const u8, size: usize, v: *mut *mut u8, vs: *mut usize) -> u32;
    pub(crate) fn proxy_set_property(
        path: *const u8,
        size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    pub(crate) fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32) -> u32;
    pub(crate) fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    pub(crate) fn proxy_record_metric(id: u32, value: u64) -> u32;
    pub(crate) fn proxy_get_metric(id: u32, value: *mut u64) -> u32;
    pub(crate) fn proxy_continue_stream(stream: u32) -> u32;
    pub(crate) fn proxy_close_stream(stream: u32) -> u32;
    pub(crate) fn proxy_send_local_response(
        code: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    pub(crate) fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
    ) -> u32;
    pub(crate) fn proxy_done() -> u32;
    pub(crate) fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    pub(crate) fn proxy_get_shared_data(
        k: *const u8,
        ks: usize,
        v: *mut *mut u8,
        vs: *mut usize,
        cas: *mut u32,
    ) -> u32;
    pub(crate) fn proxy_set_shared_data(k: *const u8, ks: usize, v: *const u8, vs: usize, cas: u32) -> u32;
    pub(crate) fn proxy_register_shared_queue(name: *const u8, size: usize, id: *mut u32) -> u32;
    pub(crate) fn proxy_resolve_shared_queue(
        vm: *const u8,
        vs: usize,
        n: *const u8,
        ns: usize,
        id: *mut u32,
    ) -> u32;
    pub(crate) fn proxy_dequeue_shared_queue(id: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    pub(crate) fn proxy_enqueue_shared_queue(id: u32, data: *const u8, size: usize) -> u32;
    pub(crate) fn pwkit_guest_panicked(message: *const u8, size: usize);
}
