//! One TCP connection: its filter, and what the filter's hooks decide.

use super::plugin::{Plugin, RootState};
use super::tasks;
use super::{Action, guard};
use crate::abi;
use crate::context;
use crate::extension::Result;
use crate::tcp::{Closer, DownstreamData, TcpExtension, TcpFilter, TcpFlow, UpstreamData};
use std::rc::Rc;

/// The context of one connection.
pub(crate) struct TcpStream<F> {
    id: u32,
    root: Rc<RootState>,
    /// `None` when the plugin has no valid configuration, which no faithful proxy lets happen.
    filter: Option<F>,
    is_closed: bool,
}

impl<E: TcpExtension> Plugin<E> {
    /// Whether the configuration is accepted.
    pub(crate) fn configure_tcp(&mut self) -> bool {
        self.configure_by(E::UNKNOWN_KEYS, E::configure)
    }

    /// The connection with this id begins.
    pub(crate) fn open_tcp(&self, id: u32) -> TcpStream<E::Filter> {
        context::begin(id, true);
        let filter = guard(None, || self.extension.as_ref().map(E::filter));
        TcpStream { id, root: self.state.clone(), filter, is_closed: false }
    }
}

impl<F: TcpFilter> TcpStream<F> {
    pub(crate) fn connection(&mut self) -> Action {
        self.event(F::on_connection)
    }

    pub(crate) fn downstream_data(&mut self, size: usize, end: bool) -> Action {
        self.event(|filter| filter.on_downstream_data(&mut DownstreamData::new(size, end)))
    }

    pub(crate) fn upstream_data(&mut self, size: usize, end: bool) -> Action {
        self.event(|filter| filter.on_upstream_data(&mut UpstreamData::new(size, end)))
    }

    pub(crate) fn downstream_close(&mut self, by: Closer) {
        self.tell(|filter| filter.on_downstream_close(by));
    }

    pub(crate) fn upstream_close(&mut self, by: Closer) {
        self.tell(|filter| filter.on_upstream_close(by));
    }

    pub(crate) fn log(&mut self) {
        self.tell(F::on_log);
    }

    pub(crate) fn done(&mut self) {
        self.tell(F::on_done);
    }

    fn tell(&mut self, hook: impl FnOnce(&mut F)) {
        guard((), || {
            context::begin(self.id, true);
            self.filter.as_mut().map(hook);
            tasks::run(self.root.here(self.id));
        });
    }

    fn event(&mut self, hook: impl FnOnce(&mut F) -> Result<TcpFlow>) -> Action {
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

    fn run(&mut self, hook: impl FnOnce(&mut F) -> Result<TcpFlow>) -> TcpFlow {
        let Some(filter) = &mut self.filter else { return TcpFlow::Close };
        hook(filter).unwrap_or_else(|error| {
            log::error!("a hook failed: {error}");
            filter.on_error(&error)
        })
    }

    fn close(&mut self) -> Action {
        if !std::mem::replace(&mut self.is_closed, true)
            && let Err(error) = abi::close_connection()
        {
            log::error!("the connection cannot be closed: {error}");
        }
        Action::Pause
    }
}
