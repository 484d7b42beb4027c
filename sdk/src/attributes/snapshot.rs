//! The request's attributes, kept for later phases.

use super::Request;
use crate::abi::{self, Map};
use crate::error::HostError;
use crate::headers::Snapshot;

impl Request {
    /// The attributes that stand in the request's headers, kept: once the request has gone on, the proxy does not have them
    /// any more until the stream is logged. One host call for all of them.
    ///
    /// ```
    /// use proxy_wasm_kit::attributes::{RequestSnapshot, request};
    /// use proxy_wasm_kit::prelude::*;
    ///
    /// #[derive(Default)]
    /// struct Slow(Option<RequestSnapshot>);
    ///
    /// impl HttpFilter for Slow {
    ///     fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
    ///         self.0 = Some(request().snapshot()?);
    ///         Ok(Flow::Continue)
    ///     }
    ///
    ///     fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
    ///         if let (Some(request), 500..) = (&self.0, response.status()?) {
    ///             log::warn!("{} failed", request.url_path().escape_ascii());
    ///         }
    ///         Ok(Flow::Continue)
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_header_map_pairs` failed.
    pub fn snapshot(self) -> Result<RequestSnapshot, HostError> {
        const CALL: &str = "proxy_get_header_map_pairs";
        Snapshot::new(abi::map_pairs(Map::RequestHeaders)?, CALL).map(RequestSnapshot)
    }
}

/// The request's attributes as they were when [`Request::snapshot`] was called. What was absent is empty.
///
/// A filter that has taken a snapshot of the headers anyway makes one of it without a host call.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// # fn hook(request: &mut RequestHeaders<'_>) -> Result<()> {
/// let headers = request.headers().snapshot()?;
/// let kept = proxy_wasm_kit::attributes::RequestSnapshot::from(headers);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RequestSnapshot(Snapshot);

impl From<Snapshot> for RequestSnapshot {
    fn from(headers: Snapshot) -> Self {
        Self(headers)
    }
}

impl RequestSnapshot {
    /// The path without the query.
    ///
    /// ```
    /// # fn read(request: &proxy_wasm_kit::attributes::RequestSnapshot) {
    /// let path = request.url_path();
    /// # }
    /// ```
    pub fn url_path(&self) -> &[u8] {
        self.split().0
    }

    /// The query without the `?`.
    ///
    /// ```
    /// # fn read(request: &proxy_wasm_kit::attributes::RequestSnapshot) {
    /// let query = request.query();
    /// # }
    /// ```
    pub fn query(&self) -> &[u8] {
        self.split().1
    }

    /// All headers.
    ///
    /// ```
    /// # fn read(request: &proxy_wasm_kit::attributes::RequestSnapshot) {
    /// let language = request.headers().first("accept-language");
    /// # }
    /// ```
    pub fn headers(&self) -> &Snapshot {
        &self.0
    }

    fn split(&self) -> (&[u8], &[u8]) {
        let mut parts = self.path().splitn(2, |byte| *byte == b'?');
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    }
}

/// Declares the attributes that are one header.
macro_rules! headers {
    ($($(#[$about:meta])* $name:ident = $header:literal,)*) => {
        impl RequestSnapshot {$(
            $(#[$about])*
            ///
            /// ```
            /// # fn read(request: &proxy_wasm_kit::attributes::RequestSnapshot) {
            #[doc = concat!("let value = request.", stringify!($name), "();")]
            /// # }
            /// ```
            pub fn $name(&self) -> &[u8] {
                self.0.first($header).unwrap_or_default()
            }
        )*}
    };
}

headers! {
    /// The path with the query.
    path = ":path",
    /// The host.
    host = ":authority",
    /// `http` or `https`.
    scheme = ":scheme",
    /// The method.
    method = ":method",
    /// The header `referer`.
    referer = "referer",
    /// The header `user-agent`.
    useragent = "user-agent",
    /// The request id.
    id = "x-request-id",
}
