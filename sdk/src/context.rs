//! Which context host calls act on.

use crate::abi;
use crate::error::HostError;
use std::cell::Cell;

thread_local! {
    static CURRENT: Cell<Option<Current>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Current {
    /// What host calls act on.
    id: u32,
    is_stream: bool,
    /// The context whose callback runs; an answer to a stream's callout comes in a callback of the root.
    entered: u32,
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
pub struct ContextId {
    id: u32,
    is_stream: bool,
}

impl ContextId {
    /// The context that host calls act on now; `None` outside of callbacks.
    ///
    /// ```
    /// # use proxy_wasm_kit::ContextId;
    /// assert_eq!(ContextId::current(), None);
    /// ```
    pub fn current() -> Option<Self> {
        CURRENT.get().map(|Current { id, is_stream, .. }| Self { id, is_stream })
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
        within(self.id, self.is_stream, calls)
    }
}

/// Refuses a call that acts on the context whose callback runs, when another one was entered: the host would take no notice
/// of that (row 9).
pub(crate) fn require_own(call: &'static str) -> Result<(), HostError> {
    let own = CURRENT.get().is_none_or(|current| current.id == current.entered);
    if own { Ok(()) } else { Err(HostError::wrong_context(call)) }
}

/// Notes which context's callback begins now. The host has made it the effective one.
pub(crate) fn begin(id: u32, is_stream: bool) {
    CURRENT.set(Some(Current { id, is_stream, entered: id }));
}

/// Notes that an answer for this context begins, in a callback of the root; the door has made it the effective one.
pub(crate) fn begin_answer(id: u32, is_stream: bool, root: u32) {
    CURRENT.set(Some(Current { id, is_stream, entered: root }));
}

/// Whether the callback that runs belongs to a stream.
pub(crate) fn is_stream() -> bool {
    CURRENT.get().is_some_and(|current| current.is_stream)
}

/// Host calls act on this context until the callback ends, which spares the way back.
pub(crate) fn go_to(id: u32, is_stream: bool) -> Result<(), HostError> {
    let before = CURRENT.get();
    if before.is_none_or(|current| current.id != id) {
        abi::set_effective_context(id)?;
        let entered = before.map_or(id, |current| current.entered);
        CURRENT.set(Some(Current { id, is_stream, entered }));
    }
    Ok(())
}

/// Runs `calls` on behalf of another context, then returns to the one before.
pub(crate) fn within<T>(id: u32, is_stream: bool, calls: impl FnOnce() -> T) -> Result<T, HostError> {
    let before = CURRENT.get();
    if before.is_some_and(|current| current.id == id) {
        return Ok(calls());
    }
    abi::set_effective_context(id)?;
    CURRENT.set(Some(Current { id, is_stream, entered: before.map_or(id, |current| current.entered) }));
    let result = calls();
    CURRENT.set(before);
    before.map_or(Ok(()), |current| abi::set_effective_context(current.id))?;
    Ok(result)
}
