//! The door for TCP connections.

use super::{Streams, register_kind};
use crate::dispatch::kind::Tcp;
use crate::dispatch::{Plugin, TcpStream};
use crate::tcp::{Closer, TcpExtension, TcpFilter};
use proxy_wasm::traits::{Context, StreamContext};
use proxy_wasm::types::{Action, ContextType, PeerType};
use std::rc::Rc;

/// Registers the extension with the crate's dispatcher. For [`entry!`](crate::entry) only.
#[doc(hidden)]
pub fn register_tcp<E: TcpExtension>() {
    register_kind::<Tcp<E>>();
}

impl<E: TcpExtension> Streams for Tcp<E> {
    fn context_type() -> ContextType {
        ContextType::StreamContext
    }

    fn tcp(plugin: &Plugin<E>, id: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(TcpDoor(plugin.open_tcp(id))))
    }
}

pub(super) struct TcpDoor<F>(pub(super) Rc<TcpStream<F>>);

impl<F: TcpFilter> Context for TcpDoor<F> {
    fn on_done(&mut self) -> bool {
        self.0.done();
        true
    }
}

impl<F: TcpFilter> StreamContext for TcpDoor<F> {
    fn on_new_connection(&mut self) -> Action {
        self.0.connection().into()
    }

    fn on_downstream_data(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.0.downstream_data(size, end_of_stream).into()
    }

    fn on_upstream_data(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.0.upstream_data(size, end_of_stream).into()
    }

    fn on_downstream_close(&mut self, by: PeerType) {
        self.0.downstream_close(closer(by));
    }

    fn on_upstream_close(&mut self, by: PeerType) {
        self.0.upstream_close(closer(by));
    }

    fn on_log(&mut self) {
        self.0.log();
    }
}

fn closer(by: PeerType) -> Closer {
    match by {
        PeerType::Local => Closer::Local,
        PeerType::Remote => Closer::Remote,
        _ => Closer::Unknown,
    }
}
