//! What a hook decides: let the message go on, or answer the client from here.

use crate::abi;
use crate::abi::pairs::Fields;
use crate::bytes::is_plain;
use crate::dispatch::tasks::Limit;
use crate::error::HostError;
use crate::extension::Result;
use crate::headers::is_safe;
use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

/// What happens to a message after a headers or trailers hook.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// fn gate(open: bool) -> Flow {
///     if open { Flow::Continue } else { Flow::Reply(Response::new(403)) }
/// }
/// ```
///
/// A decision that is not returned is none, and the compiler says so:
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// use proxy_wasm_kit::prelude::*;
///
/// fn on_request_headers(request: &mut RequestHeaders<'_>) -> Result {
///     request.later(async |_| Ok(Flow::Reply(Response::new(403))));
///     Ok(Flow::Continue)
/// }
/// ```
#[must_use = "a decision has to be returned from the hook"]
#[derive(Debug)]
pub enum Flow {
    /// It goes on to the next filter.
    Continue,
    /// The client gets this answer instead. It passes through this filter's own response hooks.
    Reply(Response),
    /// It waits for what `later` of a view was given, and then for what that decides.
    Later(Later),
}

impl Flow {
    /// How long what was given to `later` may take before it fails. No effect on another flow.
    ///
    /// Unless this says otherwise, it is 15 seconds, and where the work began with callouts, which have time-outs of their
    /// own, they count from the first answer: a single callout then costs no reading of the clock.
    ///
    /// ```
    /// use proxy_wasm_kit::prelude::*;
    /// use std::time::Duration;
    ///
    /// fn check(request: &mut RequestHeaders<'_>, policy: Cluster) -> Flow {
    ///     request
    ///         .later(async move |_| match policy.get("/check").send().await?.status() {
    ///             200 => Ok(Flow::Continue),
    ///             _ => Ok(Flow::Reply(Response::new(403))),
    ///         })
    ///         .within(Duration::from_secs(1))
    /// }
    /// ```
    pub fn within(self, limit: Duration) -> Self {
        match self {
            Self::Later(later) => Self::Later(later.within(limit)),
            other => other,
        }
    }
}

/// What happens to a chunk after a body hook.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// fn wait_for_all(body: &RequestBody<'_>) -> BodyFlow {
///     if body.end_of_stream() { BodyFlow::Continue } else { BodyFlow::Buffer }
/// }
/// ```
#[must_use = "a decision has to be returned from the hook"]
#[derive(Debug)]
pub enum BodyFlow {
    /// The bytes at hand go on to the next filter.
    Continue,
    /// They wait, and stand before the next chunk when the hook runs again. At the end of the stream there is nothing to
    /// wait for, so it means `Continue`. When more arrives than the proxy's buffer limit, Envoy answers 413 (on a response:
    /// 500) by itself.
    Buffer,
    /// The client gets this answer instead. In the response's body phase its headers are gone already: Envoy resets the
    /// stream.
    Reply(Response),
    /// They wait, with all that comes behind them, for what `later` of the view was given.
    Later(Later),
}

impl BodyFlow {
    /// How long what was given to `later` may take, as for [`Flow::within`].
    ///
    /// ```
    /// use proxy_wasm_kit::prelude::*;
    /// use std::time::Duration;
    ///
    /// fn on_request_body(body: &mut RequestBody<'_>) -> Result<BodyFlow> {
    ///     let slow_clients = Duration::from_secs(60);
    ///     Ok(body.later(async |body| body.collect(10_000).await.map(|_| Flow::Continue)).within(slow_clients))
    /// }
    /// ```
    pub fn within(self, limit: Duration) -> Self {
        match self {
            Self::Later(later) => Self::Later(later.within(limit)),
            other => other,
        }
    }
}

/// Work that a message waits for, made by `later` of a view.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// fn waits(flow: &Flow) -> bool {
///     matches!(flow, Flow::Later(_))
/// }
/// ```
pub struct Later {
    pub(crate) work: Pin<Box<dyn Future<Output = Result>>>,
    pub(crate) limit: Limit,
}

impl Later {
    pub(crate) fn new(work: impl Future<Output = Result> + 'static) -> Self {
        let time = Duration::from_secs(crate::abi::pwkit_later());
        Self { work: Box::pin(work), limit: Limit { time, is_exact: false } }
    }

    /// The work, and leaves some that nobody begins.
    pub(crate) fn take(&mut self) -> Self {
        let none: Pin<Box<dyn Future<Output = Result>>> = Box::pin(std::future::pending());
        Self { work: std::mem::replace(&mut self.work, none), limit: self.limit }
    }

    fn within(self, time: Duration) -> Self {
        Self { limit: Limit { time, is_exact: true }, ..self }
    }
}

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Later(within {:?})", self.limit.time)
    }
}

/// An answer that the filter makes itself (Envoy: a local reply).
///
/// ```
/// use proxy_wasm_kit::Response;
///
/// let reply = Response::new(429)
///     .details("quota_exhausted")
///     .header("retry-after", "30")
///     .body("try again later\n");
/// ```
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    details: Cow<'static, str>,
    headers: Fields,
    /// A header was left out.
    refused: bool,
    body: Option<Vec<u8>>,
    grpc_status: Option<u8>,
}

impl Response {
    /// An answer with this HTTP status, no extra headers and no body.
    ///
    /// ```
    /// # use proxy_wasm_kit::Response;
    /// let reply = Response::new(204);
    /// ```
    #[inline]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            details: Cow::Borrowed(""),
            headers: Fields::default(),
            refused: false,
            body: None,
            grpc_status: None,
        }
    }

    /// Response code details: why, in one word, for access logs (`%RESPONSE_CODE_DETAILS%`). White space becomes `_`.
    ///
    /// ```
    /// # use proxy_wasm_kit::Response;
    /// let reply = Response::new(401).details("jwt_expired");
    /// ```
    #[must_use]
    #[inline]
    pub fn details(mut self, details: impl Into<Cow<'static, str>>) -> Self {
        self.details = one_word(details.into());
        self
    }

    /// Adds a header. One that holds CR, LF or NUL is left out, and an error is logged when the answer is sent.
    ///
    /// ```
    /// # use proxy_wasm_kit::Response;
    /// let reply = Response::new(302).header("location", "https://example.com/login");
    /// ```
    #[must_use]
    #[inline]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.add(name.as_ref(), value.as_ref());
        self
    }

    /// Sets the body. Envoy adds `content-length`, and `content-type: text/plain` unless a header says otherwise.
    ///
    /// ```
    /// # use proxy_wasm_kit::Response;
    /// let reply = Response::new(400).header("content-type", "application/json").body("{}");
    /// ```
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets the gRPC status for gRPC clients, 0 to 16; Envoy derives one from the HTTP status when it is not set or out of
    /// range.
    ///
    /// ```
    /// # use proxy_wasm_kit::Response;
    /// const UNAUTHENTICATED: u8 = 16;
    /// let reply = Response::new(401).grpc_status(UNAUTHENTICATED);
    /// ```
    #[must_use]
    pub fn grpc_status(mut self, status: u8) -> Self {
        self.grpc_status = Some(status).filter(|status| *status <= 16);
        self
    }

    fn add(&mut self, name: &[u8], value: &[u8]) {
        let added = is_safe(name) && is_safe(value) && self.headers.push(name, value).is_some();
        self.refused |= !added;
    }

    /// Hands the answer to the proxy, which sends it when the callback returns.
    pub(crate) fn send(&self) -> Result<(), HostError> {
        if self.refused {
            log::error!("a header of a local reply holds CR, LF or NUL and is left out");
        }
        abi::send_local_response(&abi::LocalReply {
            status: self.status.into(),
            details: &self.details,
            body: self.body.as_deref().unwrap_or_default(),
            headers: self.headers.wire(),
            grpc_status: self.grpc_status.map_or(-1, i32::from),
        })
    }
}

fn one_word(text: Cow<'static, str>) -> Cow<'static, str> {
    // Without a look at each character where none can be white space.
    if is_plain(text.as_bytes(), b' ' + 1) { text } else { text.replace(char::is_whitespace, "_").into() }
}
