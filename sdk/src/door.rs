//! The door through the `proxy-wasm` crate: its dispatcher exports the ABI's callbacks and finds the context of an id; here
//! each of its calls becomes one of the core's.

mod dual;
mod tcp;

use crate::abi;
use crate::dispatch::kind::{Http, Kind};
use crate::dispatch::{self, HttpStream, Plugin};
use crate::extension::{Extension, HttpFilter};
use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType};
use std::rc::Rc;

pub use dual::register_dual;
pub use tcp::register_tcp;

/// Registers the extension with the crate's dispatcher. For [`entry!`](crate::entry) only.
#[doc(hidden)]
pub fn register<E: Extension>() {
    register_kind::<Http<E>>();
}

fn register_kind<K: Streams>() {
    abi::calls::begin_through_the_crate();
    proxy_wasm::set_root_context(|id| Box::new(RootDoor::<K>(Plugin::new(id))));
}

/// How the crate's dispatcher gets the context of a stream.
trait Streams: Kind {
    /// Asked for each stream, and in its context.
    fn context_type() -> ContextType;

    fn http(_plugin: &Plugin<Self::Extension>, _id: u32) -> Option<Box<dyn HttpContext>> {
        None
    }

    fn tcp(_plugin: &Plugin<Self::Extension>, _id: u32) -> Option<Box<dyn StreamContext>> {
        None
    }
}

impl<E: Extension> Streams for Http<E> {
    fn context_type() -> ContextType {
        ContextType::HttpContext
    }

    fn http(plugin: &Plugin<E>, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(HttpDoor(plugin.open(id))))
    }
}

struct RootDoor<K: Kind>(Plugin<K::Extension>);

/// Answers to callouts; the crate brings them to the context that made the call.
macro_rules! answers {
    () => {
        fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, trailers: usize) {
            self.0.answer(|| {
                dispatch::calls::deliver(token, dispatch::calls::Event::Response { headers, body, trailers })
            });
        }

        fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
            let event = if status == 0 {
                dispatch::calls::Event::GrpcMessage(size)
            } else {
                dispatch::calls::Event::GrpcClose(status)
            };
            self.0.answer(|| dispatch::calls::deliver(token, event));
        }

        fn on_grpc_stream_initial_metadata(&mut self, token: u32, _count: u32) {
            self.0.answer(|| dispatch::calls::deliver(token, dispatch::calls::Event::GrpcInitialMetadata));
        }

        fn on_grpc_stream_message(&mut self, token: u32, size: usize) {
            self.0.answer(|| dispatch::calls::deliver(token, dispatch::calls::Event::GrpcMessage(size)));
        }

        fn on_grpc_stream_trailing_metadata(&mut self, token: u32, _count: u32) {
            self.0.answer(|| dispatch::calls::deliver(token, dispatch::calls::Event::GrpcTrailingMetadata));
        }

        fn on_grpc_stream_close(&mut self, token: u32, status: u32) {
            self.0.answer(|| dispatch::calls::deliver(token, dispatch::calls::Event::GrpcClose(status)));
        }
    };
}

impl<K: Streams> Context for RootDoor<K> {
    answers!();

    fn on_done(&mut self) -> bool {
        self.0.done();
        true
    }
}

impl<K: Streams> RootContext for RootDoor<K> {
    fn on_configure(&mut self, _size: usize) -> bool {
        K::configure(&mut self.0)
    }

    fn on_tick(&mut self) {
        self.0.tick();
    }

    fn on_queue_ready(&mut self, queue: u32) {
        self.0.queue_ready(queue);
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(K::context_type())
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        K::http(&self.0, id)
    }

    fn create_stream_context(&self, id: u32) -> Option<Box<dyn StreamContext>> {
        K::tcp(&self.0, id)
    }
}

struct HttpDoor<F>(Rc<HttpStream<F>>);

impl<F: HttpFilter> Context for HttpDoor<F> {
    answers!();

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
