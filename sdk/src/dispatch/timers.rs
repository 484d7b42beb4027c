//! The timers of one root. The host has a single one per root and worker; all waits share it.

use super::clock;
use super::tasks::AT_ONCE;
use crate::abi::calls as abi;
use crate::error::HostError;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::Waker;

/// When, and which of those that are due then.
type Key = (u64, u32);

const MILLISECOND: u64 = 1_000_000;

/// What waits for a time, and the host's timer.
#[derive(Default)]
pub(crate) struct Timers {
    waiting: RefCell<BTreeMap<Key, Waker>>,
    next: Cell<u32>,
    armed: Cell<Option<Armed>>,
}

#[derive(Clone, Copy)]
struct Armed {
    due: u64,
    /// The host arms itself again with it.
    milliseconds: u32,
}

/// One wait; dropping it ends the wait.
pub(crate) struct Timer {
    timers: Rc<Timers>,
    key: Key,
}

impl Timer {
    /// Wakes at `due`; `now` is the present time. Arms the host's timer if that would fire later.
    pub(crate) fn new(timers: &Rc<Timers>, now: u64, due: u64, waker: &Waker) -> Result<Self, HostError> {
        if timers.is_late_for(now, due) {
            timers.arm(now, due)?;
        }
        Ok(Self::armed(timers, due, waker))
    }

    /// A wait for which the host's timer is in time.
    pub(super) fn armed(timers: &Rc<Timers>, due: u64, waker: &Waker) -> Self {
        let number = timers.next.get();
        timers.next.set(number.wrapping_add(1));
        let key = (due, number);
        timers.waiting.borrow_mut().insert(key, waker.clone());
        Self { timers: timers.clone(), key }
    }

    /// Whether the time has come. If not, `waker` is the one to wake.
    pub(crate) fn is_over(&self, waker: &Waker) -> bool {
        match self.timers.waiting.borrow_mut().get_mut(&self.key) {
            None => true,
            Some(known) => {
                known.clone_from(waker);
                false
            }
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.timers.waiting.borrow_mut().remove(&self.key);
    }
}

impl Timers {
    /// Whether the host's timer, which fires a millisecond after it was armed at the earliest, could fire sooner.
    pub(super) fn is_late_for(&self, now: u64, due: u64) -> bool {
        let soonest = due.max(now.saturating_add(MILLISECOND));
        self.armed.get().is_none_or(|armed| armed.due > soonest)
    }

    pub(super) fn arm(&self, now: u64, due: u64) -> Result<(), HostError> {
        let milliseconds = due.saturating_sub(now).div_ceil(MILLISECOND).max(1);
        let milliseconds = u32::try_from(milliseconds).unwrap_or(u32::MAX);
        let repeats =
            self.armed.get().is_some_and(|armed| armed.milliseconds == milliseconds && armed.due <= now);
        if !repeats {
            abi::set_tick_period(milliseconds)?;
        }
        let due = now.saturating_add(u64::from(milliseconds).saturating_mul(MILLISECOND));
        self.armed.set(Some(Armed { due, milliseconds }));
        Ok(())
    }

    /// The host's timer has fired: wakes what is due, or of many those that waited longest.
    pub(super) fn fire(&self) -> Result<(), HostError> {
        let now = clock::now_after(self.armed.get().map_or(0, |armed| armed.due))?;
        for _ in 0..AT_ONCE {
            // Not held while something is woken.
            let due = self
                .waiting
                .borrow_mut()
                .first_entry()
                .filter(|entry| entry.key().0 <= now)
                .map(|entry| entry.remove());
            match due {
                Some(waker) => waker.wake(),
                None => break,
            }
        }
        Ok(())
    }

    /// After a tick: the host's timer for what is next, or none.
    pub(super) fn rearm(&self) -> Result<(), HostError> {
        let next = self.waiting.borrow().first_key_value().map(|((due, _), _)| *due);
        match (next, self.armed.get()) {
            (None, None) => Ok(()),
            (None, Some(_)) => {
                self.armed.set(None);
                abi::set_tick_period(0)
            }
            (Some(due), _) => self.arm(clock::now()?, due),
        }
    }
}
