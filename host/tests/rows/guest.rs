//! A guest whose hooks are closures, so that a test of one row is a few lines.
//!
//! A hook calls the functions of [`raw`], which return the bare status, and says what it saw by `raw::say`; the test then
//! reads the log. What runs it is `back_end`: here the `proxy-wasm` crate in this binary, and in
//! `tests/rows_on_module/` of the workspace a module, for the same rows.

pub(crate) mod raw;

use crate::back_end::{self, Extension, Host};
use proxy_wasm::types::Action;
use proxy_wasm_kit_host::exchange::{Exchange, LogLine, Message, Protocol, Setup};
use proxy_wasm_kit_host::vm_thread::Rejected;
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
pub(crate) type Hook = Arc<dyn Fn(Told) -> Action + Send + Sync>;

/// The hooks of a guest. One that is not set does nothing.
#[derive(Clone, Default)]
pub(crate) struct Guest {
    pub(crate) start: Option<Hook>,
    pub(crate) configure: Option<Hook>,
    pub(crate) create: Option<Hook>,
    pub(crate) request_headers: Option<Hook>,
    pub(crate) request_body: Option<Hook>,
    pub(crate) request_trailers: Option<Hook>,
    pub(crate) response_headers: Option<Hook>,
    pub(crate) response_body: Option<Hook>,
    pub(crate) response_trailers: Option<Hook>,
    pub(crate) connection: Option<Hook>,
    pub(crate) downstream_data: Option<Hook>,
    pub(crate) upstream_data: Option<Hook>,
    pub(crate) downstream_close: Option<Hook>,
    pub(crate) upstream_close: Option<Hook>,
    pub(crate) answer: Option<Hook>,
    pub(crate) tick: Option<Hook>,
    pub(crate) queue: Option<Hook>,
    pub(crate) root_done: Option<Hook>,
    pub(crate) log: Option<Hook>,
    pub(crate) done: Option<Hook>,
    pub(crate) delete: Option<Hook>,
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
        back_end::extension(self)
    }

    /// Starts a VM with this guest.
    pub(crate) fn start_with(self, setup: Setup) -> Result<Host, Rejected> {
        back_end::start_chain([(self.extension(), setup)])
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
    /// The guest of this thread.
    pub(crate) static GUEST: RefCell<Guest> = RefCell::default();
}

/// Runs a hook. A panic is reported as the SDK does.
pub(crate) fn run(pick: impl Fn(&Guest) -> &Option<Hook>, context: u32, size: usize, last: bool) -> Action {
    let hook = GUEST.with_borrow(|guest| pick(guest).clone());
    let Some(hook) = hook else { return Action::Continue };
    let told = Told { context, size, last };
    catch_unwind(AssertUnwindSafe(|| hook(told))).unwrap_or_else(|payload| {
        raw::panicked(payload.downcast_ref::<&str>().copied().unwrap_or("a panic"));
        Action::Continue
    })
}
