//! Why a callout has no response.

use crate::error::HostError;
use std::fmt;
use std::time::Duration;

/// Why a callout has no response, or none that serves.
///
/// In a hook, pass it on with `?`: it becomes an [`Error`](crate::Error), by default answered with 504 for a time-out and 503
/// for all else.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn try_another_time(error: &CallError) -> bool {
///     error.is_timeout() || error.is_reset() || error.is_unreachable()
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CallError(Problem);

#[derive(Clone, PartialEq, Eq)]
enum Problem {
    Refused(HostError),
    Mistake(String),
    NobodyWaits,
    Reset,
    Timeout(Duration),
    Unreachable(String),
    TooLarge { size: usize, limit: usize },
    Malformed(String),
}

impl CallError {
    /// What the host said when it did not begin the call.
    pub(crate) fn refused(error: HostError) -> Self {
        const INTERNAL_FAILURE: u32 = 10;
        match error.raw_status() {
            // Envoy's answer when the cluster has no host that is well.
            Some(INTERNAL_FAILURE) => Self(Problem::Unreachable(error.to_string())),
            _ => Self(Problem::Refused(error)),
        }
    }

    pub(crate) fn mistake(text: String) -> Self {
        Self(Problem::Mistake(text))
    }

    pub(crate) fn nobody_waits() -> Self {
        Self(Problem::NobodyWaits)
    }

    pub(crate) fn reset() -> Self {
        Self(Problem::Reset)
    }

    pub(crate) fn timeout(after: Duration) -> Self {
        Self(Problem::Timeout(after))
    }

    pub(crate) fn unreachable(text: String) -> Self {
        Self(Problem::Unreachable(text))
    }

    pub(crate) fn too_large(size: usize, limit: usize) -> Self {
        Self(Problem::TooLarge { size, limit })
    }

    pub(crate) fn malformed(text: String) -> Self {
        Self(Problem::Malformed(text))
    }

    /// Whether the call was not begun: the proxy does not know the cluster, or the request is not one.
    ///
    /// ```
    /// # use proxy_wasm_kit::CallError;
    /// fn mistake_in_the_configuration(error: &CallError) -> bool {
    ///     error.is_rejected()
    /// }
    /// ```
    pub fn is_rejected(&self) -> bool {
        matches!(self.0, Problem::Refused(_) | Problem::Mistake(_) | Problem::NobodyWaits)
    }

    /// Whether no server could be reached: none is well, or the connection failed or ended before a response. The request
    /// may have reached one.
    ///
    /// ```
    /// # use proxy_wasm_kit::CallError;
    /// fn is_down(error: &CallError) -> bool {
    ///     error.is_unreachable()
    /// }
    /// ```
    pub fn is_unreachable(&self) -> bool {
        matches!(self.0, Problem::Unreachable(_))
    }

    /// Whether the response broke off, or was larger than the proxy keeps (Envoy: 32 MiB).
    ///
    /// ```
    /// # use proxy_wasm_kit::CallError;
    /// fn broke_off(error: &CallError) -> bool {
    ///     error.is_reset()
    /// }
    /// ```
    pub fn is_reset(&self) -> bool {
        self.0 == Problem::Reset
    }

    /// Whether the response took too long. A 504 that a server sends is a response and no error.
    ///
    /// ```
    /// # use proxy_wasm_kit::CallError;
    /// fn too_slow(error: &CallError) -> bool {
    ///     error.is_timeout()
    /// }
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self.0, Problem::Timeout(_))
    }

    /// Whether the body of the response is larger than the call's limit.
    ///
    /// ```
    /// # use proxy_wasm_kit::CallError;
    /// fn raise_the_limit(error: &CallError) -> bool {
    ///     error.is_too_large()
    /// }
    /// ```
    pub fn is_too_large(&self) -> bool {
        matches!(self.0, Problem::TooLarge { .. })
    }

    /// Whether the response is not what was asked for, for example no JSON.
    ///
    /// ```
    /// # use proxy_wasm_kit::CallError;
    /// fn not_our_service(error: &CallError) -> bool {
    ///     error.is_malformed()
    /// }
    /// ```
    pub fn is_malformed(&self) -> bool {
        matches!(self.0, Problem::Malformed(_))
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Problem::Refused(error) => write!(f, "the proxy refuses the call: {error}"),
            Problem::Mistake(text) => write!(f, "the call is not sent: {text}"),
            Problem::NobodyWaits => {
                f.write_str("the call is not sent: only what `later` or `spawn` was given can wait")
            }
            Problem::Reset => f.write_str("the response broke off"),
            Problem::Timeout(after) => write!(f, "no response within {after:?}"),
            Problem::Unreachable(text) => write!(f, "no server answers: {text}"),
            Problem::TooLarge { size, limit } => write!(f, "a response of {size} bytes, {limit} are allowed"),
            Problem::Malformed(text) => write!(f, "a response that does not fit: {text}"),
        }
    }
}

impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallError({self})")
    }
}

impl std::error::Error for CallError {}
