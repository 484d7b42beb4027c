//! An engine on a thread of its own, whichever back end runs its guests: work is sent to it, and what was seen comes back.

use crate::connection::{Connected, Connection};
use crate::engine::{Errand, Guest, Metric, Plan, Refusal, Shared, Vm, Worker};
use crate::exchange::{Exchange, LogLine, Message, Setup};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use std::{fmt, panic, thread};

/// Room for the guest's own stack (see `wasm::compile`), and for the host functions that it calls at its deepest.
const STACK: usize = 8 * 1024 * 1024;

type Job<G> = Box<dyn FnOnce(&mut Worker<G>) + Send>;

/// Plugins that have been configured.
pub struct Host<G> {
    jobs: Option<Sender<Job<G>>>,
    thread: Option<JoinHandle<()>>,
    calls_at_start: BTreeMap<String, u32>,
}

/// The plugin did not start: `proxy_on_vm_start` or `proxy_on_configure` returned false, or the VM failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// What it logged.
    pub log: Vec<LogLine>,
    /// What happened.
    pub reason: Refusal,
}

impl fmt::Display for Rejected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.reason)?;
        self.log.iter().try_for_each(|line| write!(formatter, "\n{:?}: {}", line.level, line.message))
    }
}

impl std::error::Error for Rejected {}

/// What a VM's thread says when it has started.
type Started = Result<BTreeMap<String, u32>, Rejected>;

/// [`Code`](crate::engine::Code) that another thread runs.
pub(crate) type SentCode<G> = Arc<dyn Fn(&Shared) -> Result<G, Refusal> + Send + Sync>;

/// One plugin of a chain: makes guests, on the thread of the engine.
pub(crate) struct Part<G> {
    /// Plugins with the same number run the same code.
    pub(crate) identity: usize,
    pub(crate) code: SentCode<G>,
    pub(crate) setup: Setup,
}

impl<G> From<Part<G>> for Plan<G> {
    fn from(part: Part<G>) -> Self {
        Self { code: part.code, identity: part.identity, setup: part.setup }
    }
}

impl<G: Guest + 'static> Host<G> {
    /// Starts plugins, which a request passes in this order.
    pub(crate) fn spawn(plugins: Vec<Part<G>>) -> Result<Self, Rejected> {
        let (jobs, work) = channel::<Job<G>>();
        let (tell, started) = channel::<Started>();
        let run = move || {
            let setup = plugins.first().map(|part| part.setup.clone()).unwrap_or_default();
            let plans = plugins.into_iter().map(Plan::from).collect();
            let mut worker = Worker::of(Vm::shared(setup), plans);
            let outcome = worker.start();
            let accepted = outcome.is_ok();
            // Nobody listens any more when the test has given up.
            let _ = tell.send(match outcome {
                Ok(()) => Ok(worker.vm().borrow().host_calls()),
                Err(reason) => Err(Rejected { log: worker.vm().borrow().lines().to_vec(), reason }),
            });
            if accepted {
                work.iter().for_each(|job| job(&mut worker));
            }
        };
        let thread = Builder::new().name("vm".into()).stack_size(STACK).spawn(run).expect("a thread starts");
        let mut host = Self { jobs: Some(jobs), thread: Some(thread), calls_at_start: BTreeMap::new() };
        match started.recv() {
            Ok(outcome) => host.calls_at_start = outcome?,
            Err(_) => host.join(),
        }
        Ok(host)
    }

    /// Puts other plugins in the place of those that there are.
    pub(crate) fn replace(&self, plugins: Vec<Part<G>>) -> Result<(), Rejected> {
        self.ask(move |worker| {
            let first_line = worker.vm().borrow().lines().len();
            let outcome = worker.reconfigure(plugins.into_iter().map(Plan::from).collect());
            let log = worker.vm().borrow().lines().get(first_line..).unwrap_or_default().to_vec();
            outcome.map_err(|reason| Rejected { log, reason })
        })
    }

    /// The proxy goes down: root contexts are told. One that is not done yet lives on until it says so.
    pub fn shut_down(&self) {
        self.ask(Worker::shut_down);
    }

    /// The next request goes to this worker; by default they take turns.
    pub fn turn_to(&self, worker: usize) {
        self.ask(move |engine| engine.turn_to(worker));
    }

    /// Runs one request through the plugin, from its first header to `proxy_on_delete`. `upstream` is what the upstream
    /// would answer if the request reached it.
    pub fn exchange(&self, request: Message, upstream: &Message) -> Exchange {
        let upstream = upstream.clone();
        self.ask(move |worker| worker.exchange(request, &upstream))
    }

    /// The same, with all that can go wrong around the request.
    pub fn run(&self, errand: Errand) -> Exchange {
        self.ask(move |worker| worker.run(errand))
    }

    /// Several requests at the same time. What was logged and called is that of all of them, in each exchange.
    pub fn run_all(&self, errands: Vec<Errand>) -> Vec<Exchange> {
        self.ask(move |worker| worker.run_all(errands))
    }

    /// Runs one TCP connection through the plugin as a network filter.
    pub fn connect(&self, connection: Connection) -> Connected {
        self.ask(move |worker| worker.connect(connection))
    }

    /// Lets time pass, with all that timers and answers bring meanwhile.
    pub fn pass(&self, time: Duration) {
        self.ask(move |worker| worker.pass(time));
    }

    /// Sets the wall clock, forth or back, to nanoseconds since 1970: timers and answers take as long as before.
    pub fn set_clock(&self, now: u64) {
        self.ask(move |worker| worker.vm().borrow_mut().set_clock(now));
    }

    /// What the plugin has sent to other clusters while no request was there to show it, by cluster and in order.
    pub fn take_reached(&self) -> Vec<(String, Message)> {
        self.ask(|worker| worker.vm().borrow_mut().take_reached())
    }

    /// Everything logged so far, configuration included.
    pub fn log(&self) -> Vec<LogLine> {
        self.ask(|worker| worker.vm().borrow().lines().to_vec())
    }

    /// The plugin's metrics, by the names it gave them.
    pub fn metrics(&self) -> BTreeMap<String, Metric> {
        self.ask(|worker| worker.vm().borrow().metrics())
    }

    /// Why the VM failed, if it did.
    pub fn failure(&self) -> Option<String> {
        self.ask(|worker| worker.vm().borrow().failure().map(str::to_owned))
    }

    /// Host calls made until the plugin was configured, by name.
    pub fn calls_at_start(&self) -> &BTreeMap<String, u32> {
        &self.calls_at_start
    }

    fn ask<T: Send + 'static>(&self, question: impl FnOnce(&mut Worker<G>) -> T + Send + 'static) -> T {
        let (tell, answer) = channel();
        let job: Job<G> = Box::new(move |worker| drop(tell.send(question(worker))));
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        let answer = sent.then(|| answer.recv().ok()).flatten();
        answer.expect("the VM's thread has panicked; its message stands above")
    }
}

impl<G> Host<G> {
    /// Waits for the thread; a panic in it goes on in this one.
    fn join(&mut self) {
        self.jobs = None;
        if let Some(Err(payload)) = self.thread.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            panic::resume_unwind(payload);
        }
    }
}

impl<G> Drop for Host<G> {
    fn drop(&mut self) {
        self.join();
    }
}
