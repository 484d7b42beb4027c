//! Modules that the tests of `pwkit run` serve with, by hand on the raw ABI.

/// Memory, the version of the ABI, and an allocator that never frees.
const BASE: &str = r#"
    (memory (export "memory") 4)
    (global $free (mut i32) (i32.const 8192))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32)
        global.get $free
        (global.set $free (i32.and (i32.const -8)
            (i32.add (i32.const 7) (i32.add (global.get $free) (local.get 0))))))"#;

/// A module of these imports and this body.
fn module(imports: &str, body: &str) -> String {
    format!("(module {imports} {BASE} {body})")
}

/// Leaves a mark in filter state, shared data and a queue.
pub(crate) fn marking() -> String {
    module(
        r#"(import "env" "proxy_set_property" (func $set (param i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_set_shared_data" (func $share (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_resolve_shared_queue" (func $resolve (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))"#,
        r#"(data (i32.const 16) "mark") (data (i32.const 32) "made") (data (i32.const 48) "queued")
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $set (i32.const 16) (i32.const 4) (i32.const 32) (i32.const 4)))
            (drop (call $share (i32.const 16) (i32.const 4) (i32.const 32) (i32.const 4) (i32.const 0)))
            (drop (call $resolve (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0)))
            (drop (call $enqueue (i32.load (i32.const 0)) (i32.const 48) (i32.const 6)))
            (i32.const 0))"#,
    )
}

/// Finds the marks of [`marking`]: as headers of the request, and in the log.
pub(crate) fn finding() -> String {
    module(
        r#"(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_get_shared_data" (func $shared (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
        (import "env" "proxy_dequeue_shared_queue" (func $dequeue (param i32 i32 i32) (result i32)))
        (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))"#,
        r#"(data (i32.const 16) "mark") (data (i32.const 32) "x-state") (data (i32.const 48) "x-shared")
        (func $tell (param $name i32) (param $size i32)
            (drop (call $add (i32.const 0) (local.get $name) (local.get $size)
                (i32.load (i32.const 0)) (i32.load (i32.const 4)))))
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
            (i32.eqz (call $register (i32.const 16) (i32.const 4) (i32.const 0))))
        (func (export "proxy_on_queue_ready") (param i32 i32)
            (drop (call $dequeue (local.get 1) (i32.const 0) (i32.const 4)))
            (drop (call $log (i32.const 2) (i32.load (i32.const 0)) (i32.load (i32.const 4)))))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $get (i32.const 16) (i32.const 4) (i32.const 0) (i32.const 4)))
            (call $tell (i32.const 32) (i32.const 7))
            (drop (call $shared (i32.const 16) (i32.const 4) (i32.const 0) (i32.const 4) (i32.const 8)))
            (call $tell (i32.const 48) (i32.const 8))
            (i32.const 0))"#,
    )
}

/// Logs the size of each piece of a request, and whether it is the last.
pub(crate) fn counting() -> String {
    module(
        r#"(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))"#,
        r#"(data (i32.const 16) "size 0 end 0")
        (func $tell (param $size i32) (param $end i32) (result i32)
            (i32.store8 (i32.const 21) (i32.add (i32.const 48) (local.get $size)))
            (i32.store8 (i32.const 27) (i32.add (i32.const 48) (local.get $end)))
            (drop (call $log (i32.const 2) (i32.const 16) (i32.const 12)))
            (i32.const 0))
        (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
            (call $tell (local.get 1) (local.get 2)))"#,
    )
}

/// Dies of every request with a body, and answers none.
pub(crate) fn mortal() -> String {
    module(
        "",
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (if (i32.eqz (local.get 2)) (then unreachable))
            (i32.const 0))"#,
    )
}

/// Logs when its root context is done; it is not at once, but with the next tick.
pub(crate) fn leaving() -> String {
    module(
        r#"(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (import "env" "proxy_set_tick_period_milliseconds" (func $every (param i32) (result i32)))
        (import "env" "proxy_set_effective_context" (func $for (param i32) (result i32)))
        (import "env" "proxy_done" (func $done (result i32)))"#,
        r#"(data (i32.const 16) "leaving") (data (i32.const 32) "left")
        (func (export "proxy_on_done") (param i32) (result i32)
            (if (i32.ne (local.get 0) (i32.const 1)) (then (return (i32.const 1))))
            (drop (call $log (i32.const 2) (i32.const 16) (i32.const 7)))
            (drop (call $every (i32.const 20)))
            (i32.const 0))
        (func (export "proxy_on_tick") (param i32)
            (drop (call $every (i32.const 0)))
            (drop (call $done)))
        (func (export "proxy_on_delete") (param i32)
            (if (i32.eq (local.get 0) (i32.const 1))
                (then (drop (call $log (i32.const 2) (i32.const 32) (i32.const 4))))))"#,
    )
}

/// Adds the trailer `x-added` to every response that has trailers, and `x-passed` to its headers.
pub(crate) fn trailing() -> String {
    module(
        r#"(import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))"#,
        r#"(data (i32.const 16) "x-added") (data (i32.const 32) "by-plugin")
        (func $mark (param $map i32)
            (drop (call $add (local.get $map) (i32.const 16) (i32.const 7) (i32.const 32) (i32.const 9))))
        (func (export "proxy_on_request_trailers") (param i32 i32) (result i32)
            (call $mark (i32.const 1)) (i32.const 0))
        (func (export "proxy_on_response_trailers") (param i32 i32) (result i32)
            (call $mark (i32.const 3)) (i32.const 0))"#,
    )
}

/// Asks the gRPC service `a.B` of the cluster `auth` about every request: by a call to `Check` if the request has no body,
/// else on a stream `Talk`, on which it says something twice. What it heard last becomes `x-heard`, and the status that
/// ended it `x-status`.
pub(crate) fn grpc() -> String {
    let service = "(i32.const 16) (i32.const 4) (i32.const 32) (i32.const 3)";
    module(
        r#"(import "env" "proxy_grpc_call"
            (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_grpc_stream"
            (func $stream (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_grpc_send" (func $send (param i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_set_effective_context" (func $for (param i32) (result i32)))
        (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
        (import "env" "proxy_replace_header_map_value" (func $set (param i32 i32 i32 i32 i32) (result i32)))"#,
        &format!(
            r#"(data (i32.const 16) "auth") (data (i32.const 32) "a.B") (data (i32.const 48) "Check")
        (data (i32.const 64) "Talk") (data (i32.const 80) "one") (data (i32.const 96) "two")
        (data (i32.const 112) "x-heard") (data (i32.const 128) "x-status")
        (global $request (mut i32) (i32.const 0))
        (global $said (mut i32) (i32.const 0))
        (func $resume
            (drop (call $for (global.get $request)))
            (drop (call $continue (i32.const 0))))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (global.set $request (local.get 0))
            (global.set $said (i32.const 1))
            (if (local.get 2)
                (then (drop (call $call {service} (i32.const 48) (i32.const 5) (i32.const 0) (i32.const 0)
                    (i32.const 80) (i32.const 3) (i32.const 5000) (i32.const 0))))
                (else
                    (drop (call $stream {service} (i32.const 64) (i32.const 4) (i32.const 0) (i32.const 0)
                        (i32.const 0)))
                    (drop (call $send (i32.load (i32.const 0)) (i32.const 80) (i32.const 3) (i32.const 0)))))
            (i32.const 1))
        (func (export "proxy_on_grpc_receive") (param i32 i32 i32)
            (drop (call $buffer (i32.const 5) (i32.const 0) (local.get 2) (i32.const 4) (i32.const 8)))
            (drop (call $for (global.get $request)))
            (drop (call $set (i32.const 0) (i32.const 112) (i32.const 7)
                (i32.load (i32.const 4)) (i32.load (i32.const 8))))
            (if (i32.eq (i32.and (local.get 1) (i32.const 3)) (i32.const 1)) (then (call $resume) (return)))
            (if (global.get $said)
                (then
                    (global.set $said (i32.const 0))
                    (drop (call $send (local.get 1) (i32.const 96) (i32.const 3) (i32.const 1))))))
        (func (export "proxy_on_grpc_close") (param i32 i32 i32)
            (i32.store8 (i32.const 12) (i32.add (i32.const 48) (local.get 2)))
            (drop (call $for (global.get $request)))
            (drop (call $set (i32.const 0) (i32.const 128) (i32.const 8) (i32.const 12) (i32.const 1)))
            (call $resume))"#
        ),
    )
}
