//! What a hook can fail with, whatever it was doing.

use crate::callout::CallError;
use crate::error::HostError;
use crate::grpc::GrpcError;
use crate::response::Response;
use std::fmt;
use std::time::Duration;

/// Why a hook failed.
///
/// Hooks pass it on with `?`, and the filter's [`on_error`](crate::HttpFilter::on_error) decides what becomes of the message.
/// An error of your own becomes one by [`Error::new`].
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// fn tenant(request: &mut RequestHeaders<'_>) -> Result<Bytes> {
///     let tenant = request.headers().first("x-tenant")?;
///     tenant.ok_or_else(|| Error::new("no tenant"))
/// }
/// ```
pub struct Error(Cause);

enum Cause {
    Host(HostError),
    Call(CallError),
    Grpc(GrpcError),
    Elapsed(Duration),
    TooLarge { limit: usize, is_request: bool },
    Own(String),
}

impl Error {
    /// An error of the extension's own; the text goes to the log, never to a client.
    ///
    /// ```
    /// # use proxy_wasm_kit::Error;
    /// assert_eq!(Error::new("no tenant").to_string(), "no tenant");
    /// ```
    pub fn new(message: impl fmt::Display) -> Self {
        Self(Cause::Own(message.to_string()))
    }

    pub(crate) fn elapsed(limit: Duration) -> Self {
        Self(Cause::Elapsed(limit))
    }

    pub(crate) fn too_large(limit: usize, is_request: bool) -> Self {
        Self(Cause::TooLarge { limit, is_request })
    }

    /// The host call that failed, if that is what happened.
    ///
    /// ```
    /// # use proxy_wasm_kit::Error;
    /// fn too_early(error: &Error) -> bool {
    ///     error.host().is_some_and(|error| error.is_bad_argument())
    /// }
    /// ```
    pub fn host(&self) -> Option<&HostError> {
        match &self.0 {
            Cause::Host(error) => Some(error),
            _ => None,
        }
    }

    /// Why a callout had no response, if that is what happened.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn on_error(error: &Error) -> Flow {
    ///     match error.call() {
    ///         Some(call) if call.is_unreachable() => Flow::Continue,
    ///         _ => Flow::Reply(error.reply()),
    ///     }
    /// }
    /// ```
    pub fn call(&self) -> Option<&CallError> {
        match &self.0 {
            Cause::Call(error) => Some(error),
            _ => None,
        }
    }

    /// The status of a gRPC call, if that is what happened.
    ///
    /// ```
    /// # use proxy_wasm_kit::Error;
    /// fn denied(error: &Error) -> bool {
    ///     error.grpc().is_some_and(|error| error.code() == 7)
    /// }
    /// ```
    pub fn grpc(&self) -> Option<&GrpcError> {
        match &self.0 {
            Cause::Grpc(error) => Some(error),
            _ => None,
        }
    }

    /// Whether something took too long: the work as a whole, or a callout.
    ///
    /// ```
    /// # use proxy_wasm_kit::Error;
    /// fn too_slow(error: &Error) -> bool {
    ///     error.is_timeout()
    /// }
    /// ```
    pub fn is_timeout(&self) -> bool {
        match &self.0 {
            Cause::Elapsed(_) => true,
            Cause::Call(error) => error.is_timeout(),
            Cause::Grpc(error) => error.is_timeout(),
            _ => false,
        }
    }

    /// Whether a body was larger than the limit given to `collect`.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn on_error(error: &Error) -> Flow {
    ///     if error.is_too_large() { Flow::Continue } else { Flow::Reply(error.reply()) }
    /// }
    /// ```
    pub fn is_too_large(&self) -> bool {
        matches!(self.0, Cause::TooLarge { .. })
    }

    /// The answer that a client gets for this error unless the filter decides otherwise.
    ///
    /// | error | status | details |
    /// |---|---|---|
    /// | a host call failed | 500 | `host_error` |
    /// | the work took too long | 504 | `deadline` |
    /// | a callout timed out | 504 | `callout_timeout` |
    /// | a callout had no other response | 503 | `callout_failed` |
    /// | a request's body is too large | 413 | `body_too_large` |
    /// | a response's body is too large | 502 | `body_too_large` |
    /// | the extension's own | 500 | `filter_error` |
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn on_error(error: &Error) -> Flow {
    ///     Flow::Reply(error.reply().header("retry-after", "1"))
    /// }
    /// ```
    pub fn reply(&self) -> Response {
        let (status, details) = match &self.0 {
            Cause::Host(_) => (500, "host_error"),
            Cause::Call(_) | Cause::Grpc(_) if self.is_timeout() => (504, "callout_timeout"),
            Cause::Call(_) | Cause::Grpc(_) => (503, "callout_failed"),
            Cause::Elapsed(_) => (504, "deadline"),
            Cause::TooLarge { is_request, .. } => (if *is_request { 413 } else { 502 }, "body_too_large"),
            Cause::Own(_) => (500, "filter_error"),
        };
        Response::new(status).details(details)
    }
}

impl From<GrpcError> for Error {
    fn from(error: GrpcError) -> Self {
        Self(Cause::Grpc(error))
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        Self(Cause::Call(error))
    }
}

impl From<HostError> for Error {
    fn from(error: HostError) -> Self {
        Self(Cause::Host(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Host(error) => error.fmt(f),
            Cause::Call(error) => error.fmt(f),
            Cause::Grpc(error) => error.fmt(f),
            Cause::Elapsed(limit) => write!(f, "not done within {limit:?}"),
            Cause::TooLarge { limit, .. } => write!(f, "a body of more than {limit} bytes"),
            Cause::Own(message) => f.write_str(message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl std::error::Error for Error {}
