//! A value that one task refreshes and many streams read.

use crate::dispatch::waiters::Waiters;
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// A value that comes later and changes: keys, a policy, a list. A clone is the same value.
///
/// A task of the root sets it, [`Root::watch`](crate::Root::watch) in the simplest case; streams [`get`](Self::get) what is
/// there, or wait for the first [`value`](Self::value). Each worker has its own.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// struct Gate(Watch<Vec<String>>);
///
/// impl HttpFilter for Gate {
///     fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
///         let tenants = self.0.clone();
///         Ok(request.later(async move |held| {
///             let tenants = tenants.value().await;
///             let tenant = held.headers().first("x-tenant")?.unwrap_or_default();
///             let known = tenants.iter().any(|known| tenant == known.as_str());
///             Ok(if known { Flow::Continue } else { Flow::Reply(Response::new(403)) })
///         }))
///     }
/// }
/// ```
pub struct Watch<T>(Rc<Inner<T>>);

struct Inner<T> {
    value: RefCell<Option<Rc<T>>>,
    waiters: Waiters,
}

impl<T> Watch<T> {
    /// A value that is not there yet.
    ///
    /// ```
    /// # use proxy_wasm_kit::Watch;
    /// let keys = Watch::<String>::new();
    /// assert_eq!(keys.get(), None);
    /// ```
    pub fn new() -> Self {
        Self(Rc::new(Inner { value: RefCell::default(), waiters: Waiters::default() }))
    }

    /// Sets the value, and lets go on who waits for one.
    ///
    /// ```
    /// # use proxy_wasm_kit::Watch;
    /// let keys = Watch::new();
    /// keys.set("k1");
    /// assert_eq!(keys.get().as_deref(), Some(&"k1"));
    /// ```
    pub fn set(&self, value: T) {
        // The old one is not dropped while the cell is held.
        drop(self.0.value.replace(Some(Rc::new(value))));
        self.0.waiters.wake();
    }

    /// The value as it is now; `None` when there has been none yet.
    ///
    /// ```
    /// # use proxy_wasm_kit::Watch;
    /// fn is_ready(keys: &Watch<String>) -> bool {
    ///     keys.get().is_some()
    /// }
    /// ```
    pub fn get(&self) -> Option<Rc<T>> {
        self.0.value.borrow().clone()
    }

    /// The value; waits for the first one. Only the deadline of what waits limits the wait.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # async fn hook(keys: Watch<Vec<String>>) {
    /// let keys = keys.value().await;
    /// # }
    /// ```
    pub async fn value(&self) -> Rc<T> {
        let mut place = None;
        poll_fn(|context| match self.get() {
            Some(value) => Poll::Ready(value),
            None => {
                self.0.waiters.wait(&mut place, context.waker());
                Poll::Pending
            }
        })
        .await
    }
}

impl<T> Default for Watch<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Watch<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
