//! The back end of the rows here: guests on the plain `proxy-wasm` crate, linked into this binary.

use crate::guest::{GUEST, Guest, run};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType, PeerType};
use proxy_wasm_kit_host::exchange::Setup;
use proxy_wasm_kit_host::native::Rejected;
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use proxy_wasm_kit_host::native::{Extension, Host};

/// The host functions, as the linker finds them.
pub(crate) mod imports;

/// A panic is caught here, and instructions of linked code are not counted.
pub(crate) const COUNTS_INSTRUCTIONS: bool = false;

/// Whether a VM has failed by a panic with this message.
pub(crate) fn failed_by(reason: Option<&str>, message: &str) -> bool {
    reason == Some(message)
}

/// The host calls of the guest, without those of the test.
pub(crate) fn own_calls(calls: &BTreeMap<String, u32>) -> BTreeMap<String, u32> {
    calls.clone()
}

/// Makes a callout. Its answer is the stream's own, as the crate does it for its users.
pub(crate) fn http_call(cluster: &str, headers: Vec<(&str, &str)>, timeout: Duration) -> Result<u32, u32> {
    hostcalls::dispatch_http_call(cluster, headers, None, vec![], timeout).map_err(|status| status as u32)
}

pub(crate) fn extension(guest: Guest) -> Extension {
    Extension::new(move || register(guest.clone()))
}

/// Starts plugins, which a request passes in this order.
pub(crate) fn start_chain(plugins: impl IntoIterator<Item = (Extension, Setup)>) -> Result<Host, Rejected> {
    Host::start_chain(plugins)
}

/// Puts other plugins in the place of those that there are.
pub(crate) fn reconfigure(
    host: &Host,
    plugins: impl IntoIterator<Item = (Extension, Setup)>,
) -> Result<(), Rejected> {
    host.reconfigure(plugins)
}

fn register(guest: Guest) {
    GUEST.set(guest);
    proxy_wasm::set_root_context(|context| Box::new(Root { context }));
}

struct Root {
    context: u32,
}

impl Context for Root {
    fn on_done(&mut self) -> bool {
        run(|guest| &guest.root_done, self.context, 0, true) == Action::Continue
    }

    fn on_http_call_response(&mut self, id: u32, _: usize, size: usize, _: usize) {
        run(|guest| &guest.answer, id, size, true);
    }
}

impl RootContext for Root {
    fn on_vm_start(&mut self, size: usize) -> bool {
        run(|guest| &guest.start, self.context, size, false) == Action::Continue
    }

    fn on_configure(&mut self, size: usize) -> bool {
        run(|guest| &guest.configure, self.context, size, false) == Action::Continue
    }

    fn on_queue_ready(&mut self, queue: u32) {
        run(|guest| &guest.queue, self.context, queue as usize, false);
    }

    fn on_tick(&mut self) {
        run(|guest| &guest.tick, self.context, 0, false);
    }

    fn get_type(&self) -> Option<ContextType> {
        let tcp = GUEST.with_borrow(|guest| guest.connection.is_some());
        Some(if tcp { ContextType::StreamContext } else { ContextType::HttpContext })
    }

    fn create_stream_context(&self, context: u32) -> Option<Box<dyn StreamContext>> {
        run(|guest| &guest.create, context, 0, false);
        Some(Box::new(Stream { context }))
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        run(|guest| &guest.create, context, 0, false);
        Some(Box::new(Stream { context }))
    }
}

struct Stream {
    context: u32,
}

impl Drop for Stream {
    fn drop(&mut self) {
        run(|guest| &guest.delete, self.context, 0, false);
    }
}

impl Context for Stream {
    fn on_done(&mut self) -> bool {
        run(|guest| &guest.done, self.context, 0, false) == Action::Continue
    }

    fn on_http_call_response(&mut self, id: u32, _: usize, size: usize, _: usize) {
        run(|guest| &guest.answer, id, size, false);
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, size: usize, last: bool) -> Action {
        run(|guest| &guest.request_headers, self.context, size, last)
    }

    fn on_http_request_body(&mut self, size: usize, last: bool) -> Action {
        run(|guest| &guest.request_body, self.context, size, last)
    }

    fn on_http_request_trailers(&mut self, size: usize) -> Action {
        run(|guest| &guest.request_trailers, self.context, size, true)
    }

    fn on_http_response_headers(&mut self, size: usize, last: bool) -> Action {
        run(|guest| &guest.response_headers, self.context, size, last)
    }

    fn on_http_response_body(&mut self, size: usize, last: bool) -> Action {
        run(|guest| &guest.response_body, self.context, size, last)
    }

    fn on_http_response_trailers(&mut self, size: usize) -> Action {
        run(|guest| &guest.response_trailers, self.context, size, true)
    }

    fn on_log(&mut self) {
        run(|guest| &guest.log, self.context, 0, false);
    }
}

/// The size that a close is told with is who closed.
impl StreamContext for Stream {
    fn on_new_connection(&mut self) -> Action {
        run(|guest| &guest.connection, self.context, 0, false)
    }

    fn on_downstream_data(&mut self, size: usize, last: bool) -> Action {
        run(|guest| &guest.downstream_data, self.context, size, last)
    }

    fn on_upstream_data(&mut self, size: usize, last: bool) -> Action {
        run(|guest| &guest.upstream_data, self.context, size, last)
    }

    fn on_downstream_close(&mut self, peer: PeerType) {
        run(|guest| &guest.downstream_close, self.context, peer as usize, true);
    }

    fn on_upstream_close(&mut self, peer: PeerType) {
        run(|guest| &guest.upstream_close, self.context, peer as usize, true);
    }

    fn on_log(&mut self) {
        run(|guest| &guest.log, self.context, 0, false);
    }
}
