//! The names of the ABI and their types: what Envoy offers to a module, and what it calls in it.
//!
//! A type is written as its parameters, `>` and its result, with `i` for i32 and `l` for i64.

/// The host functions of ABI 0.2.1, in the namespace `env`.
const HOST_FUNCTIONS: &[(&str, &str)] = &[
    ("proxy_add_header_map_value", "iiiii>i"),
    ("proxy_call_foreign_function", "iiiiii>i"),
    ("proxy_close_stream", "i>i"),
    ("proxy_continue_stream", "i>i"),
    ("proxy_define_metric", "iiii>i"),
    ("proxy_dequeue_shared_queue", "iii>i"),
    ("proxy_done", ">i"),
    ("proxy_enqueue_shared_queue", "iii>i"),
    ("proxy_get_buffer_bytes", "iiiii>i"),
    ("proxy_get_buffer_status", "iii>i"),
    ("proxy_get_current_time_nanoseconds", "i>i"),
    ("proxy_get_header_map_pairs", "iii>i"),
    ("proxy_get_header_map_size", "ii>i"),
    ("proxy_get_header_map_value", "iiiii>i"),
    ("proxy_get_log_level", "i>i"),
    ("proxy_get_metric", "ii>i"),
    ("proxy_get_property", "iiii>i"),
    ("proxy_get_shared_data", "iiiii>i"),
    ("proxy_get_status", "iii>i"),
    ("proxy_grpc_call", "iiiiiiiiiiii>i"),
    ("proxy_grpc_cancel", "i>i"),
    ("proxy_grpc_close", "i>i"),
    ("proxy_grpc_send", "iiii>i"),
    ("proxy_grpc_stream", "iiiiiiiii>i"),
    ("proxy_http_call", "iiiiiiiiii>i"),
    ("proxy_increment_metric", "il>i"),
    ("proxy_log", "iii>i"),
    ("proxy_record_metric", "il>i"),
    ("proxy_register_shared_queue", "iii>i"),
    ("proxy_remove_header_map_value", "iii>i"),
    ("proxy_replace_header_map_value", "iiiii>i"),
    ("proxy_resolve_shared_queue", "iiiii>i"),
    ("proxy_send_local_response", "iiiiiiii>i"),
    ("proxy_set_buffer_bytes", "iiiii>i"),
    ("proxy_set_effective_context", "i>i"),
    ("proxy_set_header_map_pairs", "iii>i"),
    ("proxy_set_property", "iiii>i"),
    ("proxy_set_shared_data", "iiiii>i"),
    ("proxy_set_tick_period_milliseconds", "i>i"),
];

/// What only modules of ABI 0.1.0 are offered besides.
const OLD_HOST_FUNCTIONS: &[(&str, &str)] = &[
    ("proxy_clear_route_cache", ">i"),
    ("proxy_continue_request", ">i"),
    ("proxy_continue_response", ">i"),
    ("proxy_get_configuration", "ii>i"),
];

/// What a proxy calls in a module, the allocator and the entry points aside.
const CALLBACKS: &[(&str, &str)] = &[
    ("proxy_on_configure", "ii>i"),
    ("proxy_on_context_create", "ii>"),
    ("proxy_on_delete", "i>"),
    ("proxy_on_done", "i>i"),
    ("proxy_on_downstream_connection_close", "ii>"),
    ("proxy_on_downstream_data", "iii>i"),
    ("proxy_on_foreign_function", "iii>"),
    ("proxy_on_grpc_close", "iii>"),
    ("proxy_on_grpc_receive", "iii>"),
    ("proxy_on_grpc_receive_initial_metadata", "iii>"),
    ("proxy_on_grpc_receive_trailing_metadata", "iii>"),
    ("proxy_on_http_call_response", "iiiii>"),
    ("proxy_on_log", "i>"),
    ("proxy_on_new_connection", "i>i"),
    ("proxy_on_queue_ready", "ii>"),
    ("proxy_on_request_body", "iii>i"),
    ("proxy_on_request_headers", "iii>i"),
    ("proxy_on_request_metadata", "ii>i"),
    ("proxy_on_request_trailers", "ii>i"),
    ("proxy_on_response_body", "iii>i"),
    ("proxy_on_response_headers", "iii>i"),
    ("proxy_on_response_metadata", "ii>i"),
    ("proxy_on_response_trailers", "ii>i"),
    ("proxy_on_tick", "i>"),
    ("proxy_on_upstream_connection_close", "ii>"),
    ("proxy_on_upstream_data", "iii>i"),
    ("proxy_on_vm_start", "ii>i"),
];

/// Headers came without their end in ABI 0.1.0.
const OLD_CALLBACKS: &[(&str, &str)] =
    &[("proxy_on_request_headers", "ii>i"), ("proxy_on_response_headers", "ii>i")];

/// All of WASI preview 1 that Envoy 1.40 offers; most of it only answers that there is nothing.
const WASI: &str = "args_get args_sizes_get clock_res_get clock_time_get environ_get environ_sizes_get fd_advise \
    fd_allocate fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights fd_filestat_get \
    fd_filestat_set_size fd_filestat_set_times fd_pread fd_prestat_dir_name fd_prestat_get fd_pwrite fd_read fd_readdir \
    fd_renumber fd_seek fd_sync fd_tell fd_write path_create_directory path_filestat_get path_filestat_set_times \
    path_link path_open path_readlink path_remove_directory path_rename path_symlink path_unlink_file poll_oneoff \
    proc_exit random_get sched_yield sock_accept sock_recv sock_send sock_shutdown";

/// The type of a host function.
pub(super) fn host_function(name: &str, old: bool) -> Option<&'static str> {
    let older = if old { OLD_HOST_FUNCTIONS } else { &[] };
    find(HOST_FUNCTIONS, name).or_else(|| find(older, name))
}

/// The type of a callback.
pub(super) fn callback(name: &str, old: bool) -> Option<&'static str> {
    let older = if old { OLD_CALLBACKS } else { &[] };
    find(older, name).or_else(|| find(CALLBACKS, name))
}

/// Whether an import is a part of WASI that a proxy offers.
pub(super) fn is_wasi(namespace: &str, name: &str) -> bool {
    ["wasi_snapshot_preview1", "wasi_unstable"].contains(&namespace)
        && WASI.split_whitespace().any(|known| known == name)
}

/// Whether a proxy calls it for a request or a connection.
pub(super) fn is_of_a_stream(name: &str) -> bool {
    ["_request_", "_response_", "_new_connection", "_downstream_", "_upstream_", "_on_log"]
        .iter()
        .any(|part| name.contains(part))
        && name != "proxy_on_http_call_response"
        && callback(name, false).is_some()
}

fn find(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == name).map(|(_, signature)| *signature)
}
