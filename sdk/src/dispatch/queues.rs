//! Who waits for an entry of a queue.

use super::ids::Ids;
use super::waiters::{Waiters, Waiting};
use std::cell::RefCell;
use std::task::Waker;

thread_local! {
    static WAITERS: RefCell<Ids<Waiters>> = const { RefCell::new(Ids::new()) };
}

/// Wakes `waker` when the host tells that the queue has an entry.
pub(crate) fn wait(queue: u32, place: &mut Option<Waiting>, waker: &Waker) {
    let known = WAITERS.with_borrow(|all| all.get(queue).cloned());
    let waiters = known.unwrap_or_else(|| {
        let new = Waiters::default();
        WAITERS.with_borrow_mut(|all| all.insert(queue, new.clone()));
        new
    });
    waiters.wait(place, waker);
}

pub(super) fn ready(queue: u32) {
    let waiters = WAITERS.with_borrow(|all| all.get(queue).cloned());
    if let Some(waiters) = waiters {
        waiters.wake();
    }
}
