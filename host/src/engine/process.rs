//! The process around the plugins: which VMs there are on which worker, and how plugins start, are replaced, and end.
//!
//! As in Envoy, plugins share a VM where code, VM id and VM configuration are the same, each with a root context of its
//! own (row 4), and every worker has VMs of its own (row 3). Measured, against the table: each root context is told of
//! `proxy_on_vm_start`, also in a VM that is running already.

use super::guest::{Call, Guest};
use super::vm::{Home, Shared};
use super::worker::{Refusal, Worker};
use crate::exchange::{FailurePolicy, Setup};
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

/// Makes the guest of a new VM.
pub type Code<G> = Arc<dyn Fn(&Shared) -> Result<G, Refusal>>;

/// A plugin as it is configured.
pub struct Plan<G> {
    /// What runs.
    pub code: Code<G>,
    /// Plugins with the same number run the same code.
    pub identity: usize,
    /// The settings of the plugin. Those of the proxy are taken from the first plugin of a chain.
    pub setup: Setup,
}

/// So long a plugin stays as it was loaded, in nanoseconds. Envoy adds up to half of it, at random.
const RELOAD_INTERVAL: u64 = 1_000_000_000;

impl<G> Plan<G> {
    fn forget_code(&mut self) {
        self.code = Arc::new(|_| Err(Refusal::Failed("the plugin was replaced".into())));
    }
}

impl<G: Guest + 'static> Worker<G> {
    /// A chain of one plugin, whose guest is there already and cannot be made again.
    pub fn new(vm: Shared, guest: G) -> Self {
        let setup = vm.borrow().setup.clone();
        let guest = Cell::new(Some(guest));
        #[allow(clippy::arc_with_non_send_sync, reason = "it stays on this thread, as the guest does")]
        let code: Code<G> =
            Arc::new(move |_| guest.take().ok_or_else(|| Refusal::Failed("there is one guest only".into())));
        Self::of(vm, vec![Plan { code, identity: 0, setup }])
    }
}

impl<G: Guest> Worker<G> {
    /// A chain of plugins. Nothing runs yet.
    pub fn of(vm: Shared, plans: Vec<Plan<G>>) -> Self {
        Self { vm, guests: Vec::new(), plans, turn: 0, instructions_before: 0 }
    }

    /// Starts all plugins (rows 3 and 6).
    pub fn start(&mut self) -> Result<(), Refusal> {
        let chains = self.launch(0..self.plans.len())?;
        self.vm.borrow_mut().chains = chains;
        Ok(())
    }

    /// Puts other plugins in the place of all that there are, as a proxy does when its configuration has changed. Streams
    /// that are open keep the plugins that they have. If a plugin does not start, everything stays as it was.
    pub fn reconfigure(&mut self, plans: Vec<Plan<G>>) -> Result<(), Refusal> {
        let first = self.plans.len();
        self.plans.extend(plans);
        let started = self.launch(first..self.plans.len());
        let mut vm = self.vm.borrow_mut();
        let obsolete = if started.is_ok() { 0..first } else { first..self.plans.len() };
        // Their code would be kept for ever.
        self.plans[obsolete].iter_mut().for_each(Plan::forget_code);
        let outcome = match started {
            Ok(chains) => {
                vm.chains = chains;
                vm.setup = self.plans[first].setup.clone();
                vm.retire(|plugin| plugin.plan < first);
                Ok(())
            }
            Err(reason) => {
                vm.retire(|plugin| plugin.plan >= first);
                Err(reason)
            }
        };
        drop(vm);
        self.sweep();
        outcome
    }

    /// The proxy goes down: root contexts are told, and those that are not done yet wait for it (row 30).
    pub fn shut_down(&mut self) {
        self.vm.borrow_mut().chains.clear();
        self.vm.borrow_mut().retire(|_| true);
        self.sweep();
    }

    /// The worker that gets the next stream; by default they take turns.
    pub fn turn_to(&mut self, worker: usize) {
        self.turn = worker;
    }

    /// The plugins of the worker whose turn it is. One that has failed is loaded again where that is allowed and due
    /// (row 51).
    pub(super) fn next_chain(&mut self) -> Vec<usize> {
        let workers = self.vm.borrow().chains.len().max(1);
        let worker = self.turn % workers;
        self.turn = worker + 1;
        let seats = self.vm.borrow().chains.get(worker).map_or(0, Vec::len);
        (0..seats).for_each(|seat| self.reload(worker, seat));
        self.vm.borrow().chains.get(worker).cloned().unwrap_or_default()
    }

    fn reload(&mut self, worker: usize, seat: usize) {
        let (old, plan) = {
            let mut vm = self.vm.borrow_mut();
            let (old, now) = (vm.chains[worker][seat], vm.now());
            let failed = vm.sandboxes[vm.plugins[old].vm].failure.is_some();
            let plugin = &mut vm.plugins[old];
            let due = now.saturating_sub(plugin.loaded) >= RELOAD_INTERVAL;
            if !failed || !due || plugin.broken || plugin.setup.failure_policy != FailurePolicy::Reload {
                return;
            }
            plugin.loaded = now;
            (old, plugin.plan)
        };
        if let Ok(new) = self.load(plan, Home::Worker(worker)) {
            let mut vm = self.vm.borrow_mut();
            vm.plugins[old].retired = true;
            vm.chains[worker][seat] = new;
            drop(vm);
            self.sweep();
        }
    }

    /// Starts plugins everywhere, and tells where they are, by worker.
    fn launch(&mut self, plans: Range<usize>) -> Result<Vec<Vec<usize>>, Refusal> {
        let Some(first) = self.plans.get(plans.start) else { return Ok(Vec::new()) };
        let (workers, rehearse) = (first.setup.workers.max(1), first.setup.rehearse);
        if rehearse {
            plans.clone().try_for_each(|plan| self.rehearse(plan))?;
        }
        let mut chains = Vec::new();
        for worker in 0..workers {
            let home = Home::Worker(worker);
            let chain = plans.clone().map(|plan| self.load_anyway(plan, home, rehearse));
            chains.push(chain.collect::<Result<_, _>>()?);
        }
        Ok(chains)
    }

    /// What the main thread does before the workers: a start that decides whether the configuration is good and is then
    /// thrown away, and one whose VM stays, but serves nothing.
    fn rehearse(&mut self, plan: usize) -> Result<(), Refusal> {
        let canary = self.load(plan, Home::Canary)?;
        self.throw_away(canary);
        self.load_anyway(plan, Home::Main, true).map(|_| ())
    }

    /// After a good rehearsal a plugin that does not start is not refused any more: it has failed on this worker, and for
    /// good (row 6).
    fn load_anyway(&mut self, plan: usize, home: Home, rehearsed: bool) -> Result<usize, Refusal> {
        let loaded = self.load(plan, home);
        if !rehearsed {
            return loaded;
        }
        Ok(loaded.unwrap_or_else(|reason| {
            let mut vm = self.vm.borrow_mut();
            let plugin = vm.plugins.len() - 1;
            vm.plugins[plugin].retired = false;
            vm.plugins[plugin].broken = true;
            let index = vm.plugins[plugin].vm;
            vm.sandboxes[index].failure.get_or_insert_with(|| reason.to_string());
            plugin
        }))
    }

    /// Puts a plugin in its VM, which is made if there is none, and starts it there.
    fn load(&mut self, plan: usize, home: Home) -> Result<usize, Refusal> {
        let found = self.vm_for(plan, home);
        let made = found.is_none();
        let index = found.unwrap_or_else(|| self.vm.borrow_mut().new_vm(plan, home, &self.plans[plan].setup));
        let plugin = self.vm.borrow_mut().new_plugin(plan, index, self.plans[plan].setup.clone());
        let started = if made { self.make_guest(plan) } else { Ok(()) };
        let started = started.and_then(|()| self.start_plugin(plugin));
        if started.is_err() {
            self.vm.borrow_mut().plugins[plugin].retired = true;
        }
        started.map(|()| plugin)
    }

    fn make_guest(&mut self, plan: usize) -> Result<(), Refusal> {
        let made = (Arc::clone(&self.plans[plan].code))(&self.vm);
        let mut vm = self.vm.borrow_mut();
        vm.initialised();
        match made {
            Ok(guest) => {
                self.guests.push(Some(guest));
                Ok(())
            }
            Err(reason) => {
                vm.fail(reason.to_string());
                self.guests.push(None);
                Err(reason)
            }
        }
    }

    /// The VM in which a plugin belongs, if it is there already and sound.
    fn vm_for(&self, plan: usize, home: Home) -> Option<usize> {
        let vm = self.vm.borrow();
        let same = |other: usize| {
            let (own, other) = (&self.plans[plan], &self.plans[other]);
            own.identity == other.identity
                && own.setup.vm_id == other.setup.vm_id
                && own.setup.vm_configuration == other.setup.vm_configuration
        };
        vm.sandboxes.iter().zip(&self.guests).position(|(sandbox, guest)| {
            let usable = guest.is_some() && sandbox.failure.is_none() && home != Home::Canary;
            usable && sandbox.home == home && same(sandbox.plan)
        })
    }

    /// Ends a VM without a word to its guest.
    fn throw_away(&mut self, plugin: usize) {
        let mut vm = self.vm.borrow_mut();
        let (root, index) = (vm.plugins[plugin].root, vm.plugins[plugin].vm);
        vm.plugins[plugin].retired = true;
        vm.plugins[plugin].ended = true;
        vm.forget_context(root);
        drop(vm);
        self.guests[index] = None;
    }

    /// Ends plugins that no stream needs any more, and VMs in which no context lives.
    pub(super) fn sweep(&mut self) {
        let ending = self.vm.borrow_mut().take_ending();
        ending.into_iter().for_each(|root| self.end_root(root));
        let vm = self.vm.borrow();
        for (guest, sandbox) in self.guests.iter_mut().zip(&vm.sandboxes) {
            if sandbox.is_empty() {
                *guest = None;
            }
        }
    }

    /// Row 30.
    fn end_root(&mut self, root: u32) {
        let call = Call::Done { context: root };
        let waits = !self.failed(root) && self.has(&call) && matches!(self.call(&call), Ok(0));
        self.vm.borrow_mut().stop_iteration = false;
        if waits {
            self.vm.borrow_mut().waiting.insert(root);
        } else {
            self.delete_root(root);
        }
        self.run_deferred();
    }

    pub(super) fn delete_root(&mut self, root: u32) {
        self.notify(&Call::Delete { context: root });
        self.vm.borrow_mut().forget_context(root);
    }
}
