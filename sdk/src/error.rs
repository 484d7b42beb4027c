//! What a host call can fail with: the call's name and the status, as the host gave it.

use std::fmt;

/// A host call that failed.
///
/// It keeps the name of the ABI function and the raw status, known to this SDK or not. Most hooks pass it on with `?`; the
/// filter's [`on_error`](crate::HttpFilter::on_error) then decides what the client sees.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// fn path_or_root(request: &RequestHeaders<'_>) -> Result<Bytes, HostError> {
///     match request.path() {
///         Err(error) if error.is_bad_argument() => Ok(Bytes::from(b"/".to_vec())),
///         other => other,
///     }
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HostError {
    call: &'static str,
    problem: Problem,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Problem {
    /// The host answered with this status.
    Status(u32),
    /// The host answered Ok, but its answer does not have the documented form.
    Malformed,
    /// The call was not made: it would have put CR, LF or NUL into a header.
    UnsafeHeader,
    /// Others changed the value before each of our tries.
    Contended,
    /// What is stored, or was to be stored, does not fit the type.
    Unreadable,
    /// The call was not made: it would have acted on the context that was entered, and another one is meant.
    WrongContext,
    /// Nothing that could be continued waits for it.
    Outside,
    /// The call was not made: the body would not have the length that its headers tell.
    Length,
}

/// Status codes of the ABI (`proxy_status_t`); Envoy uses 9 and 11 beyond the specification.
const NAMES: [&str; 13] = [
    "Ok",
    "NotFound",
    "BadArgument",
    "SerializationFailure",
    "ParseFailure",
    "BadExpression",
    "InvalidMemoryAccess",
    "Empty",
    "CasMismatch",
    "ResultMismatch",
    "InternalFailure",
    "BrokenConnection",
    "Unimplemented",
];

impl HostError {
    pub(crate) const fn status(call: &'static str, status: u32) -> Self {
        Self { call, problem: Problem::Status(status) }
    }

    pub(crate) const fn malformed(call: &'static str) -> Self {
        Self { call, problem: Problem::Malformed }
    }

    pub(crate) const fn unsafe_header(call: &'static str) -> Self {
        Self { call, problem: Problem::UnsafeHeader }
    }

    pub(crate) const fn contended(call: &'static str) -> Self {
        Self { call, problem: Problem::Contended }
    }

    pub(crate) const fn unreadable(call: &'static str) -> Self {
        Self { call, problem: Problem::Unreadable }
    }

    pub(crate) const fn wrong_context(call: &'static str) -> Self {
        Self { call, problem: Problem::WrongContext }
    }

    pub(crate) const fn length(call: &'static str) -> Self {
        Self { call, problem: Problem::Length }
    }

    /// Something was awaited that only our tasks can wait for.
    pub(crate) const fn outside(call: &'static str) -> Self {
        Self { call, problem: Problem::Outside }
    }

    /// The ABI function that failed, for example `proxy_get_property`.
    ///
    /// ```
    /// # use proxy_wasm_kit::HostError;
    /// fn about_metrics(error: &HostError) -> bool {
    ///     error.call().ends_with("_metric")
    /// }
    /// ```
    pub fn call(&self) -> &'static str {
        self.call
    }

    /// The status as the host gave it; `None` when the SDK found the fault itself: an answer that does not have the
    /// documented form, or a header that must not be sent.
    ///
    /// ```
    /// # use proxy_wasm_kit::HostError;
    /// fn not_supported_here(error: &HostError) -> bool {
    ///     error.raw_status() == Some(12)
    /// }
    /// ```
    pub fn raw_status(&self) -> Option<u32> {
        match self.problem {
            Problem::Status(status) => Some(status),
            _ => None,
        }
    }

    /// Whether the host has no such thing (status 1).
    ///
    /// ```
    /// # use proxy_wasm_kit::HostError;
    /// fn ignore_missing(result: Result<(), HostError>) -> Result<(), HostError> {
    ///     result.or_else(|error| if error.is_not_found() { Ok(()) } else { Err(error) })
    /// }
    /// ```
    pub fn is_not_found(&self) -> bool {
        self.raw_status() == Some(1)
    }

    /// Whether the host refused an argument (status 2), for example a map that is not there in this phase.
    ///
    /// ```
    /// # use proxy_wasm_kit::HostError;
    /// fn wrong_phase(error: &HostError) -> bool {
    ///     error.is_bad_argument()
    /// }
    /// ```
    pub fn is_bad_argument(&self) -> bool {
        self.raw_status() == Some(2)
    }

    /// Whether the host lacks the function (status 12), or the operator withheld it (status 10, Envoy's capability
    /// restriction).
    ///
    /// ```
    /// # use proxy_wasm_kit::HostError;
    /// fn use_fallback(error: &HostError) -> bool {
    ///     error.is_unavailable()
    /// }
    /// ```
    pub fn is_unavailable(&self) -> bool {
        let is_foreign = !self.call.starts_with("proxy_");
        match self.raw_status() {
            Some(12) => true,
            // To evaluate needs what was created before: here it is the expression that failed.
            Some(10) => self.call != "expr_evaluate",
            Some(1) => {
                is_foreign
                    && matches!(
                        self.call,
                        "expr_create" | "verify_signature" | "sign" | "compress" | "uncompress"
                    )
            }
            _ => false,
        }
    }

    /// Whether a value in shared data was changed by others before each of our tries to change it.
    ///
    /// ```
    /// # use proxy_wasm_kit::{HostError, Shared};
    /// fn count(hits: &Shared<u64>) -> Result<(), HostError> {
    ///     match hits.update(|old| old.unwrap_or(0).saturating_add(1)) {
    ///         Err(error) if error.is_contended() => Ok(()), // a lost count costs nobody a request
    ///         other => other.map(|_| ()),
    ///     }
    /// }
    /// ```
    pub fn is_contended(&self) -> bool {
        self.problem == Problem::Contended
    }

    /// Whether the call was refused because it acts on the context whose callback runs, while another one was
    /// [entered](crate::ContextId::enter).
    ///
    /// ```
    /// # use proxy_wasm_kit::HostError;
    /// fn try_again_in_the_next_hook(error: &HostError) -> bool {
    ///     error.is_wrong_context()
    /// }
    /// ```
    pub fn is_wrong_context(&self) -> bool {
        self.problem == Problem::WrongContext
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problem {
            Problem::Malformed => write!(f, "{}: the host's answer is malformed", self.call),
            Problem::UnsafeHeader => write!(f, "{}: refused, CR, LF or NUL in a header", self.call),
            Problem::Contended => write!(f, "{}: given up, others changed the value each time", self.call),
            Problem::Unreadable => write!(f, "{}: the value does not fit its type", self.call),
            Problem::WrongContext => {
                write!(
                    f,
                    "{}: refused, it acts on the context whose callback runs, not on the one entered",
                    self.call
                )
            }
            Problem::Length => {
                write!(
                    f,
                    "{}: refused, call rewrites_body() in the headers hook to change the length",
                    self.call
                )
            }
            Problem::Outside => write!(f, "{}: only what `later` or `spawn` was given can wait", self.call),
            Problem::Status(status) => {
                let index = usize::try_from(status).unwrap_or(usize::MAX);
                let name = NAMES.get(index).copied().unwrap_or("status unknown to the ABI");
                write!(f, "{}: {name} ({status})", self.call)
            }
        }
    }
}

impl fmt::Debug for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostError({self})")
    }
}

impl std::error::Error for HostError {}

#[cfg(test)]
mod tests {
    //! The text an operator reads.

    use super::*;

    #[test]
    fn display_names_the_call_and_the_status() {
        let text = |status| HostError::status("proxy_x", status).to_string();
        assert_eq!(text(2), "proxy_x: BadArgument (2)");
        assert_eq!(text(99), "proxy_x: status unknown to the ABI (99)");
        assert_eq!(HostError::malformed("proxy_y").to_string(), "proxy_y: the host's answer is malformed");
    }
}
