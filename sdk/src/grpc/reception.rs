//! The answer to a gRPC call with one message each way.

use super::GrpcError;
use crate::abi::{self, Buffer};
use crate::bytes::Bytes;
use crate::dispatch::calls::{Event, Receiver, Registration};
use crate::dispatch::tasks::{Awaited, Wait};
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

type Outcome = Result<Bytes, GrpcError>;

/// The future of the answer.
pub(super) struct Waiting {
    unary: Rc<Unary>,
    registration: Registration,
}

pub(super) struct Unary {
    outcome: RefCell<Option<Outcome>>,
    waker: Cell<Option<Waker>>,
    awaited: Awaited,
}

impl Unary {
    pub(super) fn new(wait: Rc<Wait>) -> Self {
        Self { outcome: RefCell::new(None), waker: Cell::new(None), awaited: Awaited::new(wait) }
    }
}

impl Waiting {
    pub(super) fn new(token: u32, unary: Unary) -> Self {
        let unary = Rc::new(unary);
        Self { registration: Registration::new(token, &unary), unary }
    }
}

impl Future for Waiting {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        if let Some(outcome) = self.unary.outcome.take() {
            return Poll::Ready(outcome);
        }
        self.unary.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.unary.awaited.close() {
            // Nobody is left to be told that it cannot be cancelled.
            let _ = abi::calls::grpc_cancel(self.registration.token());
        }
    }
}

impl Receiver for Unary {
    fn receive(&self, event: Event) {
        let outcome = match event {
            Event::GrpcMessage(size) => message(size),
            Event::GrpcClose(code) => Err(closed(code)),
            _ => return,
        };
        self.awaited.close();
        self.outcome.replace(Some(outcome));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The message that is being delivered.
pub(super) fn message(size: usize) -> Outcome {
    if size == 0 {
        return Ok(Bytes::default());
    }
    abi::buffer(Buffer::GrpcMessage, 0, size).map(Option::unwrap_or_default).map_err(GrpcError::refused)
}

/// The status that is being delivered.
pub(super) fn closed(code: u32) -> GrpcError {
    GrpcError::new(code, &abi::calls::status_message().unwrap_or_default())
}
