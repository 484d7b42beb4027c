//! The door for HTTP streams and TCP connections at once.

use super::tcp::TcpDoor;
use super::{HttpDoor, Streams, register_kind};
use crate::abi;
use crate::dispatch::Plugin;
use crate::dispatch::kind::Dual;
use crate::tcp::AlsoTcp;
use proxy_wasm::traits::{HttpContext, StreamContext};
use proxy_wasm::types::ContextType;

/// Registers the extension with the crate's dispatcher. For [`entry!`](crate::entry) only.
#[doc(hidden)]
pub fn register_dual<E: AlsoTcp>() {
    register_kind::<Dual<E>>();
}

impl<E: AlsoTcp> Streams for Dual<E> {
    /// The crate wants to know it before the stream's first callback, which alone tells. But only an HTTP stream has a
    /// protocol.
    fn context_type() -> ContextType {
        match abi::property("request\0protocol") {
            Ok(Some(_)) => ContextType::HttpContext,
            _ => ContextType::StreamContext,
        }
    }

    fn http(plugin: &Plugin<E>, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(HttpDoor(plugin.open(id))))
    }

    fn tcp(plugin: &Plugin<E>, id: u32) -> Option<Box<dyn StreamContext>> {
        let stream = plugin.open_dual(id);
        stream.tcp().cloned().map(|stream| -> Box<dyn StreamContext> { Box::new(TcpDoor(stream)) })
    }
}
