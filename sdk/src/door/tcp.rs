//! The door for TCP connections.

use crate::dispatch::{Plugin, TcpStream};
use crate::tcp::{Closer, TcpExtension, TcpFilter};
use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType, PeerType};

/// Registers the extension with the crate's dispatcher. For [`entry!`](crate::entry) only.
#[doc(hidden)]
pub fn register_tcp<E: TcpExtension>() {
    crate::abi::calls::begin_through_the_crate();
    proxy_wasm::set_root_context(|id| Box::new(RootDoor(Plugin::<E>::new(id))));
}

struct RootDoor<E>(Plugin<E>);

impl<E: TcpExtension> Context for RootDoor<E> {
    super::answers!();

    fn on_done(&mut self) -> bool {
        self.0.done();
        true
    }
}

impl<E: TcpExtension> RootContext for RootDoor<E> {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.0.configure_tcp()
    }

    fn on_tick(&mut self) {
        self.0.tick();
    }

    fn on_queue_ready(&mut self, queue: u32) {
        self.0.queue_ready(queue);
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }

    fn create_stream_context(&self, id: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(TcpDoor(self.0.open_tcp(id))))
    }
}

struct TcpDoor<F>(TcpStream<F>);

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
