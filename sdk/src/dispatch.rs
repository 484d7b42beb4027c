//! The door between the `proxy-wasm` crate's dispatcher and the extension's traits.
//!
//! The crate registers contexts and exports the ABI's callbacks; here a callback becomes a call of a hook, and what the
//! hook decided becomes an action and, if need be, a local reply.

use crate::abi::{self, Buffer};
use crate::config::{self, ConfigError};
use crate::context;
use crate::error::HostError;
use crate::extension::{Extension, HttpFilter, Result};
use crate::logger;
use crate::phase::{
    Log, RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers,
};
use crate::response::{BodyFlow, Flow, Response};
use crate::root::Root;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use std::rc::Rc;

/// Registers the extension with the crate's dispatcher. For [`entry!`](crate::entry) only.
#[doc(hidden)]
pub fn register<E: Extension>() {
    proxy_wasm::set_root_context(|id| Box::new(Plugin::<E> { id, extension: None }));
}

/// The root context.
struct Plugin<E> {
    id: u32,
    /// `None` until a configuration has been accepted.
    extension: Option<Rc<E>>,
}

/// The context of one HTTP stream.
struct Stream<F> {
    id: u32,
    /// `None` when the plugin has no valid configuration, which no faithful proxy lets happen.
    filter: Option<F>,
    /// A local reply is under way. It passes through this filter's own response hooks, and a second one would hang it.
    replied: bool,
}

/// Runs a hook. On wasm a panic aborts the VM; on native it must not cross the ABI, so it is reported to the host there.
fn guard<T>(when_panicked: T, hook: impl FnOnce() -> T) -> T {
    #[cfg(target_arch = "wasm32")]
    {
        drop(when_panicked);
        hook()
    }
    #[cfg(not(target_arch = "wasm32"))]
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(hook)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        abi::guest_panicked(text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("panic"));
        when_panicked
    })
}

impl<E: Extension> Plugin<E> {
    fn configure() -> Result<E, ConfigError> {
        let text = abi::buffer(Buffer::PluginConfiguration, 0, config::LIMIT)?.unwrap_or_default();
        let configured =
            config::read(&text, E::UNKNOWN_KEYS).and_then(|config| E::configure(config, &Root::new()));
        configured.map_err(|error| error.located_in(&text))
    }
}

impl<E: Extension> Context for Plugin<E> {}

impl<E: Extension> RootContext for Plugin<E> {
    fn on_configure(&mut self, _size: usize) -> bool {
        guard(false, || {
            context::begin(self.id, false);
            logger::start();
            match Self::configure() {
                Ok(extension) => self.extension = Some(Rc::new(extension)),
                Err(error) => {
                    log::error!("configuration rejected: {error}");
                    return false;
                }
            }
            true
        })
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        context::begin(id, true);
        let filter = guard(None, || self.extension.as_ref().map(E::filter));
        Some(Box::new(Stream { id, filter, replied: false }))
    }
}

impl<F: HttpFilter> Stream<F> {
    /// Runs a hook, logs its error and lets the filter decide about it.
    fn run<T: From<Flow>>(&mut self, hook: impl FnOnce(&mut F) -> Result<T>) -> T {
        context::begin(self.id, true);
        let Some(filter) = &mut self.filter else {
            return Flow::Reply(Response::new(503).details("plugin_not_configured")).into();
        };
        hook(filter).unwrap_or_else(|error| {
            log::error!("a hook failed: {error}");
            filter.on_error(&error).into()
        })
    }

    fn headers(&mut self, hook: impl FnOnce(&mut F) -> Result) -> Action {
        guard(Action::Pause, || match self.run(hook) {
            Flow::Continue => Action::Continue,
            Flow::Reply(response) => self.reply(&response),
        })
    }

    fn body(&mut self, end_of_stream: bool, hook: impl FnOnce(&mut F) -> Result<BodyFlow>) -> Action {
        guard(Action::Pause, || match self.run(hook) {
            BodyFlow::Continue => Action::Continue,
            // To hold back the end would hang the stream: nothing comes that could release it.
            BodyFlow::Buffer if end_of_stream => Action::Continue,
            BodyFlow::Buffer => Action::Pause,
            BodyFlow::Reply(response) => self.reply(&response),
        })
    }

    /// Sends a local reply, once. One that cannot be sent must not let the message pass: the stream is reset.
    fn reply(&mut self, response: &Response) -> Action {
        if std::mem::replace(&mut self.replied, true) {
            return Action::Continue;
        }
        if let Err(error) = response.send().or_else(reset) {
            log::error!("the stream can be neither answered nor reset: {error}");
        }
        Action::Pause
    }
}

fn reset(error: HostError) -> Result<(), HostError> {
    log::error!("a local reply failed, the stream is reset: {error}");
    abi::close_stream()
}

impl From<Flow> for BodyFlow {
    fn from(flow: Flow) -> Self {
        match flow {
            Flow::Continue => Self::Continue,
            Flow::Reply(response) => Self::Reply(response),
        }
    }
}

impl<F: HttpFilter> Context for Stream<F> {
    fn on_done(&mut self) -> bool {
        guard(true, || {
            context::begin(self.id, true);
            if let Some(filter) = &mut self.filter {
                filter.on_done();
            }
            true
        })
    }
}

impl<F: HttpFilter> HttpContext for Stream<F> {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.headers(|filter| filter.on_request_headers(&mut RequestHeaders::new(end_of_stream)))
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.body(end_of_stream, |filter| filter.on_request_body(&mut RequestBody::new(size, end_of_stream)))
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.headers(|filter| filter.on_request_trailers(&mut RequestTrailers::new()))
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        self.headers(|filter| filter.on_response_headers(&mut ResponseHeaders::new(end_of_stream)))
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.body(end_of_stream, |filter| {
            filter.on_response_body(&mut ResponseBody::new(size, end_of_stream))
        })
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.headers(|filter| filter.on_response_trailers(&mut ResponseTrailers::new()))
    }

    fn on_log(&mut self) {
        guard((), || {
            context::begin(self.id, true);
            let logged = self.filter.as_mut().map(|filter| filter.on_log(&Log::new()));
            if let Some(Err(error)) = logged {
                log::error!("a hook failed: {error}");
            }
        });
    }
}
