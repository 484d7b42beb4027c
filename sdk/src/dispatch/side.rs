//! One direction of a stream: the task that holds its message, and what of the message came meanwhile.

use super::tasks::{Extent, Message, Task};
use std::cell::{Cell, RefCell};

/// The parts of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Headers,
    Body,
    Trailers,
}

#[derive(Default)]
pub(super) struct Side {
    task: RefCell<Option<(Phase, Task)>>,
    /// One of its callbacks runs: what releases the message is the action that it returns.
    pub(super) inside: Cell<bool>,
    pub(super) released: Cell<bool>,
}

impl Side {
    pub(super) fn put(&self, phase: Phase, task: Task) {
        // What was there is not dropped before the cell is free again.
        let _old = self.task.replace(Some((phase, task)));
    }

    pub(super) fn take(&self) -> Option<(Phase, Task)> {
        self.task.take()
    }

    pub(super) fn take_if(&self, id: u32) -> Option<(Phase, Task)> {
        let mut task = self.task.borrow_mut();
        if task.as_ref().is_some_and(|(_, task)| task.id() == id) { task.take() } else { None }
    }

    /// Whether a task holds the message; it is then told what has come.
    pub(super) fn arrives(&self, phase: Phase, extent: Extent) -> bool {
        if phase == Phase::Headers {
            // Another message takes the place of the one that is held: the proxy answers by itself.
            drop(self.take());
            return false;
        }
        let held = self.task.borrow();
        let Some((holding, task)) = &*held else { return false };
        let message = &task.message;
        if phase == Phase::Body {
            message.body.set(true);
            message.arrived.set(extent);
        } else {
            message.trailers.set(true);
            message.arrived.set(Extent { end: true, ..message.arrived.get() });
        }
        if *holding == Phase::Body
            && let Some(waker) = message.waker.take()
        {
            waker.wake();
        }
        true
    }
}

impl Message {
    /// Goes on where another task of the message has ended.
    pub(super) fn continues(&self, before: &Self) {
        self.arrived.set(before.arrived.get());
        self.seen.set(before.seen.get());
        self.body.set(before.body.get());
        self.trailers.set(before.trailers.get());
    }

    /// As before a task. How much there is its stream tells each task.
    pub(super) fn clear(&self) {
        self.body.set(false);
        self.trailers.set(false);
        self.waker.take();
    }

    /// Whether there is a part of the body that neither a hook nor a task has seen.
    pub(super) fn has_unseen_body(&self, phase: Phase) -> bool {
        let (arrived, seen) = (self.arrived.get(), self.seen.get());
        match phase {
            Phase::Headers => self.body.get(),
            // An end that trailers bring is told to their hook.
            Phase::Body => arrived.size != seen.size || (arrived.end != seen.end && !self.trailers.get()),
            Phase::Trailers => false,
        }
    }
}
