//! The door through the `proxy-wasm` crate: its dispatcher exports the ABI's callbacks and finds the context of an id; here
//! each of its calls becomes one of the core's.

use crate::dispatch::{self, HttpStream, Plugin};
use crate::extension::{Extension, HttpFilter};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

/// Registers the extension with the crate's dispatcher. For [`entry!`](crate::entry) only.
#[doc(hidden)]
pub fn register<E: Extension>() {
    proxy_wasm::set_root_context(|id| Box::new(RootDoor(Plugin::<E>::new(id))));
}

struct RootDoor<E>(Plugin<E>);

impl<E: Extension> Context for RootDoor<E> {}

impl<E: Extension> RootContext for RootDoor<E> {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.0.configure()
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(HttpDoor(self.0.open(id))))
    }
}

struct HttpDoor<F>(HttpStream<F>);

impl<F: HttpFilter> Context for HttpDoor<F> {
    fn on_done(&mut self) -> bool {
        self.0.done();
        true
    }
}

impl<F: HttpFilter> HttpContext for HttpDoor<F> {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.0.request_headers(end_of_stream).into()
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.0.request_body(size, end_of_stream).into()
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.0.request_trailers().into()
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.0.response_headers(end_of_stream).into()
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.0.response_body(size, end_of_stream).into()
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.0.response_trailers().into()
    }

    fn on_log(&mut self) {
        self.0.log();
    }
}

impl From<dispatch::Action> for Action {
    fn from(action: dispatch::Action) -> Self {
        match action {
            dispatch::Action::Continue => Self::Continue,
            dispatch::Action::Pause => Self::Pause,
        }
    }
}
