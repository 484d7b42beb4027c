//! What a hook can fail with, whatever it was doing.

use crate::error::HostError;
use crate::response::Response;
use std::fmt;

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
            Cause::Own(_) => None,
        }
    }

    /// The answer that a client gets for this error unless the filter decides otherwise: 500, with the details
    /// `host_error` for a host call and `filter_error` for an error of the extension's own.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn on_error(error: &Error) -> Flow {
    ///     Flow::Reply(error.reply().header("retry-after", "1"))
    /// }
    /// ```
    pub fn reply(&self) -> Response {
        match &self.0 {
            Cause::Host(_) => Response::new(500).details("host_error"),
            Cause::Own(_) => Response::new(500).details("filter_error"),
        }
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
