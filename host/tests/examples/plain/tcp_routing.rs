//! TCP routing: a connection goes to one of two clusters, by whether the last number of the client's address is even. The
//! configuration may name others than the usual two.

use log::info;
use proxy_wasm::traits::{Context, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType, PeerType};

#[derive(Default)]
pub(super) struct Root {
    clusters: Vec<String>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        let names = String::from_utf8_lossy(&configuration).into_owned();
        let names = if names.is_empty() { "egress-router1 egress-router2".into() } else { names };
        self.clusters = names.split(' ').map(str::to_owned).collect();
        true
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::StreamContext)
    }

    fn create_stream_context(&self, _: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Stream { clusters: self.clusters.clone() }))
    }
}

struct Stream {
    clusters: Vec<String>,
}

impl Context for Stream {}

impl Stream {
    fn route(&self) -> Option<&String> {
        let source = self.get_property(vec!["source", "address"])?;
        let source = String::from_utf8_lossy(&source);
        let (address, _) = source.rsplit_once(':')?;
        let (_, octet) = address.rsplit_once('.')?;
        info!("The last number of {address} is {octet}.");
        self.clusters.get(octet.parse::<usize>().ok()? % 2)
    }
}

impl StreamContext for Stream {
    fn on_new_connection(&mut self) -> Action {
        let Some(cluster) = self.route() else {
            self.close_downstream();
            return Action::Pause;
        };
        let told = self.call_foreign_function("set_envoy_filter_state", Some(&arguments(cluster)));
        info!("To {cluster}: {}.", if told.is_ok() { "done" } else { "refused" });
        Action::Continue
    }

    fn on_downstream_data(&mut self, size: usize, last: bool) -> Action {
        info!("Down {size} {last}.");
        Action::Continue
    }

    fn on_downstream_close(&mut self, peer: PeerType) {
        info!("Closed: {peer:?}.");
    }
}

/// The message with path, value and life span (0, that of the filter chain) that the function takes.
fn arguments(cluster: &str) -> Vec<u8> {
    let field = |number: u8, text: &str| {
        let size = u8::try_from(text.len()).unwrap_or(0);
        [&[number << 3 | 2, size], text.as_bytes()].concat()
    };
    [field(1, "envoy.tcp_proxy.cluster"), field(2, cluster)].concat()
}
