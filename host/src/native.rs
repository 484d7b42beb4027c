//! The native back end: an unmodified extension crate, linked into the test binary, is the guest.
//!
//! The host functions are defined here as symbols (`shims`), and the callbacks are the exports of the `proxy-wasm` crate
//! (`callbacks`). That crate keeps its state per thread, so one VM is one thread: [`Host`] owns it and sends it work.
//!
//! A panic that reaches an export of the `proxy-wasm` crate ends the process; a guest that may panic has to catch it and
//! say so by `pwkit_guest_panicked`, as the SDK does.

mod callbacks;
mod memory;
mod shims;

use crate::engine::{Metric, Refusal, Shared, Vm, Worker};
use crate::exchange::{Exchange, LogLine, Message, Setup};
use callbacks::Linked;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::{fmt, panic, thread};

thread_local! {
    /// The VM of this thread, for the host functions to find.
    static VM: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// Loggers and panic hooks belong to the process, and the `proxy-wasm` crate sets its own without a lock.
static INITIALISING: Mutex<()> = Mutex::new(());

type Job = Box<dyn FnOnce(&mut Worker<Linked>) + Send>;

/// A plugin that has been configured, in a VM of its own.
pub struct Host {
    jobs: Option<Sender<Job>>,
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

impl Host {
    /// Starts a VM: runs `initialize` (which registers the root context), then configures the plugin.
    pub fn start(initialize: impl FnOnce() + Send + 'static, setup: Setup) -> Result<Self, Rejected> {
        let (jobs, work) = channel::<Job>();
        let (tell, started) = channel::<Started>();
        let thread = thread::spawn(move || {
            let (mut worker, outcome) = start(initialize, setup);
            let accepted = outcome.is_ok();
            // Nobody listens any more when the test has given up.
            let _ = tell.send(outcome);
            if accepted {
                work.iter().for_each(|job| job(&mut worker));
            }
        });
        let mut host = Self { jobs: Some(jobs), thread: Some(thread), calls_at_start: BTreeMap::new() };
        match started.recv() {
            Ok(outcome) => host.calls_at_start = outcome?,
            Err(_) => host.join(),
        }
        Ok(host)
    }

    /// Runs one request through the plugin, from its first header to `proxy_on_delete`. `upstream` is what the upstream
    /// would answer if the request reached it.
    pub fn exchange(&self, request: Message, upstream: &Message) -> Exchange {
        let upstream = upstream.clone();
        self.ask(move |worker| worker.exchange(request, &upstream))
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

    fn ask<T: Send + 'static>(&self, question: impl FnOnce(&mut Worker<Linked>) -> T + Send + 'static) -> T {
        let (tell, answer) = channel();
        let job: Job = Box::new(move |worker| drop(tell.send(question(worker))));
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        let answer = sent.then(|| answer.recv().ok()).flatten();
        answer.expect("the VM's thread has panicked; its message stands above")
    }

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

impl Drop for Host {
    fn drop(&mut self) {
        self.join();
    }
}

fn start(initialize: impl FnOnce(), setup: Setup) -> (Worker<Linked>, Started) {
    let vm = Vm::shared(setup);
    VM.set(Some(vm.clone()));
    let guard = INITIALISING.lock().unwrap_or_else(PoisonError::into_inner);
    initialize();
    drop(guard);
    let mut worker = Worker::new(vm.clone(), Linked);
    let outcome = worker.start();
    let vm = vm.borrow();
    let outcome = match outcome {
        Ok(()) => Ok(vm.host_calls().clone()),
        Err(reason) => Err(Rejected { log: vm.lines().to_vec(), reason }),
    };
    drop(vm);
    (worker, outcome)
}
