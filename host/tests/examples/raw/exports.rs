//! What the module exports, and how the versions of the ABI differ there.

use super::{IDLE, Program, abi, program};
use std::cell::Cell;

thread_local! {
    /// The program that this module is. There is one plugin to a VM here.
    static PROGRAM: Cell<Program> = const { Cell::new(IDLE) };
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

#[cfg_attr(feature = "v0_1_0", unsafe(export_name = "proxy_abi_version_0_1_0"))]
#[cfg_attr(feature = "v0_2_0", unsafe(export_name = "proxy_abi_version_0_2_0"))]
#[cfg_attr(feature = "v0_2_1", unsafe(export_name = "proxy_abi_version_0_2_1"))]
extern "C" fn version() {}

/// The first modules were commands, later ones are reactors.
#[cfg_attr(feature = "v0_1_0", unsafe(export_name = "_start"))]
#[cfg_attr(not(feature = "v0_1_0"), unsafe(export_name = "_initialize"))]
extern "C" fn initialize() {
    // SAFETY: called once, before anything else.
    unsafe { __wasm_call_ctors() }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Vec::with_capacity(size).leak().as_mut_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(_: u32, parent: u32) {
    if parent == 0 {
        PROGRAM.set(program(&abi::property(&["plugin_root_id"]).unwrap_or_default()));
    }
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_vm_start(_: u32, _: usize) -> u32 {
    (PROGRAM.get().start)().into()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(_: u32, size: usize) -> u32 {
    (PROGRAM.get().configure)(&abi::configuration(size));
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(_: u32) {
    (PROGRAM.get().tick)();
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_queue_ready(_: u32, queue: u32) {
    (PROGRAM.get().queue_ready)(queue);
}

#[cfg(feature = "v0_1_0")]
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _: u32) -> u32 {
    (PROGRAM.get().request_headers)(context)
}

#[cfg(not(feature = "v0_1_0"))]
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _: u32, _: u32) -> u32 {
    (PROGRAM.get().request_headers)(context)
}

#[cfg(feature = "v0_1_0")]
#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _: u32) -> u32 {
    (PROGRAM.get().response_headers)(context)
}

#[cfg(not(feature = "v0_1_0"))]
#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _: u32, _: u32) -> u32 {
    (PROGRAM.get().response_headers)(context)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(_: u32, size: usize, last: u32) -> u32 {
    (PROGRAM.get().response_body)(size, last != 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(_: u32, token: u32, _: u32, size: usize, _: u32) {
    (PROGRAM.get().http_answer)(token, size);
}

/// A call that succeeded.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_receive(_: u32, token: u32, _: usize) {
    (PROGRAM.get().grpc_answer)(token, 0);
}

/// A call that did not.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_grpc_close(_: u32, token: u32, status: u32) {
    (PROGRAM.get().grpc_answer)(token, status);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_new_connection(_: u32) -> u32 {
    (PROGRAM.get().connection)()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_downstream_data(_: u32, size: usize, last: u32) -> u32 {
    (PROGRAM.get().data)(size, last != 0)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_downstream_connection_close(_: u32, by: u32) {
    (PROGRAM.get().closed)(by);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(context: u32) {
    (PROGRAM.get().log)(context);
}
