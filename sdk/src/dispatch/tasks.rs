//! Tasks: futures that a stream or a plugin waits for.
//!
//! One is polled where it is made. If it is not ready then, it is polled again whenever something it waits for has woken
//! it, at the end of the callback that did so; it ends with its owner. Everything here happens on one thread.

use super::clock;
use super::timers::{Timer, Timers};
use crate::context;
use crate::error::HostError;
use crate::extension::Result;
use crate::failure::Error;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

type Work = Pin<Box<dyn Future<Output = Result>>>;

thread_local! {
    static OWNERS: RefCell<BTreeMap<u32, Weak<dyn Owner>>> = const { RefCell::new(BTreeMap::new()) };
    static READY: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u32> = const { Cell::new(0) };
    /// The task that is being polled.
    static CURRENT: RefCell<Option<Rc<Wait>>> = const { RefCell::new(None) };
}

/// Who keeps tasks: a stream, or a root.
pub(super) trait Owner {
    fn place(&self) -> Place;

    fn timers(&self) -> &Rc<Timers>;

    /// Polls the task, if it is still there. The owner's context is the effective one.
    fn poll(self: Rc<Self>, task: u32);

    /// Wakes the task by the next tick of its root. Reached only where there are tasks: pruning drops it with the tick.
    fn put_off(&self, task: u32) -> Result<(), HostError> {
        let now = clock::now()?;
        context::within(self.place().root, false, || {
            self.timers().wake_soon(now, &Waker::from(Arc::new(TaskWaker(task))))
        })?
    }
}

/// A context that tasks are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) root: u32,
    pub(super) stream: Option<u32>,
}

impl Place {
    /// Whether tasks of `owner` can be polled in a callback of this context. An answer goes to the context in whose callback
    /// the call was made; a stream that ends would take those of others with it.
    fn serves(self, owner: Self) -> bool {
        self.root == owner.root && (self.stream.is_none() || self.stream == owner.stream)
    }
}

/// A future with all that it waits for.
pub(super) struct Task {
    pub(super) id: u32,
    pub(super) wait: Rc<Wait>,
    work: Work,
    waker: Waker,
    timer: Option<Timer>,
}

/// What a task's futures have to know about it.
pub(crate) struct Wait {
    pub(crate) timers: Rc<Timers>,
    limit: Option<Duration>,
    /// Known since the task had to wait.
    deadline: Cell<Option<u64>>,
    /// How many callouts are open that end before the deadline: they wake the task in time.
    calls: Cell<u32>,
    pub(crate) message: Message,
}

/// What has arrived of the message that the task holds.
#[derive(Default)]
pub(crate) struct Message {
    pub(crate) arrived: Cell<Extent>,
    /// What of it the task has looked at.
    pub(crate) seen: Cell<Extent>,
    /// A body callback came while the task held the headers back.
    pub(super) body: Cell<bool>,
    pub(super) trailers: Cell<bool>,
    pub(crate) waker: Cell<Option<Waker>>,
}

/// How much of a body there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) size: usize,
    /// Nothing of the body follows.
    pub(crate) end: bool,
}

struct TaskWaker(u32);

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // While a thread ends, there is nobody left to wake.
        let _ = READY.try_with(|ready| {
            let mut ready = ready.borrow_mut();
            if !ready.contains(&self.0) {
                ready.push(self.0);
            }
        });
    }
}

impl Task {
    pub(super) fn new(timers: &Rc<Timers>, work: Work, limit: Option<Duration>) -> Self {
        let id = NEXT.get();
        NEXT.set(id.wrapping_add(1));
        let wait = Wait {
            timers: timers.clone(),
            limit,
            deadline: Cell::new(None),
            calls: Cell::new(0),
            message: Message::default(),
        };
        let waker = Waker::from(Arc::new(TaskWaker(id)));
        Self { id, wait: Rc::new(wait), work, waker, timer: None }
    }

    /// Lets the task be polled when it is woken.
    pub(super) fn keep(&self, owner: Weak<dyn Owner>) {
        OWNERS.with_borrow_mut(|owners| owners.insert(self.id, owner));
    }

    /// Wakes the task itself.
    pub(super) fn wake(&self) {
        self.waker.wake_by_ref();
    }

    pub(super) fn poll(&mut self) -> Poll<Result> {
        let outer = CURRENT.replace(Some(self.wait.clone()));
        let polled = self.work.as_mut().poll(&mut Context::from_waker(&self.waker));
        CURRENT.set(outer);
        match polled {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => {
                self.watch_deadline().map_or_else(|error| Poll::Ready(Err(error)), |()| Poll::Pending)
            }
        }
    }

    /// Sees to it that the task is woken at its deadline at the latest.
    fn watch_deadline(&mut self) -> Result<()> {
        let Some(limit) = self.wait.limit else { return Ok(()) };
        if self.timer.as_ref().is_some_and(|timer| timer.is_over(&self.waker)) {
            return Err(Error::elapsed(limit));
        }
        let served = self.timer.is_some() || self.wait.calls.get() > 0;
        if served && self.wait.deadline.get().is_some() {
            return Ok(());
        }
        let now = clock::now()?;
        let deadline = self.wait.deadline.get().unwrap_or_else(|| now.saturating_add(nanoseconds(limit)));
        self.wait.deadline.set(Some(deadline));
        if !served {
            self.timer = Some(Timer::new(&self.wait.timers, now, deadline, &self.waker)?);
        }
        Ok(())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let _ = OWNERS.try_with(|owners| owners.borrow_mut().remove(&self.id));
    }
}

impl Wait {
    /// What is left until the deadline; `None` when there is none.
    pub(crate) fn left(&self) -> Result<Option<Duration>, HostError> {
        match (self.limit, self.deadline.get()) {
            (None, _) => Ok(None),
            (limit, None) => Ok(limit),
            (_, Some(deadline)) => Ok(Some(Duration::from_nanos(deadline.saturating_sub(clock::now()?)))),
        }
    }
}

/// A call that wakes its task before the deadline, until it is answered or dropped.
pub(crate) struct Awaited {
    wait: Rc<Wait>,
    is_open: Cell<bool>,
}

impl Awaited {
    pub(crate) fn new(wait: Rc<Wait>) -> Self {
        wait.calls.set(wait.calls.get().saturating_add(1));
        Self { wait, is_open: Cell::new(true) }
    }

    /// Whether it was open until now.
    pub(crate) fn close(&self) -> bool {
        let was_open = self.is_open.replace(false);
        if was_open {
            self.wait.calls.set(self.wait.calls.get().saturating_sub(1));
        }
        was_open
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.close();
    }
}

pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The task that is being polled; `None` where somebody else polls one of our futures.
pub(crate) fn current() -> Option<Rc<Wait>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Tasks that keep waking each other are put off after so many rounds, so that the proxy comes to do something else.
const ROUNDS: usize = 64;

/// Polls what has been woken, at the end of a callback of `here`; what cannot be polled here is polled by a tick.
pub(super) fn run(here: Place) {
    for round in 0..=ROUNDS {
        let ready = READY.take();
        if ready.is_empty() {
            return;
        }
        for task in ready {
            let owner = OWNERS.with_borrow(|owners| owners.get(&task).and_then(Weak::upgrade));
            let Some(owner) = owner else { continue };
            let result = if here.serves(owner.place()) && round < ROUNDS {
                let Place { root, stream } = owner.place();
                context::within(stream.unwrap_or(root), stream.is_some(), || owner.poll(task))
            } else {
                owner.put_off(task)
            };
            if let Err(error) = result {
                log::error!("a task cannot be continued: {error}");
            }
        }
    }
}
