//! Who waits for an entry of a queue.

use super::ids::Ids;
use std::cell::RefCell;
use std::task::Waker;

thread_local! {
    static WAITING: RefCell<Ids<Vec<Waker>>> = const { RefCell::new(Ids::new()) };
}

/// Wakes `waker` when the host tells that the queue has an entry.
pub(crate) fn wait(queue: u32, waker: &Waker) {
    WAITING.with_borrow_mut(|waiting| {
        let mut wakers = waiting.remove(queue).unwrap_or_default();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
        waiting.insert(queue, wakers);
    });
}

pub(super) fn ready(queue: u32) {
    let wakers = WAITING.with_borrow_mut(|waiting| waiting.remove(queue));
    wakers.into_iter().flatten().for_each(Waker::wake);
}
