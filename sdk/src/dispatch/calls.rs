//! Open callouts by token: to whom an answer goes.

use super::ids::Ids;
use std::cell::RefCell;
use std::rc::Rc;

thread_local! {
    static OPEN: RefCell<Ids<Rc<dyn Receiver>>> = const { RefCell::new(Ids::new()) };
}

/// What comes for a callout. What it speaks of can be read only while it is delivered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// The response; without headers there is none.
    Response {
        headers: usize,
        body: usize,
        trailers: usize,
    },
    GrpcInitialMetadata,
    GrpcMessage(usize),
    GrpcTrailingMetadata,
    GrpcClose(u32),
}

/// Who waits for a callout.
pub(crate) trait Receiver {
    fn receive(&self, event: Event);
}

/// A place in the list of open callouts, until it is dropped.
pub(crate) struct Registration(u32);

impl Registration {
    pub(crate) fn new<R: Receiver + 'static>(token: u32, receiver: &Rc<R>) -> Self {
        let receiver: Rc<R> = receiver.clone();
        OPEN.with_borrow_mut(|open| open.insert(token, receiver));
        Self(token)
    }

    pub(crate) fn token(&self) -> u32 {
        self.0
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // While a thread ends, the list may be gone before what it lists.
        let _ = OPEN.try_with(|open| open.borrow_mut().remove(self.0));
    }
}

/// Hands an event to who waits for it; what nobody waits for any more is dropped.
pub(crate) fn deliver(token: u32, event: Event) {
    // There is one response, and a gRPC call may hear more.
    let receiver = match event {
        Event::Response { .. } => OPEN.with_borrow_mut(|open| open.remove(token)),
        _ => OPEN.with_borrow(|open| open.get(token).cloned()),
    };
    if let Some(receiver) = receiver {
        receiver.receive(event);
    }
}
