//! Everything a guest can reach: the state of one VM, and which context is looking at it.

use super::agenda::Agenda;
use super::calls::Calls;
use super::foreign::Foreign;
use super::guest::Call;
use super::metrics::{Metric, Metrics};
use super::reply::Deferred;
use super::shared_data::SharedData;
use super::shared_queue::Queues;
use super::status::Status;
use super::stream::Stream;
use super::watch::{Aside, Detail};
use crate::exchange::{LogLine, Message, Random, Setup};
use crate::outside::{Outside, Scripted};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};
use std::time::Duration;

/// Shared between the worker, which enters guests, and the host functions, which a guest calls meanwhile, maybe on a
/// thread of its own. Only one of them runs at a time, and neither holds a borrow while the other runs.
#[derive(Clone)]
pub struct Shared(Arc<RwLock<Vm>>);

impl Shared {
    /// To read.
    ///
    /// # Panics
    /// Where somebody holds it to write: a mistake in a back end or in the engine.
    pub fn borrow(&self) -> RwLockReadGuard<'_, Vm> {
        match self.0.try_read() {
            Ok(vm) => vm,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => panic!("somebody writes meanwhile"),
        }
    }

    /// To write.
    ///
    /// # Panics
    /// Where somebody else holds it: a mistake in a back end or in the engine.
    pub fn borrow_mut(&self) -> RwLockWriteGuard<'_, Vm> {
        self.try_borrow_mut().expect("nobody reads or writes meanwhile")
    }

    /// To write, unless somebody else holds it.
    pub fn try_borrow_mut(&self) -> Option<RwLockWriteGuard<'_, Vm>> {
        match self.0.try_write() {
            Ok(vm) => Some(vm),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// The proxy as the guest that runs sees it. Its methods are the host functions. Guests run one at a time, so one value
/// serves all of them: which VM is meant is known from the one that was entered.
///
/// Contexts have numbers that are unique in the whole host; each guest knows its own by another, which counts in its VM.
pub struct Vm {
    /// The proxy, and the settings of its first plugin; what concerns another plugin stands in [`Plugin`].
    pub(super) setup: Setup,
    pub(super) sandboxes: Vec<Sandbox>,
    pub(super) plugins: Vec<Plugin>,
    /// The plugins that new streams pass, by worker.
    pub(super) chains: Vec<Vec<usize>>,
    /// Root contexts that were not done when they were to end.
    pub(super) waiting: BTreeSet<u32>,
    pub(super) shared_data: SharedData,
    pub(super) queues: Queues,
    pub(super) contexts: BTreeMap<u32, Context>,
    /// By the context of the first plugin in each.
    pub(super) streams: BTreeMap<u32, Stream>,
    pub(super) metrics: Metrics,
    pub(super) lines: Vec<LogLine>,
    /// Work to be done when the current callback has returned.
    pub(super) deferred: VecDeque<Deferred>,
    /// How many callbacks have such work done now, one inside the other.
    pub(super) depth: usize,
    /// A local reply was asked for: the callback's own action does not count (row 13).
    pub(super) stop_iteration: bool,
    pub(super) host_calls: BTreeMap<&'static str, u32>,
    pub(super) callbacks: BTreeMap<&'static str, u32>,
    pub(super) configuring: bool,
    /// What will happen, and how late it is.
    pub(super) agenda: Agenda,
    /// By root context; of one that is not here the timer is off.
    pub(super) tick_periods: BTreeMap<u32, Duration>,
    pub(super) calls: Calls,
    pub(super) outside: Box<dyn Outside>,
    /// The context that was entered, and the one that host calls are for.
    pub(super) current: Option<u32>,
    pub(super) effective: Option<u32>,
    pub(super) foreign: Foreign,
    /// How much is kept of what plugins do to single streams.
    pub(super) watched: Option<Detail>,
    /// What they did for none.
    pub(super) aside: Vec<Aside>,
    /// The stream, and the place in it, on whose behalf a root context is entered.
    pub(super) behalf: Option<(u32, usize)>,
    /// Streams that a plugin has resumed, answered or reset, where that is asked for.
    pub(super) moved: Vec<u32>,
    /// The VM whose guest runs; between two entries the one that ran last.
    running: usize,
    last_context: u32,
}

/// Where a VM runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Home {
    /// On the main thread, to see whether a plugin starts.
    #[default]
    Canary,
    /// On the main thread.
    Main,
    /// On the worker with this number.
    Worker(usize),
}

/// One VM: an instance of a module.
#[derive(Default)]
pub(super) struct Sandbox {
    pub(super) home: Home,
    /// Index of the plan that it was made for.
    pub(super) plan: usize,
    pub(super) failure: Option<String>,
    initialised: bool,
    /// The host functions and callbacks that the guest may use; all if there is none (row 55).
    allowed: Option<BTreeSet<String>>,
    /// The contexts by the ids that the guest knows.
    contexts: BTreeMap<u32, u32>,
    last_context: u32,
}

/// A plugin in a VM.
pub(super) struct Plugin {
    pub(super) setup: Setup,
    /// Index of its VM.
    pub(super) vm: usize,
    /// Its root context.
    pub(super) root: u32,
    /// Index of its plan.
    pub(super) plan: usize,
    /// New streams do not get it any more.
    pub(super) retired: bool,
    /// It was told that it ends.
    pub(super) ended: bool,
    /// It did not start, and is not tried again.
    pub(super) broken: bool,
    /// When it was loaded.
    pub(super) loaded: u64,
}

/// A context of a guest.
#[derive(Clone, Copy)]
pub(super) struct Context {
    /// Index of the plugin that it belongs to.
    pub(super) plugin: usize,
    /// The id that the guest knows.
    pub(super) local: u32,
    /// The stream, and the plugin's seat in it; none of a root context.
    pub(super) stream: Option<(u32, usize)>,
}

impl Sandbox {
    /// Whether no context lives here.
    pub(super) fn is_empty(&self) -> bool {
        self.contexts.is_empty()
    }

    fn allows(&self, name: &str) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.is_empty() || allowed.contains(name))
    }
}

impl Vm {
    /// A proxy in which nothing has run yet.
    pub fn new(setup: Setup) -> Self {
        let outside = Box::new(Scripted::new(setup.clusters.clone()));
        Self::within(setup, outside)
    }

    /// [`Vm::new`] in a proxy with these clusters around it, instead of those of `setup`.
    pub fn within(setup: Setup, outside: Box<dyn Outside>) -> Self {
        Self {
            setup,
            sandboxes: Vec::new(),
            plugins: Vec::new(),
            chains: Vec::new(),
            waiting: BTreeSet::new(),
            shared_data: SharedData::default(),
            queues: Queues::default(),
            contexts: BTreeMap::new(),
            streams: BTreeMap::new(),
            metrics: Metrics::default(),
            lines: Vec::new(),
            deferred: VecDeque::new(),
            depth: 0,
            stop_iteration: false,
            host_calls: BTreeMap::new(),
            callbacks: BTreeMap::new(),
            configuring: false,
            agenda: Agenda::default(),
            tick_periods: BTreeMap::new(),
            calls: Calls::default(),
            outside,
            current: None,
            effective: None,
            foreign: Foreign::default(),
            watched: None,
            aside: Vec::new(),
            behalf: None,
            moved: Vec::new(),
            running: 0,
            last_context: 0,
        }
    }

    /// Ready to be shared.
    pub fn into_shared(self) -> Shared {
        Shared(Arc::new(RwLock::new(self)))
    }

    /// [`Vm::new`], ready to be shared.
    pub fn shared(setup: Setup) -> Shared {
        Self::new(setup).into_shared()
    }

    /// Notes a call of the host function `name`. Back ends call this first in each of them.
    ///
    /// While the module initialises, only `proxy_log` may be called (row 2); anything else kills the VM.
    pub fn count_host_call(&mut self, name: &'static str) -> Result<(), Status> {
        *self.host_calls.entry(name).or_default() += 1;
        if !self.sandbox().initialised && name.starts_with("proxy_") && name != "proxy_log" {
            self.fail(format!("restricted_callback: {name} while the module initialises"));
            return Err(Status::INTERNAL_FAILURE);
        }
        if self.sandbox().allows(name) { Ok(()) } else { Err(Status::INTERNAL_FAILURE) }
    }

    /// Marks the VM that runs as failed; the first reason is kept.
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.sandbox().failure.get_or_insert_with(|| reason.into());
    }

    /// The settings of the plugin that runs; those of the proxy while it has none, as when a module is checked.
    fn settings(&self) -> &Setup {
        if self.plugins.is_empty() { &self.setup } else { &self.plugin().setup }
    }

    /// Where the guest's random bytes come from.
    pub fn random(&self) -> Random {
        self.settings().random
    }

    /// The guest's environment variables.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.settings().environment
    }

    /// Why a plugin's VM failed, if one did.
    pub fn failure(&self) -> Option<&str> {
        self.chains.iter().flatten().find_map(|plugin| self.failure_of_plugin(*plugin))
    }

    pub(super) fn failure_of_plugin(&self, plugin: usize) -> Option<&str> {
        self.sandboxes[self.plugins[plugin].vm].failure.as_deref()
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
    pub fn host_calls(&self) -> BTreeMap<String, u32> {
        named(&self.host_calls)
    }

    /// Takes what has reached other clusters since this was last asked, by cluster and in order.
    pub fn take_reached(&mut self) -> Vec<(String, Message)> {
        self.outside.take_reached()
    }

    /// `proxy_set_effective_context` (row 8).
    pub fn set_effective_context(&mut self, context: u32) -> Result<(), Status> {
        let known = self.sandbox().contexts.get(&context).copied();
        self.effective = Some(known.ok_or(Status::BAD_ARGUMENT)?);
        Ok(())
    }

    /// The context that host calls are for: the effective one as long as it lives, else the current one.
    pub(super) fn context(&self) -> u32 {
        let alive = self.effective.filter(|context| self.contexts.contains_key(context));
        alive.or(self.current).unwrap_or(0)
    }

    /// The stream that host calls are for, as its plugin sees it; none in a root context.
    pub(super) fn stream(&mut self) -> Option<&mut Stream> {
        self.stream_of(self.context())
    }

    /// The stream of a context, as the context's plugin sees it.
    pub(super) fn stream_of(&mut self, context: u32) -> Option<&mut Stream> {
        let (id, seat) = self.place(context)?;
        self.streams.get_mut(&id).map(|stream| stream.seen_from(seat))
    }

    /// Stream and seat of a context.
    pub(super) fn place(&self, context: u32) -> Option<(u32, usize)> {
        self.contexts.get(&context)?.stream
    }

    /// A new VM; it is the one that runs next.
    pub(super) fn new_vm(&mut self, plan: usize, home: Home, setup: &Setup) -> usize {
        self.running = self.sandboxes.len();
        let allowed = setup.allowed_capabilities.clone();
        self.sandboxes.push(Sandbox { home, plan, allowed, ..Sandbox::default() });
        self.running
    }

    /// A plugin in a VM.
    pub(super) fn new_plugin(&mut self, plan: usize, vm: usize, setup: Setup) -> usize {
        let (root, loaded) = (0, self.now());
        let (retired, ended, broken) = (false, false, false);
        self.plugins.push(Plugin { setup, vm, root, plan, retired, ended, broken, loaded });
        self.plugins.len() - 1
    }

    /// New streams do not get these plugins any more.
    pub(super) fn retire(&mut self, which: impl Fn(&Plugin) -> bool) {
        self.plugins.iter_mut().filter(|plugin| which(plugin)).for_each(|plugin| plugin.retired = true);
    }

    /// The root contexts of retired plugins in which no stream is open; each is named once.
    pub(super) fn take_ending(&mut self) -> Vec<u32> {
        if self.plugins.iter().all(|plugin| plugin.ended || !plugin.retired) {
            return Vec::new();
        }
        let streams = self.contexts.values().filter(|context| context.stream.is_some());
        let used: BTreeSet<usize> = streams.map(|context| context.plugin).collect();
        let plugins = self.plugins.iter_mut().enumerate();
        let ending =
            plugins.filter(|(index, plugin)| plugin.retired && !plugin.ended && !used.contains(index));
        ending.map(|(_, plugin)| (plugin.ended = true, plugin.root).1).collect()
    }

    /// Whether the VM of this callback lets its guest have it.
    pub(super) fn allows(&self, call: &Call) -> bool {
        self.sandboxes.get(self.vm_of(call.context())).is_some_and(|sandbox| sandbox.allows(call.name()))
    }

    /// Why the VM of this context failed, if it did.
    pub(super) fn failure_of(&self, context: u32) -> Option<&str> {
        self.sandboxes.get(self.vm_of(context))?.failure.as_deref()
    }

    /// The root context that a context belongs to.
    pub(super) fn root_of(&self, context: u32) -> u32 {
        self.plugin_of(context).root
    }

    /// The plugin that a context belongs to.
    pub(super) fn plugin_of(&self, context: u32) -> &Plugin {
        &self.plugins[self.contexts.get(&context).map_or(0, |context| context.plugin)]
    }

    /// The plugin that host calls are for.
    pub(super) fn plugin(&self) -> &Plugin {
        let of_context = self.contexts.get(&self.context()).map(|context| context.plugin);
        let in_vm = || self.plugins.iter().position(|plugin| plugin.vm == self.running);
        &self.plugins[of_context.or_else(in_vm).unwrap_or(0)]
    }

    /// A new root context of a plugin.
    pub(super) fn new_root(&mut self, plugin: usize) -> u32 {
        let root = self.new_context(plugin, |_| None);
        self.plugins[plugin].root = root;
        root
    }

    /// A new context of a plugin; `place` is given its number and says to which stream it belongs.
    pub(super) fn new_context(
        &mut self,
        plugin: usize,
        place: impl FnOnce(u32) -> Option<(u32, usize)>,
    ) -> u32 {
        let id = self.next_context();
        let sandbox = &mut self.sandboxes[self.plugins[plugin].vm];
        sandbox.last_context += 1;
        let local = sandbox.last_context;
        sandbox.contexts.insert(local, id);
        self.contexts.insert(id, Context { plugin, local, stream: place(id) });
        id
    }

    /// A number that no context or stream has.
    pub(super) fn next_context(&mut self) -> u32 {
        self.last_context += 1;
        self.last_context
    }

    pub(super) fn forget_context(&mut self, id: u32) {
        let Some(context) = self.contexts.remove(&id) else { return };
        let vm = self.plugins[context.plugin].vm;
        self.sandboxes[vm].contexts.remove(&context.local);
        if context.stream.is_none() {
            self.cancel_calls(id);
            self.stop_timer(id);
        }
    }

    /// The VM of a context; the one that runs, of a context that is gone.
    pub(super) fn vm_of(&self, context: u32) -> usize {
        self.contexts.get(&context).map_or(self.running, |context| self.plugins[context.plugin].vm)
    }

    pub(super) fn initialised(&mut self) {
        self.sandbox().initialised = true;
    }

    /// The VM of this context runs from now on. Returns its index, and the callback as its guest has to be told.
    pub(super) fn enter(&mut self, call: &Call) -> (usize, Call) {
        *self.callbacks.entry(call.name()).or_default() += 1;
        self.running = self.vm_of(call.context());
        self.current = Some(call.context());
        self.effective = None;
        let local = |id: u32| self.contexts.get(&id).map_or(id, |context| context.local);
        (self.running, call.with_contexts(local))
    }

    pub(super) fn leave(&mut self) {
        self.current = None;
        self.effective = None;
    }

    fn sandbox(&mut self) -> &mut Sandbox {
        &mut self.sandboxes[self.running]
    }
}

/// Counts as they are reported.
pub(super) fn named(counts: &BTreeMap<&'static str, u32>) -> BTreeMap<String, u32> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}
