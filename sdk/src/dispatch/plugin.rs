//! A plugin: the root context of one configuration on one worker.

use super::ids::Ids;
use super::tasks::{self, Owner, Place, Task};
use super::timers::Timers;
use super::{HttpStream, guard, queues};
use crate::abi::{self, Buffer};
use crate::config::{self, ConfigError, Lenience};
use crate::context;
use crate::extension::{Extension, Result};
use crate::logger;
use crate::response::Flow;
use crate::root::Root;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::task::Poll;

/// The root context.
pub struct Plugin<E> {
    /// `None` until a configuration has been accepted.
    pub(super) extension: Option<Rc<E>>,
    pub(super) state: Rc<RootState>,
}

/// What streams need of their root.
pub(crate) struct RootState {
    pub(super) id: u32,
    pub(super) timers: Rc<Timers>,
    tasks: RefCell<Ids<Task>>,
}

impl<E: Extension> Plugin<E> {
    /// Whether the configuration is accepted.
    pub(crate) fn configure(&mut self) -> bool {
        let lenience = Lenience { unknown_keys: E::UNKNOWN_KEYS, wrong_values: E::WRONG_VALUES };
        self.configure_by(lenience, E::configure, E::misconfigured)
    }

    /// The stream with this id begins.
    pub(crate) fn open(&self, id: u32) -> Rc<HttpStream<E::Filter>> {
        context::begin(id, true);
        let filter = guard(None, || self.extension.as_ref().map(E::filter));
        HttpStream::new(id, self.state.clone(), filter)
    }
}

impl<E> Plugin<E> {
    pub(crate) fn new(id: u32) -> Self {
        let state = RootState { id, timers: Rc::default(), tasks: RefCell::default() };
        Self { extension: None, state: Rc::new(state) }
    }

    /// Reads the configuration and hands it to `configure`, or what is wrong with it to `misconfigured`. The tasks that
    /// this makes begin when it is accepted.
    pub(super) fn configure_by<C: DeserializeOwned>(
        &mut self,
        lenience: Lenience,
        configure: fn(C, &Root) -> Result<E, ConfigError>,
        misconfigured: fn(ConfigError, &Root) -> Result<E, ConfigError>,
    ) -> bool {
        guard(false, || {
            context::begin(self.state.id, false);
            self.state.end();
            logger::start();
            match self.read(lenience, configure, misconfigured) {
                Ok(extension) => self.extension = Some(Rc::new(extension)),
                Err(error) => {
                    self.state.end();
                    log::error!("configuration rejected: {error}");
                    return false;
                }
            }
            tasks::run(self.state.place());
            true
        })
    }

    fn read<C: DeserializeOwned>(
        &self,
        lenience: Lenience,
        configure: fn(C, &Root) -> Result<E, ConfigError>,
        misconfigured: fn(ConfigError, &Root) -> Result<E, ConfigError>,
    ) -> Result<E, ConfigError> {
        let text = abi::buffer(Buffer::PluginConfiguration, 0, config::LIMIT)?.unwrap_or_default();
        let root = Root::new(self.state.clone(), text);
        let configured = config::read(root.text(), lenience).and_then(|config| configure(config, &root));
        let located = |error: ConfigError| error.located_in(root.text());
        configured.map_err(located).or_else(|error| misconfigured(error, &root)).map_err(located)
    }

    /// The host's timer has fired.
    pub(crate) fn tick(&self) {
        self.callback(|| {
            let (timers, place) = (&self.state.timers, self.state.place());
            let result = timers.fire().and_then(|()| {
                tasks::run(place);
                timers.rearm()
            });
            if let Err(error) = result {
                log::error!("timers cannot go on: {error}");
            }
        });
    }

    /// There is something in a queue.
    pub(crate) fn queue_ready(&self, queue: u32) {
        self.callback(|| queues::ready(queue));
    }

    /// An answer to a callout: `deliver` hands it to who waits for it.
    pub(crate) fn answer(&self, deliver: impl FnOnce()) {
        self.callback(deliver);
    }

    pub(crate) fn done(&self) {
        self.callback(|| self.state.end());
    }

    fn callback(&self, work: impl FnOnce()) {
        guard((), || {
            context::begin(self.state.id, false);
            work();
            tasks::run(self.state.place());
        });
    }
}

impl RootState {
    /// Begins a task that lives as long as the root; polled at the end of the callback that runs.
    pub(crate) fn spawn(self: &Rc<Self>, work: impl Future<Output = Result<()>> + 'static) {
        let work = async move { work.await.map(|()| Flow::Continue) };
        let owner: Weak<Self> = Rc::downgrade(self);
        let task = Task::new(owner, Box::pin(work), None);
        task.wake();
        self.tasks.borrow_mut().insert(task.id(), task);
    }

    /// A stream of this root.
    pub(super) fn here(&self, stream: u32) -> Place {
        Place { root: self.id, stream: Some(stream) }
    }

    /// Ends all tasks.
    fn end(&self) {
        // Not while the cell is held: what a task drops may be anything.
        drop(self.tasks.take());
    }
}

impl Owner for RootState {
    fn place(&self) -> Place {
        Place { root: self.id, stream: None }
    }

    fn timers(&self) -> &Rc<Timers> {
        &self.timers
    }

    fn poll(self: Rc<Self>, id: u32) {
        let taken = self.tasks.borrow_mut().remove(id);
        let Some(task) = taken else { return };
        task.poll(|polled| {
            if let Poll::Ready(Err(error)) = polled {
                log::error!("a task failed: {error}");
            }
            polled.is_pending()
        })
        .then(|| self.tasks.borrow_mut().insert(id, task));
    }
}
