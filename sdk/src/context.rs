//! Which context host calls act on.

use crate::abi;
use crate::error::HostError;
use std::cell::Cell;

thread_local! {
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
    /// The context that host calls act on: the one whose callback runs, unless another was entered.
    static EFFECTIVE: Cell<Option<u32>> = const { Cell::new(None) };
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
        let before = EFFECTIVE.get();
        switch(self.0)?;
        let result = calls();
        before.map_or(Ok(()), switch)?;
        Ok(result)
    }
}

/// Lets the host calls that follow act on another context, until the callback ends or the next switch.
pub(crate) fn switch(id: u32) -> Result<(), HostError> {
    abi::set_effective_context(id)?;
    EFFECTIVE.set(Some(id));
    Ok(())
}

/// Refuses a call that acts on the context whose callback runs, when another one was entered: the host would take no notice
/// of that (row 9).
pub(crate) fn require_own(call: &'static str) -> Result<(), HostError> {
    let current = CURRENT.get().map(|current| current.id);
    if EFFECTIVE.get() == current { Ok(()) } else { Err(HostError::wrong_context(call)) }
}

/// Notes which context's callback begins now. The host has made it the effective one.
pub(crate) fn begin(id: u32, is_stream: bool) {
    CURRENT.set(Some(Current { id, is_stream }));
    EFFECTIVE.set(Some(id));
}

/// Whether the callback that runs belongs to a stream.
pub(crate) fn is_stream() -> bool {
    CURRENT.get().is_some_and(|current| current.is_stream)
}
