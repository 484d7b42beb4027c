//! The example programs on the `proxy-wasm` crate alone. The plugin's root id says which one it is.

mod filter_metadata;
mod grpc_auth_random;
mod hello_world;
mod http_auth_random;
mod http_body;
mod http_config;
mod http_headers;
mod shared_state;
mod tcp_routing;

use proxy_wasm::hostcalls::get_property;
use proxy_wasm::traits::{Context, RootContext};
use proxy_wasm::types::LogLevel;

/// Registers the programs; the entry of the plugin.
pub(crate) fn initialize() {
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| program());
}

fn program() -> Box<dyn RootContext> {
    let root_id = get_property(vec!["plugin_root_id"]).ok().flatten().unwrap_or_default();
    match root_id.as_slice() {
        b"filter_metadata" => Box::new(filter_metadata::Root::default()),
        b"grpc_auth_random" => Box::new(grpc_auth_random::Root),
        b"hello_world" => Box::new(hello_world::Root),
        b"http_auth_random" => Box::new(http_auth_random::Root),
        b"http_body" => Box::new(http_body::Root),
        b"http_config" => Box::new(http_config::Root::default()),
        b"http_headers" => Box::new(http_headers::Root),
        b"shared_state" => Box::new(shared_state::Root),
        b"tcp_routing" => Box::new(tcp_routing::Root::default()),
        _ => Box::new(Unknown),
    }
}

/// Refuses to start.
struct Unknown;

impl Context for Unknown {}

impl RootContext for Unknown {
    fn on_vm_start(&mut self, _: usize) -> bool {
        log::error!("no program has this root id");
        false
    }
}
