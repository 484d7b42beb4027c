//! The two traits an extension implements: one per plugin, one per HTTP stream.

use crate::config::{ConfigError, UnknownKeys, WrongValues};
use crate::failure::Error;
use crate::phase::{
    Log, RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers,
};
use crate::response::{BodyFlow, Flow};
use crate::root::Root;
use serde::de::DeserializeOwned;
use std::rc::Rc;

/// What hooks return: by default a [`Flow`], or why there is none.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// fn on_request_headers(request: &mut RequestHeaders<'_>) -> Result {
///     request.headers().remove("x-internal")?;
///     Ok(Flow::Continue)
/// }
/// ```
pub type Result<T = Flow, E = Error> = std::result::Result<T, E>;

/// One plugin: its configuration and what all its streams share.
///
/// The proxy makes one per worker thread and plugin configuration (Envoy configures concurrency + 2 of them, and only the
/// workers' serve). Nothing is shared between workers, and nothing needs a lock.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     header: String,
/// }
///
/// struct Tag {
///     header: String,
///     tagged: Counter,
/// }
///
/// struct TagRequest(Rc<Tag>);
///
/// impl Extension for Tag {
///     type Config = Config;
///     type Filter = TagRequest;
///
///     fn configure(config: Config, root: &Root) -> Result<Self, ConfigError> {
///         Ok(Self { header: config.header, tagged: root.counter("tagged")? })
///     }
///
///     fn filter(self: &Rc<Self>) -> TagRequest {
///         TagRequest(self.clone())
///     }
/// }
///
/// impl HttpFilter for TagRequest {
///     fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
///         request.headers().set(&self.0.header, "1")?;
///         self.0.tagged.add(1)?;
///         Ok(Flow::Continue)
///     }
/// }
///
/// proxy_wasm_kit::entry!(Tag);
/// # use proxy_wasm_kit_host as _;
/// # fn main() {}
/// ```
pub trait Extension: Sized + 'static {
    /// The plugin configuration, read from JSON. An empty configuration reads as `{}`.
    ///
    /// Give it `#[serde(deny_unknown_fields)]`: without it serde itself drops keys it does not know, and a misspelt key
    /// goes unnoticed. Avoid `#[serde(flatten)]` and `#[serde(untagged)]`: errors below them lose their path.
    type Config: DeserializeOwned;

    /// The filter that [`filter`](Self::filter) makes for each stream.
    type Filter: HttpFilter;

    /// What becomes of keys that the configuration does not know.
    const UNKNOWN_KEYS: UnknownKeys = UnknownKeys::Refuse;

    /// What becomes of values that do not fit their type.
    const WRONG_VALUES: WrongValues = WrongValues::Refuse;

    /// Builds the plugin. All work that can be done once is done here: indexes, compiled patterns, metric handles.
    ///
    /// # Errors
    ///
    /// An error refuses the configuration: it is logged as one line and the proxy keeps the previous configuration, or
    /// refuses the listener.
    fn configure(config: Self::Config, root: &Root) -> Result<Self, ConfigError>;

    /// The configuration cannot be read, or [`configure`](Self::configure) refused it. By default that refuses it; what has to
    /// go on all the same, as a drop-in replacement of an extension that never refused one, returns a plugin here, and
    /// [complains](Root::complain).
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # struct Metrics { enabled: bool }
    /// # struct Filter;
    /// # impl HttpFilter for Filter {}
    /// # impl Extension for Metrics {
    /// #     type Config = ();
    /// #     type Filter = Filter;
    /// #     fn configure(_: (), _: &Root) -> Result<Self, ConfigError> { Ok(Self { enabled: true }) }
    /// #     fn filter(self: &Rc<Self>) -> Filter { Filter }
    /// fn misconfigured(error: ConfigError, root: &Root) -> Result<Self, ConfigError> {
    ///     root.complain(error);
    ///     Ok(Self { enabled: false })
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An error refuses the configuration after all.
    fn misconfigured(error: ConfigError, _root: &Root) -> Result<Self, ConfigError> {
        Err(error)
    }

    /// Makes the filter of a new stream. Cheap: it usually clones the `Rc`.
    fn filter(self: &Rc<Self>) -> Self::Filter;
}

/// One HTTP stream: a request and its response.
///
/// Each hook has a default that lets everything pass, and the proxy does not even enter a pruned module for it. They run in
/// this order:
///
/// | hook | when |
/// |---|---|
/// | [`on_request_headers`](Self::on_request_headers) | first; not for a request that a filter before this one has answered |
/// | [`on_request_body`](Self::on_request_body) | for each chunk of the body, if there is one |
/// | [`on_request_trailers`](Self::on_request_trailers) | at the end of a request with trailers |
/// | [`on_response_headers`](Self::on_response_headers) | for the upstream's response, or a local reply, also this filter's own |
/// | [`on_response_body`](Self::on_response_body), [`on_response_trailers`](Self::on_response_trailers) | as for the request |
/// | [`on_log`](Self::on_log), [`on_done`](Self::on_done) | once each, when the stream is over, also of one that never reached this filter |
///
/// A hook that fails hands its error to [`on_error`](Self::on_error), which decides about the message.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// struct RequireJson;
///
/// impl HttpFilter for RequireJson {
///     fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
///         match request.headers().first("content-type")? {
///             Some(value) if value == "application/json" => Ok(Flow::Continue),
///             _ => Ok(Flow::Reply(Response::new(415).details("not_json"))),
///         }
///     }
/// }
/// ```
#[allow(unused_variables, reason = "who overrides a hook gets its names from here")]
pub trait HttpFilter: 'static {
    /// The request's headers have arrived.
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        Ok(Flow::Continue)
    }

    /// A chunk of the request's body has arrived.
    fn on_request_body(&mut self, body: &mut RequestBody<'_>) -> Result<BodyFlow> {
        Ok(BodyFlow::Continue)
    }

    /// The request's trailers have arrived. They are the end of the request; no body chunk said so before.
    fn on_request_trailers(&mut self, request: &mut RequestTrailers<'_>) -> Result {
        Ok(Flow::Continue)
    }

    /// The response's headers have arrived. Local replies come through here too.
    fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
        Ok(Flow::Continue)
    }

    /// A chunk of the response's body has arrived.
    fn on_response_body(&mut self, body: &mut ResponseBody<'_>) -> Result<BodyFlow> {
        Ok(BodyFlow::Continue)
    }

    /// The response's trailers have arrived.
    fn on_response_trailers(&mut self, response: &mut ResponseTrailers<'_>) -> Result {
        Ok(Flow::Continue)
    }

    /// The stream is over and is being logged. Runs for streams that never reached this filter, too.
    /// An error is only logged.
    fn on_log(&mut self, log: &Log<'_>) -> Result<()> {
        Ok(())
    }

    /// The proxy is done with the stream; the filter is dropped next. Envoy calls it after [`on_log`](Self::on_log).
    fn on_done(&mut self) {}

    /// A hook failed: what happens to the message? The error has been logged.
    ///
    /// The default fails closed, with [`Error::reply`]. A filter that must not stand in the way returns
    /// [`Flow::Continue`].
    fn on_error(&mut self, error: &Error) -> Flow {
        Flow::Reply(error.reply())
    }
}
