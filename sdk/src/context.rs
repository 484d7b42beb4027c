//! Which context host calls act on.

use crate::abi;
use crate::error::HostError;
use std::cell::Cell;

thread_local! {
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Current {
    id: u32,
    is_stream: bool,
}

/// A context of the proxy: a plugin's root, or one stream.
///
/// Host calls act on the context whose callback runs. A plugin that keeps the id of another context can act on that one for
/// a moment with [`enter`](Self::enter).
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn path_of(stream: ContextId, headers: &Headers<'_>) -> Result<Option<Bytes>, HostError> {
///     stream.enter(|| headers.first(":path"))?
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContextId(u32);

impl ContextId {
    /// The context whose callback runs; `None` outside of callbacks.
    ///
    /// ```
    /// # use proxy_wasm_kit::ContextId;
    /// assert_eq!(ContextId::current(), None);
    /// ```
    pub fn current() -> Option<Self> {
        CURRENT.get().map(|current| Self(current.id))
    }

    /// Runs `calls` with the host calls in it acting on this context, then returns to the one before.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn label(stream: ContextId) -> Result<(), HostError> {
    ///     stream.enter(|| proxy_wasm_kit::set_filter_state("label", "late"))?
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// There is no such context (any more): `proxy_set_effective_context` failed, and `calls` did not run.
    pub fn enter<T>(self, calls: impl FnOnce() -> T) -> Result<T, HostError> {
        abi::set_effective_context(self.0)?;
        let result = calls();
        if let Some(current) = Self::current() {
            abi::set_effective_context(current.0)?;
        }
        Ok(result)
    }
}

/// Notes which context's callback begins now. The host has made it the effective one.
pub(crate) fn begin(id: u32, is_stream: bool) {
    CURRENT.set(Some(Current { id, is_stream }));
}

/// Whether the callback that runs belongs to a stream.
pub(crate) fn is_stream() -> bool {
    CURRENT.get().is_some_and(|current| current.is_stream)
}
