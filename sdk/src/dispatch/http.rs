//! One HTTP stream: its filter, and what the filter's hooks decide.

use super::{Action, guard};
use crate::abi;
use crate::context;
use crate::error::HostError;
use crate::extension::{HttpFilter, Result};
use crate::phase::{
    Log, RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers,
};
use crate::response::{BodyFlow, Flow, Response};

/// The context of one HTTP stream.
pub(crate) struct HttpStream<F> {
    id: u32,
    /// `None` when the plugin has no valid configuration, which no faithful proxy lets happen.
    filter: Option<F>,
    /// A local reply is under way. It passes through this filter's own response hooks, and a second one would hang it.
    replied: bool,
}

impl<F: HttpFilter> HttpStream<F> {
    pub(super) fn new(id: u32, filter: Option<F>) -> Self {
        Self { id, filter, replied: false }
    }

    pub(crate) fn request_headers(&mut self, end_of_stream: bool) -> Action {
        self.headers(|filter| filter.on_request_headers(&mut RequestHeaders::new(end_of_stream)))
    }

    pub(crate) fn request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.body(end_of_stream, |filter| filter.on_request_body(&mut RequestBody::new(size, end_of_stream)))
    }

    pub(crate) fn request_trailers(&mut self) -> Action {
        self.headers(|filter| filter.on_request_trailers(&mut RequestTrailers::new()))
    }

    pub(crate) fn response_headers(&mut self, end_of_stream: bool) -> Action {
        self.headers(|filter| filter.on_response_headers(&mut ResponseHeaders::new(end_of_stream)))
    }

    pub(crate) fn response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.body(end_of_stream, |filter| {
            filter.on_response_body(&mut ResponseBody::new(size, end_of_stream))
        })
    }

    pub(crate) fn response_trailers(&mut self) -> Action {
        self.headers(|filter| filter.on_response_trailers(&mut ResponseTrailers::new()))
    }

    pub(crate) fn log(&mut self) {
        guard((), || {
            context::begin(self.id, true);
            let logged = self.filter.as_mut().map(|filter| filter.on_log(&Log::new()));
            if let Some(Err(error)) = logged {
                log::error!("a hook failed: {error}");
            }
        });
    }

    pub(crate) fn done(&mut self) {
        guard((), || {
            context::begin(self.id, true);
            if let Some(filter) = &mut self.filter {
                filter.on_done();
            }
        });
    }

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
