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
use std::ops::Deref;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

type Work = Pin<Box<dyn Future<Output = Result>>>;

thread_local! {
    static SEATS: RefCell<Seats> = const { RefCell::new(Seats { all: Vec::new(), free: Vec::new() }) };
    static READY: RefCell<Vec<Rc<Wait>>> = const { RefCell::new(Vec::new()) };
    /// The task that is being polled.
    static CURRENT: RefCell<Option<Rc<Wait>>> = const { RefCell::new(None) };
}

/// The tasks that there are, each in a seat whose number is the task's. Seats are used again, and so are their wakers: one
/// that somebody kept wakes whoever sits there now, and to be polled once more does a task no harm.
struct Seats {
    all: Vec<Rc<Wait>>,
    free: Vec<u32>,
}

impl Seats {
    /// A seat in which nobody sits and which nobody looks at.
    fn take(&mut self) -> Rc<Wait> {
        if let Some(id) = self.free.pop()
            && let Some(seat) = self.get_mut(id)
        {
            if Rc::strong_count(seat) > 1 {
                *seat = Rc::new(Wait::new(id, seat.waker.clone()));
            }
            return seat.clone();
        }
        // More than there are numbers do not fit into the memory.
        let id = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let seat = Rc::new(Wait::new(id, Waker::from(Arc::new(TaskWaker(id)))));
        self.all.push(seat.clone());
        seat
    }

    fn get(&self, id: u32) -> Option<&Rc<Wait>> {
        self.all.get(usize::try_from(id).ok()?)
    }

    fn get_mut(&mut self, id: u32) -> Option<&mut Rc<Wait>> {
        self.all.get_mut(usize::try_from(id).ok()?)
    }
}

/// Who keeps tasks: a stream, or a root.
pub(super) trait Owner {
    fn place(&self) -> Place;

    fn timers(&self) -> &Rc<Timers>;

    /// Polls the task, if it is still there. The owner's context is the effective one.
    fn poll(self: Rc<Self>, task: u32);

    /// Wakes the task by one of the next ticks of its root, first come, first served; `now` is known from the first one that
    /// is put off. Reached only where there are tasks: pruning drops it with the tick.
    fn put_off(&self, task: &Wait, now: &mut Option<u64>) -> Result<(), HostError> {
        if task.has_turn() {
            return Ok(());
        }
        let now = match *now {
            Some(now) => now,
            None => *now.insert(clock::now()?),
        };
        let timers = self.timers();
        if timers.is_late_for(now, now) {
            context::within(self.place().root, false, || timers.arm(now, now))??;
        }
        task.turn.set(Some(Timer::armed(timers, now, &task.waker)));
        Ok(())
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

/// A future with all that it waits for: a seat that is left when this is dropped.
pub(super) struct Task(Rc<Wait>);

/// A task in its seat, and what its futures have to know about it.
pub(crate) struct Wait {
    id: u32,
    waker: Waker,
    owner: RefCell<Option<Weak<dyn Owner>>>,
    work: Cell<Option<Work>>,
    limit: Cell<Option<Limit>>,
    timer: Cell<Option<Timer>>,
    /// When the task was put off: until then it need not be put off again.
    turn: Cell<Option<Timer>>,
    /// Known when the task had to wait for something that has no end of its own.
    deadline: Cell<Option<u64>>,
    /// How many callouts are open that end before the deadline: they wake the task in time.
    calls: Cell<u32>,
    has_waited: Cell<bool>,
    is_woken: Cell<bool>,
    pub(crate) message: Message,
}

/// How long a task may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) time: Duration,
    /// From the start to the millisecond, which asks the proxy for the time. Otherwise from the first answer on, if the task
    /// began with callouts, which have time-outs of their own.
    pub(crate) is_exact: bool,
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
        let _ = SEATS.try_with(|seats| seats.borrow().get(self.0).map(|task| task.wake()));
    }
}

impl Task {
    pub(super) fn new(owner: Weak<dyn Owner>, work: Work, limit: Option<Limit>) -> Self {
        let wait = SEATS.with_borrow_mut(Seats::take);
        *wait.owner.borrow_mut() = Some(owner);
        wait.work.set(Some(work));
        wait.limit.set(limit);
        Self(wait)
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Its result stays in its place: an answer is not moved around.
    pub(super) fn poll<T>(&self, then: impl FnOnce(&mut Poll<Result>) -> T) -> T {
        let outer = CURRENT.with(|current| current.replace(Some(self.0.clone())));
        let mut polled = self.poll_work();
        CURRENT.with(|current| current.replace(outer));
        if polled.is_pending()
            && let Err(error) = self.watch_deadline()
        {
            polled = Poll::Ready(Err(error));
        }
        then(&mut polled)
    }

    fn poll_work(&self) -> Poll<Result> {
        // It is nowhere else meanwhile: nobody polls a task that is being polled.
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        let polled = work.as_mut().poll(&mut Context::from_waker(&self.waker));
        self.work.set(Some(work));
        polled
    }

    /// Sees to it that the task is woken at its deadline at the latest.
    fn watch_deadline(&self) -> Result<()> {
        let Some(limit) = self.limit.get() else { return Ok(()) };
        let is_called = self.calls.get() > 0;
        if !self.has_waited.replace(true) && is_called && !limit.is_exact {
            return Ok(());
        }
        let timer = self.timer.take();
        let (is_armed, is_over) =
            timer.as_ref().map_or((false, false), |timer| (true, timer.is_over(&self.waker)));
        self.timer.set(timer);
        if is_over {
            return Err(Error::elapsed(limit.time));
        }
        let served = is_armed || is_called;
        if served && self.deadline.get().is_some() {
            return Ok(());
        }
        let now = clock::now()?;
        let deadline = self.deadline.get().unwrap_or_else(|| now.saturating_add(nanoseconds(limit.time)));
        if deadline <= now {
            return Err(Error::elapsed(limit.time));
        }
        self.deadline.set(Some(deadline));
        if !served {
            let timers = self.timers().ok_or(HostError::outside("a task"))?;
            self.timer.set(Some(Timer::new(&timers, now, deadline, &self.waker)?));
        }
        Ok(())
    }
}

impl Deref for Task {
    type Target = Rc<Wait>;

    fn deref(&self) -> &Rc<Wait> {
        &self.0
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // The work first: what it drops may still look at the task.
        drop(self.work.take());
        self.clear();
        // While a thread ends, the seats may be gone before who sits there.
        let _ = SEATS.try_with(|seats| seats.borrow_mut().free.push(self.id));
    }
}

impl Wait {
    fn new(id: u32, waker: Waker) -> Self {
        Self {
            id,
            waker,
            owner: RefCell::default(),
            work: Cell::default(),
            limit: Cell::default(),
            timer: Cell::default(),
            turn: Cell::default(),
            deadline: Cell::default(),
            calls: Cell::default(),
            has_waited: Cell::default(),
            is_woken: Cell::default(),
            message: Message::default(),
        }
    }

    /// As it was when nobody had sat here.
    fn clear(&self) {
        self.owner.take();
        self.timer.take();
        self.turn.take();
        self.deadline.take();
        self.calls.take();
        self.has_waited.take();
        self.is_woken.take();
        self.message.clear();
    }

    /// Whether the task was put off, and its turn is still to come.
    fn has_turn(&self) -> bool {
        let turn = self.turn.take().filter(|turn| !turn.is_over(&self.waker));
        let has = turn.is_some();
        self.turn.set(turn);
        has
    }

    fn owner(&self) -> Option<Rc<dyn Owner>> {
        self.owner.borrow().as_ref()?.upgrade()
    }

    /// The timers of its root.
    pub(crate) fn timers(&self) -> Option<Rc<Timers>> {
        self.owner().map(|owner| owner.timers().clone())
    }

    /// Lets the task be polled at the end of this callback.
    pub(crate) fn wake(self: &Rc<Self>) {
        if !self.is_woken.replace(true) {
            let _ = READY.try_with(|ready| ready.borrow_mut().push(self.clone()));
        }
    }

    /// Whether `waker` wakes this task and nothing else.
    pub(crate) fn is_woken_by(&self, waker: &Waker) -> bool {
        waker.will_wake(&self.waker)
    }

    /// What is left until the deadline; `None` when there is none.
    #[inline]
    pub(crate) fn left(&self) -> Result<Option<Duration>, HostError> {
        match (self.limit.get(), self.deadline.get()) {
            (None, _) => Ok(None),
            (Some(limit), None) => Ok(Some(limit.time)),
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

    /// The task.
    pub(crate) fn wait(&self) -> &Rc<Wait> {
        &self.wait
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
#[inline]
pub(crate) fn current() -> Option<Rc<Wait>> {
    CURRENT.with(|current| current.borrow().clone())
}

/// So many tasks are polled in one callback, and so many timers wake by one tick; the others have their turn with the next
/// ticks.
///
/// What a task decides Envoy does after the callback: it answers a stream or lets it go on, enters the VM again for what the
/// stream hears of that, and at the end of that call does what is next of what was put off, so that one lies inside the other
/// on the stack. The stack of V8 overflows, and with it the VM ends for good, with 273 streams that a route answers by itself, or
/// 306 replies (measured on 1.40). So it is also ticks that tasks which keep waking each other wait for.
pub(super) const AT_ONCE: usize = 32;

/// Polls what has been woken, at the end of a callback of `here`; what cannot be polled here is polled by a tick. Leaves the
/// context that it came to last.
pub(super) fn run(here: Place) {
    let (mut next, mut left, mut now) = (0_usize, AT_ONCE, None);
    while let Some(task) = READY.with_borrow(|ready| ready.get(next).cloned()) {
        match continue_task(&task, here, left > 0, &mut now) {
            Ok(polled) => left = left.saturating_sub(polled.into()),
            Err(error) => log::error!("a task cannot be continued: {error}"),
        }
        next = next.wrapping_add(1);
    }
    if next > 0 {
        READY.with_borrow_mut(Vec::clear);
    }
}

/// Whether the task was polled.
fn continue_task(task: &Wait, here: Place, at_once: bool, now: &mut Option<u64>) -> Result<bool, HostError> {
    task.is_woken.set(false);
    let Some(owner) = task.owner() else { return Ok(false) };
    let place = owner.place();
    if !(at_once && here.serves(place)) {
        return owner.put_off(task, now).map(|()| false);
    }
    context::go_to(place.stream.unwrap_or(place.root), place.stream.is_some())?;
    owner.poll(task.id);
    Ok(true)
}
