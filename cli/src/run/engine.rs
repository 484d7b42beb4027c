//! The seam to the host: one engine that holds all plugins on all workers, as one Envoy does.
//!
//! Requests share the engine, and a plugin may hold any of them back, so everything is done in steps: a step enters guests
//! and returns at once. A step for one request can move others, and can call out; both is seen to when it is over. The
//! engine's clock is virtual; it is moved along with the real one before each step.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::outside::{Around, Live};
use super::plugin::Plugin;
use proxy_wasm_kit_host::engine::{Aside, Detail, Metric, Plan, Refusal, Vm, Worker};
use proxy_wasm_kit_host::exchange::{Clock, LogLine, Setup};
use proxy_wasm_kit_host::wasm::Instance;
use tokio::sync::Notify;

/// What plugins do without a request, as it is told.
pub(super) enum News<'a> {
    /// Lines of a plugin.
    Plugin(&'a Aside),
    /// What came of a callout.
    Callout(&'a str),
}

/// Hears of it.
pub(super) type Tell = Box<dyn Fn(News<'_>)>;

/// The engine, on the thread that serves with it.
pub(super) struct Engine {
    worker: RefCell<Worker<Instance>>,
    /// What the clock showed when the engine was made.
    since: u64,
    born: Instant,
    passed: Cell<Duration>,
    /// Requests under way, by their streams.
    tickets: RefCell<BTreeMap<u32, Ticket>>,
    live: Rc<Live>,
    /// When the engine is entered for a timer, and that this is sooner than it was.
    due: Cell<Option<Duration>>,
    sooner: Notify,
    tell: Tell,
}

/// A request under way.
#[derive(Default)]
struct Ticket {
    moved: Rc<Notify>,
    /// What came of its callouts, by the place of the plugin.
    notes: Vec<(usize, String)>,
}

impl Engine {
    /// Starts plugins on this thread.
    pub(super) fn start(
        plugins: &[Plugin],
        around: Around,
        detail: Detail,
        tell: Tell,
    ) -> Result<Rc<Self>, Rejection> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let live = Live::new(around);
        let plans = plans(plugins, since);
        let setup = plans.first().map(|plan| plan.setup.clone()).unwrap_or_default();
        let mut worker = Worker::of(Vm::within(setup, live.outside()).into_shared(), plans);
        worker.watch(detail);
        let outcome = worker.start();
        let engine = Rc::new(Self {
            since,
            born: Instant::now(),
            passed: Cell::default(),
            tickets: RefCell::default(),
            live,
            due: Cell::default(),
            sooner: Notify::new(),
            tell,
            worker: RefCell::new(worker),
        });
        engine.begun(outcome, plugins.len())?;
        tokio::task::spawn_local(keep_time(Rc::downgrade(&engine)));
        Ok(engine)
    }

    /// Puts other plugins in the place of those that there are. Requests under way keep theirs; if one does not start,
    /// everything stays as it was.
    pub(super) fn replace(self: &Rc<Self>, plugins: &[Plugin]) -> Result<(), Rejection> {
        self.catch_up();
        let outcome = self.worker.borrow_mut().reconfigure(plans(plugins, self.since));
        self.begun(outcome, plugins.len())
    }

    /// What a start has brought: its lines, told once for all workers, or why there was none.
    fn begun(self: &Rc<Self>, outcome: Result<(), Refusal>, plugins: usize) -> Result<(), Rejection> {
        let (mut aside, lines) = {
            let mut worker = self.worker.borrow_mut();
            (worker.take_aside(), worker.take_lines())
        };
        if let Err(reason) = outcome {
            let plugin = self.worker.borrow().refused(plugins);
            let lines = aside.into_iter().flat_map(|aside| aside.account.lines).chain(lines).collect();
            return Err(Rejection { plugin, reason, lines });
        }
        let mut told: Vec<(String, LogLine)> = Vec::new();
        for Aside { plugin, account } in &mut aside {
            account.lines.retain(|line| {
                let first = !told.iter().any(|(name, other)| name == plugin && other == line);
                told.push((plugin.clone(), line.clone()));
                first
            });
        }
        self.tell_aside(&aside);
        self.step(|_| ());
        Ok(())
    }

    /// Enters guests, for a request or for themselves.
    pub(super) fn step<T>(self: &Rc<Self>, enter: impl FnOnce(&mut Worker<Instance>) -> T) -> T {
        self.catch_up();
        let mut worker = self.worker.borrow_mut();
        let result = enter(&mut worker);
        worker.catch_up(Duration::ZERO);
        let (moved, aside, due) = (worker.take_moved(), worker.take_aside(), worker.next_due());
        drop(worker);
        for id in moved {
            let tickets = self.tickets.borrow();
            tickets.get(&id).iter().for_each(|ticket| ticket.moved.notify_one());
        }
        self.tell_aside(&aside);
        self.live.depart(self);
        let due = due.map(|due| due.saturating_add(self.passed.get()));
        let before = self.due.replace(due);
        if due.is_some_and(|due| before.is_none_or(|before| due < before)) {
            self.sooner.notify_one();
        }
        result
    }

    /// Looks at the engine without entering a guest.
    pub(super) fn look<T>(&self, look: impl FnOnce(&mut Worker<Instance>) -> T) -> T {
        look(&mut self.worker.borrow_mut())
    }

    /// Lets the virtual clock follow the real one, with the timers that are due.
    fn catch_up(&self) {
        let now = self.born.elapsed();
        self.worker.borrow_mut().catch_up(now.saturating_sub(self.passed.replace(now)));
    }

    fn tell_aside(&self, aside: &[Aside]) {
        let told =
            |aside: &&Aside| !aside.account.lines.is_empty() || !aside.account.unknown_clusters.is_empty();
        aside.iter().filter(told).for_each(|aside| (self.tell)(News::Plugin(aside)));
    }

    /// A request is under way: whoever drives it is notified when something other than its own steps has moved it.
    pub(super) fn register(&self, id: u32) -> Rc<Notify> {
        Rc::clone(&self.tickets.borrow_mut().entry(id).or_default().moved)
    }

    /// It is over. Returns what came of its callouts.
    pub(super) fn release(&self, id: u32) -> Vec<(usize, String)> {
        self.tickets.borrow_mut().remove(&id).unwrap_or_default().notes
    }

    pub(super) fn live(&self) -> &Live {
        &self.live
    }

    /// The stream and the plugin that made a callout.
    pub(super) fn caller(&self, callout: u32) -> Option<(u32, usize)> {
        self.worker.borrow().caller(callout)
    }

    /// Tells what came of a callout: with the request that it was made for, if that is under way.
    pub(super) fn note(&self, caller: Option<(u32, usize)>, text: String) {
        let under_way = caller.filter(|(id, _)| self.tickets.borrow().contains_key(id));
        match under_way {
            Some((id, seat)) => {
                self.tickets.borrow_mut().entry(id).or_default().notes.push((seat, text));
            }
            None => (self.tell)(News::Callout(&text)),
        }
    }

    /// What all plugins have measured.
    pub(super) fn metrics(&self) -> BTreeMap<String, Metric> {
        self.worker.borrow().vm().borrow().metrics()
    }

    /// The proxy goes down: plugins are told, and may take until `patience` is over to be done.
    pub(super) async fn shut_down(self: &Rc<Self>, patience: Duration) {
        self.step(Worker::shut_down);
        let until = Instant::now() + patience;
        while self.worker.borrow().lingers() && Instant::now() < until {
            // Timers and callouts go on meanwhile.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn plans(plugins: &[Plugin], since: u64) -> Vec<Plan<Instance>> {
    let plan =
        |plugin: &Plugin| plugin.module.plan(Setup { clock: Clock::Fixed(since), ..plugin.setup.clone() });
    plugins.iter().map(plan).collect()
}

/// Enters the engine whenever a timer is due, as long as it lives.
async fn keep_time(engine: Weak<Engine>) {
    while let Some(alive) = engine.upgrade() {
        let due = alive.due.get().map(|due| due.saturating_sub(alive.born.elapsed()));
        tokio::select! {
            () = alive.sooner.notified() => {}
            () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => alive.step(|_| ()),
        }
    }
}

/// Why plugins did not start.
#[derive(Debug)]
pub(super) struct Rejection {
    /// The place of the plugin that did not.
    pub(super) plugin: usize,
    reason: Refusal,
    lines: Vec<LogLine>,
}

impl Rejection {
    /// What happened, and the plugin's own words, which tell best: in one line.
    pub(super) fn text(&self) -> String {
        let own = self.lines.iter().max_by_key(|line| line.level);
        let own = own.map(|line| format!(": {}", line.message.replace('\n', " ")));
        format!("{}{}", self.reason, own.unwrap_or_default())
    }
}
