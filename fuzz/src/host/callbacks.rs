//! The callbacks of the plugin that is registered in this thread, in an order that a proxy may call them in.

use super::HOST;

unsafe extern "C" {
    fn proxy_on_context_create(context: u32, parent: u32);
    fn proxy_on_vm_start(context: u32, size: usize) -> bool;
    fn proxy_on_configure(context: u32, size: usize) -> bool;
    fn proxy_on_request_headers(context: u32, count: usize, end: bool) -> u32;
    fn proxy_on_request_body(context: u32, size: usize, end: bool) -> u32;
    fn proxy_on_request_trailers(context: u32, count: usize) -> u32;
    fn proxy_on_response_headers(context: u32, count: usize, end: bool) -> u32;
    fn proxy_on_response_body(context: u32, size: usize, end: bool) -> u32;
    fn proxy_on_response_trailers(context: u32, count: usize) -> u32;
    fn proxy_on_new_connection(context: u32) -> u32;
    fn proxy_on_downstream_data(context: u32, size: usize, end: bool) -> u32;
    fn proxy_on_upstream_data(context: u32, size: usize, end: bool) -> u32;
    fn proxy_on_downstream_connection_close(context: u32, closed_by: u32);
    fn proxy_on_tick(context: u32);
    fn proxy_on_http_call_response(context: u32, id: u32, headers: usize, body: usize, trailers: usize);
    fn proxy_on_log(context: u32);
    fn proxy_on_done(context: u32) -> bool;
    fn proxy_on_delete(context: u32);
}

/// The context of the plugin; streams come after it.
const ROOT: u32 = 1;
/// A size, where the host would say one: more than there is.
const SIZE: usize = 1 << 16;

/// Registers a plugin and configures it.
pub fn configure(initialize: fn(), configuration: &[u8]) -> bool {
    HOST.with_borrow_mut(|host| host.configuration = configuration.to_vec());
    initialize();
    // SAFETY: the plugin is registered, and no callback of it is running.
    unsafe {
        proxy_on_context_create(ROOT, 0);
        proxy_on_vm_start(ROOT, 0) && proxy_on_configure(ROOT, configuration.len())
    }
}

/// The plugin is gone.
pub fn end() {
    // SAFETY: it is there, and no callback of it is running.
    unsafe {
        proxy_on_done(ROOT);
        proxy_on_delete(ROOT);
    }
}

/// Time has passed.
pub fn tick() {
    // SAFETY: the plugin is there, and no callback of it is running.
    unsafe { proxy_on_tick(ROOT) }
}

/// The oldest call is answered. For one that was not made, the dispatcher of the crate has nothing but a panic.
pub fn call_response() {
    if let Some(id) = HOST.with_borrow_mut(|host| host.calls.pop_front()) {
        // SAFETY: the plugin is there, and no callback of it is running.
        unsafe { proxy_on_http_call_response(ROOT, id, 1, SIZE, 0) }
    }
}

/// A request, or a connection.
pub struct Stream {
    context: u32,
    is_connection: bool,
}

/// The next one, of the plugin.
pub fn begin_stream(is_connection: bool) -> Stream {
    let context = HOST.with_borrow_mut(|host| {
        host.is_connection = is_connection;
        host.number().wrapping_add(ROOT)
    });
    // SAFETY: the plugin is there, and no callback of it is running.
    unsafe {
        proxy_on_context_create(context, ROOT);
        if is_connection {
            proxy_on_new_connection(context);
        }
    }
    Stream { context, is_connection }
}

impl Stream {
    /// Calls back for a letter, small for what comes from downstream.
    pub fn happen(&self, letter: u8) {
        let context = self.context;
        // SAFETY: the stream is there, and no callback is running.
        unsafe {
            if self.is_connection {
                match letter {
                    b'd' => proxy_on_downstream_data(context, SIZE, false),
                    b'D' => proxy_on_upstream_data(context, SIZE, false),
                    b'x' => {
                        proxy_on_downstream_connection_close(context, 1);
                        0
                    }
                    _ => 0,
                };
                return;
            }
            match letter {
                b'h' => proxy_on_request_headers(context, 1, false),
                b'e' => proxy_on_request_headers(context, 1, true),
                b'b' => proxy_on_request_body(context, SIZE, false),
                b't' => proxy_on_request_trailers(context, 1),
                b'H' => proxy_on_response_headers(context, 1, false),
                b'B' => proxy_on_response_body(context, SIZE, true),
                b'T' => proxy_on_response_trailers(context, 1),
                _ => 0,
            };
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: the stream is there, and no callback is running.
        unsafe {
            proxy_on_log(self.context);
            proxy_on_done(self.context);
            proxy_on_delete(self.context);
        }
    }
}
