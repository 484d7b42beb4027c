//! Everything a guest can reach: the state of one VM, and which context is looking at it.

use super::guest::Call;
use super::metrics::{Metric, Metrics};
use super::reply::Deferred;
use super::status::Status;
use super::stream::Stream;
use crate::exchange::{LogLine, Setup};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// A VM shared between the worker, which enters the guest, and the host functions, which the guest calls meanwhile.
/// Neither holds a borrow while the other runs.
pub type Shared = Rc<RefCell<Vm>>;

/// One VM with one plugin. Its methods are the host functions.
pub struct Vm {
    pub(super) setup: Setup,
    /// Parent by context id; a root context has parent 0.
    pub(super) contexts: BTreeMap<u32, u32>,
    pub(super) root: u32,
    pub(super) streams: BTreeMap<u32, Stream>,
    pub(super) metrics: Metrics,
    pub(super) lines: Vec<LogLine>,
    /// Work to be done when the current callback has returned.
    pub(super) deferred: VecDeque<Deferred>,
    /// A local reply was asked for: the callback's own action does not count (row 13).
    pub(super) stop_iteration: bool,
    pub(super) failure: Option<String>,
    pub(super) host_calls: BTreeMap<String, u32>,
    pub(super) callbacks: BTreeMap<String, u32>,
    pub(super) configuring: bool,
    /// The context that was entered, and the one that host calls are for.
    pub(super) current: Option<u32>,
    pub(super) effective: Option<u32>,
    initialising: bool,
    last_context: u32,
}

impl Vm {
    /// A VM in which nothing has run yet.
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            contexts: BTreeMap::new(),
            root: 0,
            streams: BTreeMap::new(),
            metrics: Metrics::default(),
            lines: Vec::new(),
            deferred: VecDeque::new(),
            stop_iteration: false,
            failure: None,
            host_calls: BTreeMap::new(),
            callbacks: BTreeMap::new(),
            configuring: false,
            current: None,
            effective: None,
            initialising: true,
            last_context: 0,
        }
    }

    /// [`Vm::new`], ready to be shared.
    pub fn shared(setup: Setup) -> Shared {
        Rc::new(RefCell::new(Self::new(setup)))
    }

    /// Notes a call of the host function `name`. Back ends call this first in each of them.
    ///
    /// While the module initialises, only `proxy_log` may be called (row 2); anything else kills the VM.
    pub fn count_host_call(&mut self, name: &str) -> Result<(), Status> {
        *self.host_calls.entry(name.to_owned()).or_default() += 1;
        if self.initialising && name != "proxy_log" {
            self.fail(format!("restricted_callback: {name} while the module initialises"));
            return Err(Status::INTERNAL_FAILURE);
        }
        Ok(())
    }

    /// Marks the VM as failed; the first reason is kept.
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.failure.get_or_insert_with(|| reason.into());
    }

    /// Why the VM failed, if it did.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Everything logged so far.
    pub fn lines(&self) -> &[LogLine] {
        &self.lines
    }

    /// The plugin's metrics by name.
    pub fn metrics(&self) -> BTreeMap<String, Metric> {
        self.metrics.all()
    }

    /// Host calls since the start or the beginning of the last exchange, by name.
    pub fn host_calls(&self) -> &BTreeMap<String, u32> {
        &self.host_calls
    }

    /// `proxy_set_effective_context` (row 8).
    pub fn set_effective_context(&mut self, context: u32) -> Result<(), Status> {
        if !self.contexts.contains_key(&context) {
            return Err(Status::BAD_ARGUMENT);
        }
        self.effective = Some(context);
        Ok(())
    }

    /// The context that host calls are for: the effective one as long as it lives, else the current one.
    pub(super) fn context(&self) -> u32 {
        let alive = self.effective.filter(|context| self.contexts.contains_key(context));
        alive.or(self.current).unwrap_or(0)
    }

    /// The stream that host calls are for; none in a root context.
    pub(super) fn stream(&mut self) -> Option<&mut Stream> {
        let context = self.context();
        self.streams.get_mut(&context)
    }

    pub(super) fn new_context(&mut self, parent: u32) -> u32 {
        self.last_context += 1;
        self.contexts.insert(self.last_context, parent);
        self.last_context
    }

    pub(super) fn initialised(&mut self) {
        self.initialising = false;
    }

    pub(super) fn enter(&mut self, call: &Call) {
        *self.callbacks.entry(call.name().to_owned()).or_default() += 1;
        self.current = Some(call.context());
        self.effective = None;
    }

    pub(super) fn leave(&mut self) {
        self.current = None;
        self.effective = None;
    }
}
