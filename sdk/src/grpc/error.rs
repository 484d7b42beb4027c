//! The status of a gRPC call that did not succeed.

use crate::bytes::Bytes;
use crate::error::HostError;
use crate::headers::Snapshot;
use base64::Engine;
use std::fmt;

/// The status that a gRPC call or stream ended with, when that is not success.
///
/// ```
/// # use proxy_wasm_kit::GrpcError;
/// fn try_another_time(error: &GrpcError) -> bool {
///     const UNAVAILABLE: u32 = 14;
///     error.code() == UNAVAILABLE && !error.is_timeout()
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct GrpcError {
    code: u32,
    message: String,
    details: Bytes,
    is_rejected: bool,
}

const DEADLINE_EXCEEDED: u32 = 4;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;

impl GrpcError {
    pub(crate) fn new(code: u32, message: &[u8]) -> Self {
        let message = String::from_utf8_lossy(message).into_owned();
        Self { code, message, details: Bytes::default(), is_rejected: false }
    }

    /// Adds what a server that follows google.rpc tells beside the status.
    pub(crate) fn with_details(mut self, trailers: &Snapshot) -> Self {
        let details = trailers.first("grpc-status-details-bin").unwrap_or_default();
        let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
        let end = details.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last.saturating_add(1));
        let unpadded = details.get(..end).unwrap_or_default();
        self.details = engine.decode(unpadded).unwrap_or_default().into();
        self
    }

    /// What the host said when it did not begin the call.
    pub(crate) fn refused(error: HostError) -> Self {
        const INTERNAL_FAILURE: u32 = 10;
        let unreachable = error.raw_status() == Some(INTERNAL_FAILURE);
        Self { is_rejected: !unreachable, ..Self::new(UNAVAILABLE, error.to_string().as_bytes()) }
    }

    pub(crate) fn nobody_waits() -> Self {
        let text = b"the call is not sent: only what `later` or `spawn` was given can wait";
        Self { is_rejected: true, ..Self::new(INTERNAL, text) }
    }

    pub(crate) fn elapsed() -> Self {
        Self::new(DEADLINE_EXCEEDED, b"no time is left")
    }

    #[cfg(feature = "prost")]
    pub(crate) fn malformed(error: &prost::DecodeError) -> Self {
        Self::new(INTERNAL, error.to_string().as_bytes())
    }

    /// The code of the status, for example 14 for UNAVAILABLE.
    ///
    /// ```
    /// # use proxy_wasm_kit::GrpcError;
    /// fn denied(error: &GrpcError) -> bool {
    ///     matches!(error.code(), 7 | 16)
    /// }
    /// ```
    pub fn code(&self) -> u32 {
        self.code
    }

    /// The text of the status. To the text that a server sent Envoy 1.40 adds `{via_upstream}`.
    ///
    /// ```
    /// # use proxy_wasm_kit::GrpcError;
    /// fn line(error: &GrpcError) -> String {
    ///     format!("{}: {}", error.code(), error.message())
    /// }
    /// ```
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The `google.rpc.Status` that the server sent along, as bytes; empty when there was none. The proxy hands trailers to
    /// a plugin only for streams, so it is always empty for a call with one message each way.
    ///
    /// ```
    /// # use proxy_wasm_kit::GrpcError;
    /// fn explained(error: &GrpcError) -> bool {
    ///     !error.details().is_empty()
    /// }
    /// ```
    pub fn details(&self) -> &Bytes {
        &self.details
    }

    /// Whether the call was not begun: the proxy does not know the cluster, or nothing could wait for it.
    ///
    /// ```
    /// # use proxy_wasm_kit::GrpcError;
    /// fn mistake_in_the_configuration(error: &GrpcError) -> bool {
    ///     error.is_rejected()
    /// }
    /// ```
    pub fn is_rejected(&self) -> bool {
        self.is_rejected
    }

    /// Whether the answer took too long: the server says so (code 4), or Envoy, which says it by code 14 and this text.
    ///
    /// ```
    /// # use proxy_wasm_kit::GrpcError;
    /// fn too_slow(error: &GrpcError) -> bool {
    ///     error.is_timeout()
    /// }
    /// ```
    pub fn is_timeout(&self) -> bool {
        self.code == DEADLINE_EXCEEDED
            || (self.code == UNAVAILABLE && self.message == "upstream request timeout")
    }
}

impl fmt::Display for GrpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gRPC status {}: {}", self.code, self.message)
    }
}

impl fmt::Debug for GrpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrpcError({self})")
    }
}

impl std::error::Error for GrpcError {}
