//! The door through the `proxy-wasm` crate: its dispatcher exports the ABI's callbacks and finds the context of an id; here
//! each of its calls becomes one of the core's.

use crate::abi;
use crate::dispatch::{self, HttpStream, Plugin};
use crate::extension::{Extension, HttpFilter};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::rc::Rc;

/// Registers the extension with the crate's dispatcher. For [`entry!`](crate::entry) only.
#[doc(hidden)]
pub fn register<E: Extension>() {
    abi::calls::begin_through_the_crate();
    proxy_wasm::set_root_context(|id| Box::new(RootDoor(Plugin::<E>::new(id))));
}

struct RootDoor<E>(Plugin<E>);

mod tcp;

pub use tcp::register_tcp;

/// Answers to callouts; the crate brings them to the context that made the call.
macro_rules! answers {
    () => {
        fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, trailers: usize) {
            self.0.answer(|| {
                $crate::dispatch::calls::deliver(
                    token,
                    $crate::dispatch::calls::Event::Response { headers, body, trailers },
                )
            });
        }

        fn on_grpc_call_response(&mut self, token: u32, status: u32, size: usize) {
            let event = if status == 0 {
                $crate::dispatch::calls::Event::GrpcMessage(size)
            } else {
                $crate::dispatch::calls::Event::GrpcClose(status)
            };
            self.0.answer(|| $crate::dispatch::calls::deliver(token, event));
        }

        fn on_grpc_stream_initial_metadata(&mut self, token: u32, _count: u32) {
            self.0.answer(|| {
                $crate::dispatch::calls::deliver(token, $crate::dispatch::calls::Event::GrpcInitialMetadata)
            });
        }

        fn on_grpc_stream_message(&mut self, token: u32, size: usize) {
            self.0.answer(|| {
                $crate::dispatch::calls::deliver(token, $crate::dispatch::calls::Event::GrpcMessage(size))
            });
        }

        fn on_grpc_stream_trailing_metadata(&mut self, token: u32, _count: u32) {
            self.0.answer(|| {
                $crate::dispatch::calls::deliver(token, $crate::dispatch::calls::Event::GrpcTrailingMetadata)
            });
        }

        fn on_grpc_stream_close(&mut self, token: u32, status: u32) {
            self.0.answer(|| {
                $crate::dispatch::calls::deliver(token, $crate::dispatch::calls::Event::GrpcClose(status))
            });
        }
    };
}

use answers;

impl<E: Extension> Context for RootDoor<E> {
    answers!();

    fn on_done(&mut self) -> bool {
        self.0.done();
        true
    }
}

impl<E: Extension> RootContext for RootDoor<E> {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.0.configure()
    }

    fn on_tick(&mut self) {
        self.0.tick();
    }

    fn on_queue_ready(&mut self, queue: u32) {
        self.0.queue_ready(queue);
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(HttpDoor(self.0.open(id))))
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
