//! A guest whose hooks are closures, so that a test of one row is a few lines.
//!
//! It stands on the plain `proxy-wasm` crate. A hook calls the functions of [`raw`], which return the bare status, and
//! says what it saw by `raw::say`; the test then reads the log.

pub(crate) mod raw;

use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType, PeerType};
use proxy_wasm_kit_host::exchange::{Exchange, LogLine, Message, Protocol, Setup};
use proxy_wasm_kit_host::native::{Extension, Host, Rejected};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a hook is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The context it was entered for.
    pub(crate) context: u32,
    /// Number of fields, or bytes.
    pub(crate) size: usize,
    /// End of the stream.
    pub(crate) last: bool,
}

/// A hook: what it returns is the action, or 0 for false.
type Hook = Arc<dyn Fn(Told) -> Action + Send + Sync>;

/// The hooks of a guest. One that is not set does nothing.
#[derive(Clone, Default)]
pub(crate) struct Guest {
    start: Option<Hook>,
    configure: Option<Hook>,
    create: Option<Hook>,
    request_headers: Option<Hook>,
    request_body: Option<Hook>,
    request_trailers: Option<Hook>,
    response_headers: Option<Hook>,
    response_body: Option<Hook>,
    response_trailers: Option<Hook>,
    connection: Option<Hook>,
    downstream_data: Option<Hook>,
    upstream_data: Option<Hook>,
    downstream_close: Option<Hook>,
    upstream_close: Option<Hook>,
    answer: Option<Hook>,
    tick: Option<Hook>,
    queue: Option<Hook>,
    root_done: Option<Hook>,
    log: Option<Hook>,
    done: Option<Hook>,
    delete: Option<Hook>,
}

/// One setter per hook.
macro_rules! hooks {
    ($($name:ident sets $field:ident),* $(,)?) => {$(
        pub(crate) fn $name(mut self, hook: impl Fn(Told) -> Action + Send + Sync + 'static) -> Self {
            self.$field = Some(Arc::new(hook));
            self
        }
    )*};
}

impl Guest {
    hooks! {
        on_vm_start sets start, on_configure sets configure, on_create sets create,
        on_request_headers sets request_headers, on_request_body sets request_body,
        on_request_trailers sets request_trailers, on_response_headers sets response_headers,
        on_response_body sets response_body, on_response_trailers sets response_trailers,
        on_connection sets connection, on_downstream_data sets downstream_data,
        on_upstream_data sets upstream_data, on_downstream_close sets downstream_close,
        on_upstream_close sets upstream_close,
        on_answer sets answer, on_tick sets tick, on_queue_ready sets queue,
        on_root_done sets root_done, on_log sets log, on_done sets done, on_delete sets delete,
    }

    /// This guest as code for several plugins or VMs.
    pub(crate) fn extension(self) -> Extension {
        Extension::new(move || register(self.clone()))
    }

    /// Starts a VM with this guest.
    pub(crate) fn start_with(self, setup: Setup) -> Result<Host, Rejected> {
        Host::start_chain([(self.extension(), setup)])
    }

    /// Starts a VM with this guest and the settings of a plain test.
    pub(crate) fn start(self) -> Host {
        self.start_with(plain()).unwrap()
    }

    /// Runs one request through a fresh VM.
    pub(crate) fn serve(self, request: Message, upstream: Message) -> Exchange {
        self.start().exchange(request, &upstream)
    }

    /// Runs `GET /` through a fresh VM; the upstream answers 200 without a body.
    pub(crate) fn get(self) -> Exchange {
        self.serve(Message::request("GET", "/"), Message::response(200))
    }
}

/// The settings of a plain test: HTTP/2, where a body of one piece is one callback.
pub(crate) fn plain() -> Setup {
    Setup { protocol: Protocol::Http2, ..Setup::default() }
}

/// A new guest without any hook.
pub(crate) fn guest() -> Guest {
    Guest::default()
}

/// What hooks have said, line by line.
pub(crate) fn said(log: &[LogLine]) -> Vec<&str> {
    log.iter().map(|line| line.message.as_str()).collect()
}

thread_local! {
    static GUEST: RefCell<Guest> = RefCell::default();
}

fn register(guest: Guest) {
    GUEST.set(guest);
    proxy_wasm::set_root_context(|context| Box::new(Root { context }));
}

/// Runs a hook. A panic is reported as the SDK does.
fn run(pick: impl Fn(&Guest) -> &Option<Hook>, context: u32, size: usize, last: bool) -> Action {
    let hook = GUEST.with_borrow(|guest| pick(guest).clone());
    let Some(hook) = hook else { return Action::Continue };
    let told = Told { context, size, last };
    catch_unwind(AssertUnwindSafe(|| hook(told))).unwrap_or_else(|payload| {
        raw::panicked(payload.downcast_ref::<&str>().copied().unwrap_or("a panic"));
        Action::Continue
    })
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
