//! Who is at the other end of a stream: proxies of a mesh tell each other, and this one notes it in filter state.
#![forbid(unsafe_code)]

mod around;
pub mod config;
mod connection;
mod node;
pub mod policy;
mod stream;
mod tcp;

use around::Around;
use config::Config;
use connection::Connection;
use policy::local::Local;
use policy::peers::Peers;
use policy::plan::{self, Plans};
use proxy_wasm_kit::prelude::*;
use std::cell::RefCell;
use stream::{DOWNSTREAM, Stream, UPSTREAM};
use tcp::Tcp;

/// The plugin: one configuration on one worker.
struct MetadataExchange {
    plans: Plans,
    around: Around,
    local: Local,
    peers: RefCell<Peers>,
    refused: Counter,
    tcp: Tcp,
}

proxy_wasm_kit::entry!(http, tcp: MetadataExchange);

impl Extension for MetadataExchange {
    type Config = Config;
    type Filter = Stream;
    /// The original ignored them.
    const UNKNOWN_KEYS: UnknownKeys = UnknownKeys::Warn;

    fn configure(config: Config, root: &Root) -> Result<Self, ConfigError> {
        let plans = Plans::new(&config);
        plans.warnings.iter().for_each(|warning| log::warn!("configuration: {warning}"));
        if let Some((path, why)) = config.mistake() {
            root.complain(ConfigError::at(path, why));
        }
        let local = Local::new(&config, &node::read()?);
        local.complaint().iter().for_each(|complaint| log::warn!("{complaint}"));
        DOWNSTREAM.declare(root)?;
        UPSTREAM.declare(root)?;
        let around = Around::new(root, &plans, plan::stated(&config));
        let refused = root.counter("metadata_exchange_refused")?;
        let tcp = Tcp::new(root, &local)?;
        let peers = RefCell::new(Peers::new(config.most_peers()));
        Ok(Self { plans, around, local, peers, refused, tcp })
    }

    /// The original never stood in the way. Without knowing whom to trust, nobody is, and nobody is told.
    fn misconfigured(error: ConfigError, root: &Root) -> Result<Self, ConfigError> {
        root.complain(error);
        Self::configure(Config::silent(), root)
    }

    fn filter(self: &Rc<Self>) -> Stream {
        Stream::new(self.clone())
    }
}

impl AlsoTcp for MetadataExchange {
    type Connection = Connection;

    fn connection(self: &Rc<Self>) -> Connection {
        Connection::new(self.clone())
    }
}
