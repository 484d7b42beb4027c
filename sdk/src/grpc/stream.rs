//! A gRPC stream.

use super::GrpcError;
use super::reception::{closed, message};
use crate::abi::{self, Map};
use crate::bytes::Bytes;
use crate::dispatch::calls::{Event, Receiver, Registration};
use crate::headers::Snapshot;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// A gRPC stream to a service, given by [`GrpcService::stream`](crate::GrpcService::stream). Dropped before its end, it is
/// cancelled.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// # async fn hook(service: GrpcService) -> Result<()> {
/// let mut stream = service.stream("Upload")?;
/// stream.send(b"one")?;
/// stream.send(b"two")?;
/// stream.finish()?;
/// let receipt = stream.next().await?;
/// # Ok(()) }
/// ```
pub struct GrpcStream {
    incoming: Rc<Incoming>,
    registration: Registration,
}

#[derive(Default)]
struct Incoming {
    messages: RefCell<VecDeque<Result<Bytes, GrpcError>>>,
    initial: RefCell<Option<Snapshot>>,
    trailing: RefCell<Option<Snapshot>>,
    /// 0 is success.
    end: RefCell<Option<Result<(), GrpcError>>>,
    is_over: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl GrpcStream {
    pub(super) fn new(token: u32) -> Self {
        let incoming = Rc::<Incoming>::default();
        Self { registration: Registration::new(token, &incoming), incoming }
    }

    /// Sends a message.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn report(stream: &mut GrpcStream, entry: &[u8]) -> Result<(), GrpcError> {
    ///     stream.send(entry)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The stream is over.
    pub fn send(&mut self, message: impl AsRef<[u8]>) -> Result<(), GrpcError> {
        let sent = abi::calls::grpc_send(self.registration.token(), message.as_ref(), false);
        sent.map_err(GrpcError::refused)
    }

    /// Sends a last message and says that nothing more comes from here.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn close(stream: &mut GrpcStream) -> Result<(), GrpcError> {
    ///     stream.send_last(b"bye")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The stream is over.
    pub fn send_last(&mut self, message: impl AsRef<[u8]>) -> Result<(), GrpcError> {
        let sent = abi::calls::grpc_send(self.registration.token(), message.as_ref(), true);
        sent.map_err(GrpcError::refused)
    }

    /// Sends a prost message. Needs the feature `prost`.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn subscribe(stream: &mut GrpcStream, topic: String) -> Result<(), GrpcError> {
    ///     stream.send_message(&topic) // a google.protobuf.StringValue
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The stream is over.
    #[cfg(feature = "prost")]
    pub fn send_message(&mut self, message: &impl prost::Message) -> Result<(), GrpcError> {
        self.send(message.encode_to_vec())
    }

    /// Says that nothing more comes from here; what the server sends can still be received.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn close(stream: &mut GrpcStream) -> Result<(), GrpcError> {
    ///     stream.finish()
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The stream is over.
    pub fn finish(&mut self) -> Result<(), GrpcError> {
        abi::calls::grpc_close(self.registration.token()).map_err(GrpcError::refused)
    }

    /// Waits for the next message; `None` when the server has ended the stream with success.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// async fn count(mut stream: GrpcStream) -> Result<usize, GrpcError> {
    ///     let mut count = 0_usize;
    ///     while stream.next().await?.is_some() {
    ///         count = count.saturating_add(1);
    ///     }
    ///     Ok(count)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The stream ended with another status than success. Messages that came before are received first.
    pub async fn next(&mut self) -> Result<Option<Bytes>, GrpcError> {
        poll_fn(|context| {
            if let Some(message) = self.incoming.messages.borrow_mut().pop_front() {
                return Poll::Ready(message.map(Some));
            }
            if let Some(end) = &*self.incoming.end.borrow() {
                return Poll::Ready(end.clone().map(|()| None));
            }
            self.incoming.waker.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await
    }

    /// Waits for the next prost message, as [`next`](Self::next). Needs the feature `prost`.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// async fn first(mut stream: GrpcStream) -> Result<Option<String>, GrpcError> {
    ///     stream.next_message().await // a google.protobuf.StringValue
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As `next`; a message that is no `M` is an error with code 13.
    #[cfg(feature = "prost")]
    pub async fn next_message<M: prost::Message + Default>(&mut self) -> Result<Option<M>, GrpcError> {
        let message = self.next().await?;
        message.map(|bytes| M::decode(&*bytes).map_err(|error| GrpcError::malformed(&error))).transpose()
    }

    /// The initial metadata, once it is there: with the first message at the latest.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn server(stream: &GrpcStream) -> Option<Snapshot> {
    ///     stream.initial_metadata()
    /// }
    /// ```
    pub fn initial_metadata(&self) -> Option<Snapshot> {
        self.incoming.initial.borrow().clone()
    }

    /// The trailing metadata, once the server has ended the stream.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn statistics(stream: &GrpcStream) -> Option<Snapshot> {
    ///     stream.trailing_metadata()
    /// }
    /// ```
    pub fn trailing_metadata(&self) -> Option<Snapshot> {
        self.incoming.trailing.borrow().clone()
    }
}

impl Drop for GrpcStream {
    fn drop(&mut self) {
        if !self.incoming.is_over.get() {
            // Nobody is left to be told that it cannot be cancelled.
            let _ = abi::calls::grpc_cancel(self.registration.token());
        }
    }
}

impl Incoming {
    fn close(&self, code: u32) {
        self.is_over.set(true);
        let end = match (code, &*self.trailing.borrow()) {
            (0, _) => Ok(()),
            (code, Some(trailers)) => Err(closed(code).with_details(trailers)),
            (code, None) => Err(closed(code)),
        };
        self.end.replace(Some(end));
    }
}

/// The metadata that is being delivered.
fn metadata(map: Map) -> Option<Snapshot> {
    let wire = abi::map_pairs(map).ok()?;
    Snapshot::new(wire, "proxy_get_header_map_pairs").ok()
}

impl Receiver for Incoming {
    fn receive(&self, event: Event) {
        match event {
            Event::GrpcInitialMetadata => drop(self.initial.replace(metadata(Map::GrpcInitialMetadata))),
            Event::GrpcTrailingMetadata => drop(self.trailing.replace(metadata(Map::GrpcTrailingMetadata))),
            Event::GrpcMessage(size) => self.messages.borrow_mut().push_back(message(size)),
            Event::GrpcClose(code) => self.close(code),
            Event::Response { .. } => return,
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
