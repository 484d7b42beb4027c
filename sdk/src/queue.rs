//! Queues between plugins and workers: what one puts in, one other takes out.

use crate::abi::shared as abi;
use crate::bytes::Bytes;
use crate::dispatch::queues;
use crate::error::HostError;
use std::future::poll_fn;
use std::task::Poll;

/// A queue of the proxy, for entries of bytes.
///
/// It belongs to the whole process. [`Root::queue`](crate::Root::queue) registers one, and whoever registers its name last
/// is told of new entries ([`next`](Self::next)); since every worker configures the plugin, that is the worker that came last. A
/// plugin in another VM finds it by [`resolve`](Self::resolve). Neither length nor entries are bounded by the proxy.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn report(events: Queue, path: &Bytes) -> Result<(), HostError> {
///     events.enqueue(path)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Queue(u32);

impl Queue {
    pub(crate) fn register(name: &str) -> Result<Self, HostError> {
        abi::register_queue(name).map(Self)
    }

    /// The queue that a plugin with this VM id registered under this name; `None` when none did so far. An empty VM id is
    /// that of this VM.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn send(entry: &[u8]) -> Result<bool, HostError> {
    ///     let Some(queue) = Queue::resolve("collector", "events")? else { return Ok(false) };
    ///     queue.enqueue(entry).map(|()| true)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_resolve_shared_queue` failed.
    pub fn resolve(vm_id: &str, name: &str) -> Result<Option<Self>, HostError> {
        Ok(abi::resolve_queue(vm_id, name)?.map(Self))
    }

    /// Puts an entry at the end.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn note(queue: Queue, what: &str) -> Result<(), HostError> {
    ///     queue.enqueue(what)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_enqueue_shared_queue` failed.
    pub fn enqueue(&self, entry: impl AsRef<[u8]>) -> Result<(), HostError> {
        abi::enqueue(self.0, entry.as_ref())
    }

    /// Takes the first entry; `None` when there is none. The proxy tells of each new entry once, and other workers take
    /// entries too: take until there are none.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn drain(queue: Queue) -> Result<usize, HostError> {
    ///     let mut count = 0_usize;
    ///     while let Some(entry) = queue.dequeue()? {
    ///         log::info!("{entry:?}");
    ///         count = count.saturating_add(1);
    ///     }
    ///     Ok(count)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_dequeue_shared_queue` failed.
    pub fn dequeue(&self) -> Result<Option<Bytes>, HostError> {
        abi::dequeue(self.0)
    }

    /// Takes the first entry; waits for one when there is none. For a task of the plugin that registered the queue.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn collect(root: &Root) -> Result<(), HostError> {
    ///     let events = root.queue("events")?;
    ///     root.spawn(async move {
    ///         loop {
    ///             log::info!("{:?}", events.next().await?);
    ///         }
    ///     });
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_dequeue_shared_queue` failed.
    pub async fn next(&self) -> Result<Bytes, HostError> {
        let mut place = None;
        poll_fn(|context| {
            // Listened to before it is asked: the proxy tells of each entry once.
            queues::wait(self.0, &mut place, context.waker());
            match self.dequeue() {
                Ok(None) => Poll::Pending,
                Ok(Some(entry)) => Poll::Ready(Ok(entry)),
                Err(error) => Poll::Ready(Err(error)),
            }
        })
        .await
    }
}
