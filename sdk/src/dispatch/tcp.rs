//! One TCP connection: its filter, and what the filter's hooks decide.

use super::plugin::{Plugin, RootState};
use super::tasks;
use super::{Action, guard};
use crate::abi;
use crate::config::Lenience;
use crate::context;
use crate::extension::Result;
use crate::tcp::{Closer, DownstreamData, TcpExtension, TcpFilter, TcpFlow, UpstreamData};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The context of one connection.
pub struct TcpStream<F> {
    id: u32,
    root: Rc<RootState>,
    /// `None` when the plugin has no valid configuration, which no faithful proxy lets happen.
    filter: RefCell<Option<F>>,
    is_closed: Cell<bool>,
}

impl<E: TcpExtension> Plugin<E> {
    /// Whether the configuration is accepted.
    pub(crate) fn configure_tcp(&mut self) -> bool {
        let lenience = Lenience { unknown_keys: E::UNKNOWN_KEYS, ..Lenience::NONE };
        self.configure_by(lenience, E::configure, |error, _| Err(error))
    }

    /// The connection with this id begins.
    pub(crate) fn open_tcp(&self, id: u32) -> Rc<TcpStream<E::Filter>> {
        context::begin(id, true);
        let filter = guard(None, || self.extension.as_ref().map(E::filter));
        TcpStream::new(id, self.state.clone(), filter)
    }
}

impl<F: TcpFilter> TcpStream<F> {
    pub(super) fn new(id: u32, root: Rc<RootState>, filter: Option<F>) -> Rc<Self> {
        Rc::new(Self { id, root, filter: RefCell::new(filter), is_closed: Cell::default() })
    }

    pub(crate) fn connection(&self) -> Action {
        self.event(F::on_connection)
    }

    pub(crate) fn downstream_data(&self, size: usize, end: bool) -> Action {
        self.event(|filter| filter.on_downstream_data(&mut DownstreamData::new(size, end)))
    }

    pub(crate) fn upstream_data(&self, size: usize, end: bool) -> Action {
        self.event(|filter| filter.on_upstream_data(&mut UpstreamData::new(size, end)))
    }

    pub(crate) fn downstream_close(&self, by: Closer) {
        self.tell(|filter| filter.on_downstream_close(by));
    }

    pub(crate) fn upstream_close(&self, by: Closer) {
        self.tell(|filter| filter.on_upstream_close(by));
    }

    pub(crate) fn log(&self) {
        self.tell(F::on_log);
    }

    pub(crate) fn done(&self) {
        self.tell(F::on_done);
    }

    fn tell(&self, hook: impl FnOnce(&mut F)) {
        guard((), || {
            context::begin(self.id, true);
            self.with_filter(hook);
            tasks::run(self.root.here(self.id));
        });
    }

    fn event(&self, hook: impl FnOnce(&mut F) -> Result<TcpFlow>) -> Action {
        guard(Action::Pause, || {
            context::begin(self.id, true);
            let flow = self.run(hook);
            tasks::run(self.root.here(self.id));
            match flow {
                TcpFlow::Continue => Action::Continue,
                TcpFlow::Buffer => Action::Pause,
                TcpFlow::Close => self.close(),
            }
        })
    }

    fn run(&self, hook: impl FnOnce(&mut F) -> Result<TcpFlow>) -> TcpFlow {
        let decide = |filter: &mut F| {
            hook(filter).unwrap_or_else(|error| {
                log::error!("a hook failed: {error}");
                filter.on_error(&error)
            })
        };
        self.with_filter(decide).unwrap_or(TcpFlow::Close)
    }

    fn with_filter<T>(&self, hook: impl FnOnce(&mut F) -> T) -> Option<T> {
        // Nobody else holds it: the proxy enters a hook only when no other runs.
        self.filter.try_borrow_mut().ok()?.as_mut().map(hook)
    }

    fn close(&self) -> Action {
        if self.is_closed.replace(true) { Action::Pause } else { close() }
    }
}

/// Closes the connection whose callback runs; also one that nothing is known of, which no faithful proxy lets happen.
pub(crate) fn close() -> Action {
    if let Err(error) = abi::close_connection() {
        log::error!("the connection cannot be closed: {error}");
    }
    Action::Pause
}
