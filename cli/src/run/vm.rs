//! The seam to the host: one plugin in one VM, on the thread that serves with it.
//!
//! Requests of one thread share the VM, and a plugin may hold any of them back, so everything is done in steps: a step
//! enters the guest and returns at once, and what it did (log lines, host calls, callouts) is put on the account of the
//! stream that it was taken for. The engine's clock is virtual; it is moved along with the real one before each step.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::outside::{Around, Arrive, Live, Note};
use super::plugin::Plugin;
use proxy_wasm_kit_host::engine::{Metric, Refusal, Standing, Vm, Worker};
use proxy_wasm_kit_host::exchange::{Clock, Exchange, LogLine, Message};
use proxy_wasm_kit_host::wasm::Instance;
use tokio::sync::Notify;

/// A plugin that has been configured.
pub(super) struct PluginVm {
    name: String,
    state: RefCell<State>,
    /// Tells everybody who waits for the plugin that something has happened in it.
    moved: Rc<Notify>,
    live: Rc<Live>,
    background: Background,
}

/// Hears what a plugin logs when no request is served: its name, and the lines.
pub(super) type Background = Box<dyn Fn(&str, &[LogLine])>;

struct State {
    worker: Worker<Instance>,
    born: Instant,
    passed: Duration,
    accounts: BTreeMap<u32, Account>,
}

/// What a plugin did for one stream.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) time: Duration,
    pub(super) instructions: u64,
    pub(super) host_calls: BTreeMap<String, u32>,
    pub(super) lines: Vec<LogLine>,
    /// Callouts and their outcomes, as text.
    pub(super) callouts: Vec<String>,
}

/// What comes of a request when the plugin is done with it.
pub(super) enum Turn {
    /// It goes on like this.
    On(Message),
    /// The plugin has answered, or the stream was reset; [`PluginVm::end`] tells which.
    Answered,
}

impl PluginVm {
    /// Starts a plugin on this thread. `background` hears what is logged when no request is served.
    pub(super) fn start(
        plugin: &Plugin,
        around: &Around,
        tells_start: bool,
        background: Background,
    ) -> Result<Rc<Self>, Rejection> {
        let live = Live::new(around.clone());
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut setup = plugin.setup.clone();
        setup.clock = Clock::Fixed(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        let shared = Vm::within(setup.clone(), live.outside()).into_shared();
        let mut worker = Worker::of(shared.clone(), vec![plugin.module.plan(setup)]);
        let rejection = |reason| Rejection { reason, lines: shared.borrow().lines().to_vec() };
        worker.start().map_err(rejection)?;
        let lines = worker.take_lines();
        worker.take_host_calls();
        let state = State { worker, born: Instant::now(), passed: Duration::ZERO, accounts: BTreeMap::new() };
        let name = plugin.setup.name.clone();
        let vm = Rc::new(Self { name, state: RefCell::new(state), moved: Rc::default(), live, background });
        vm.tell(if tells_start { &lines } else { &[] });
        vm.depart(None);
        tokio::task::spawn_local(keep_time(Rc::downgrade(&vm), Rc::clone(&vm.moved)));
        Ok(vm)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A request arrives. Returns the number of its stream.
    pub(super) fn admit(self: &Rc<Self>, request: Message) -> u32 {
        let id = self.step(None, |worker| worker.admit(request));
        // The step could not know the number yet.
        self.state.borrow_mut().reassign(id);
        self.depart(Some(id));
        id
    }

    /// Waits until the plugin lets the request go on, or has answered it.
    pub(super) async fn request(&self, id: u32) -> Turn {
        loop {
            // Enabled before looking, so that nothing is missed in between.
            let moved = self.moved.notified();
            match self.state.borrow().worker.standing(id) {
                Standing::Upstream(message) => return Turn::On(message),
                Standing::Over => return Turn::Answered,
                Standing::Held => {}
            }
            moved.await;
        }
    }

    /// The response to a request that went on; waits until the plugin has let it pass.
    pub(super) async fn response(self: &Rc<Self>, id: u32, response: Message) {
        self.step(Some(id), |worker| worker.upstream_answers(id, response));
        loop {
            let moved = self.moved.notified();
            if matches!(self.state.borrow().worker.standing(id), Standing::Over) {
                return;
            }
            moved.await;
        }
    }

    /// What the client gets; none if the stream was reset.
    pub(super) fn client_side(&self, id: u32) -> Option<Message> {
        self.state.borrow().worker.client_side(id)
    }

    /// Ends a stream: what came of it, and what it cost.
    pub(super) fn end(self: &Rc<Self>, id: u32) -> (Exchange, Account) {
        let exchange = self.step(Some(id), |worker| worker.end(id));
        (exchange, self.state.borrow_mut().accounts.remove(&id).unwrap_or_default())
    }

    pub(super) fn metrics(&self) -> BTreeMap<String, Metric> {
        self.state.borrow().worker.vm().borrow().metrics()
    }

    /// Enters the guest, for a stream or for itself.
    pub(super) fn step<T>(
        self: &Rc<Self>,
        id: Option<u32>,
        enter: impl FnOnce(&mut Worker<Instance>) -> T,
    ) -> T {
        let background = {
            let state = &mut *self.state.borrow_mut();
            state.catch_up();
            state.take_account()
        };
        self.tell(&background.lines);
        let mut state = self.state.borrow_mut();
        let begun = Instant::now();
        let before = state.worker.instructions().unwrap_or_default();
        let result = enter(&mut state.worker);
        let mut done = state.take_account();
        done.time = begun.elapsed();
        done.instructions = state.worker.instructions().unwrap_or_default().saturating_sub(before);
        match id {
            Some(id) => state.accounts.entry(id).or_default().add(done),
            // The number 0 is no stream's: kept for whoever asks next.
            None => state.accounts.entry(0).or_default().add(done),
        }
        drop(state);
        if id.is_some() {
            self.depart(id);
        }
        self.moved.notify_waiters();
        result
    }

    /// A step for no stream: a timer, or a callout that nobody's request began.
    fn step_aside(self: &Rc<Self>, enter: impl FnOnce(&mut Worker<Instance>)) {
        self.step(None, enter);
        let account = self.state.borrow_mut().accounts.remove(&0).unwrap_or_default();
        self.tell(&account.lines);
        self.depart(None);
    }

    /// Sends the callouts of the last step on their way.
    fn depart(self: &Rc<Self>, id: Option<u32>) {
        let vm = Rc::downgrade(self);
        let arrive: Arrive = Rc::new(move |callout, part| {
            let Some(vm) = vm.upgrade() else { return };
            match id.filter(|id| vm.is_open(*id)) {
                Some(id) => vm.step(Some(id), |worker| worker.arrive(callout, part)),
                None => vm.step_aside(|worker| worker.arrive(callout, part)),
            }
        });
        let vm = Rc::downgrade(self);
        let note: Note = Rc::new(move |text| {
            let Some((vm, id)) = vm.upgrade().zip(id) else { return };
            if vm.is_open(id) {
                vm.state.borrow_mut().accounts.entry(id).or_default().callouts.push(text);
            }
        });
        self.live.depart(&arrive, &note);
    }

    fn is_open(&self, id: u32) -> bool {
        self.state.borrow().accounts.contains_key(&id)
    }

    fn tell(&self, lines: &[LogLine]) {
        if !lines.is_empty() {
            (self.background)(&self.name, lines);
        }
    }
}

impl State {
    /// Lets the virtual clock follow the real one, with the timers that are due.
    fn catch_up(&mut self) {
        let now = self.born.elapsed();
        self.worker.pass(now.saturating_sub(self.passed));
        self.passed = now;
    }

    /// How long it is until something happens in the plugin by itself.
    fn due(&self) -> Option<Duration> {
        let due = self.worker.next_due()?.saturating_add(self.passed);
        Some(due.saturating_sub(self.born.elapsed()))
    }

    fn take_account(&mut self) -> Account {
        Account {
            lines: self.worker.take_lines(),
            host_calls: self.worker.take_host_calls(),
            ..Account::default()
        }
    }

    /// What was done before the number of the stream was known is on its account.
    fn reassign(&mut self, id: u32) {
        let account = self.accounts.remove(&0).unwrap_or_default();
        self.accounts.insert(id, account);
    }
}

impl Account {
    fn add(&mut self, more: Self) {
        self.time += more.time;
        self.instructions += more.instructions;
        self.lines.extend(more.lines);
        self.callouts.extend(more.callouts);
        more.host_calls
            .into_iter()
            .for_each(|(name, count)| *self.host_calls.entry(name).or_default() += count);
    }
}

/// Enters the plugin whenever one of its timers is due, as long as it lives.
async fn keep_time(vm: Weak<PluginVm>, moved: Rc<Notify>) {
    loop {
        // Enabled before looking: a timer that is set meanwhile is noticed.
        let changed = moved.notified();
        let due = match vm.upgrade() {
            Some(vm) => vm.state.borrow().due(),
            None => return,
        };
        tokio::select! {
            () = changed => continue,
            () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => {}
        }
        if let Some(vm) = vm.upgrade() {
            vm.step_aside(|_| ());
        }
    }
}

impl Drop for PluginVm {
    fn drop(&mut self) {
        // Who keeps its time learns that there is nothing to keep.
        self.moved.notify_waiters();
    }
}

/// Why a plugin did not start.
#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) reason: Refusal,
    pub(super) lines: Vec<LogLine>,
}

impl Rejection {
    /// What happened, and the plugin's own words, which tell best: in one line.
    pub(super) fn text(&self) -> String {
        let own = self.lines.iter().max_by_key(|line| line.level);
        let own = own.map(|line| format!(": {}", line.message.replace('\n', " ")));
        format!("{}{}", self.reason, own.unwrap_or_default())
    }
}
