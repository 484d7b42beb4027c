//! The status of a gRPC call that did not succeed.

use crate::bytes::Bytes;
use crate::error::HostError;
use crate::headers::Snapshot;
use crate::protobuf::{Field, fields};
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

    /// One of the details in the `google.rpc.Status`, by the full name of its type: the message as bytes. `None` when the
    /// server did not send such a one. With the feature `prost`, `detail_message` decodes it.
    ///
    /// ```
    /// # use proxy_wasm_kit::GrpcError;
    /// fn has_a_reason(error: &GrpcError) -> bool {
    ///     error.detail("google.rpc.ErrorInfo").is_some()
    /// }
    /// ```
    pub fn detail(&self, type_name: &str) -> Option<&[u8]> {
        const DETAILS: u64 = 3;
        let details = fields(&self.details).filter_map(|field| match field {
            (DETAILS, Field::Bytes(any)) => Some(any),
            _ => None,
        });
        details.filter_map(any).find(|(name, _)| *name == type_name.as_bytes()).map(|(_, message)| message)
    }

    /// As [`detail`](Self::detail), decoded; `None` also when it is malformed. Needs the feature `prost`.
    ///
    /// ```
    /// # use proxy_wasm_kit::GrpcError;
    /// # type ErrorInfo = String;
    /// fn reason(error: &GrpcError) -> Option<ErrorInfo> {
    ///     error.detail_message("google.rpc.ErrorInfo")
    /// }
    /// ```
    #[cfg(feature = "prost")]
    pub fn detail_message<M: prost::Message + Default>(&self, type_name: &str) -> Option<M> {
        M::decode(self.detail(type_name)?).ok()
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

/// Name and bytes of a `google.protobuf.Any`. Its name stands behind the last slash of an address.
fn any(wire: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut name, mut message) = (None, &[][..]);
    for field in fields(wire) {
        match field {
            (1, Field::Bytes(address)) => name = address.rsplit(|byte| *byte == b'/').next(),
            (2, Field::Bytes(bytes)) => message = bytes,
            _ => {}
        }
    }
    Some((name?, message))
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
