//! Who is at the other end of a stream: proxies of a mesh tell each other, and this one notes it in filter state.
#![forbid(unsafe_code)]

mod around;
pub mod config;
mod node;
pub mod policy;
mod stream;

use around::Around;
use config::{Config, Metadata, Trust};
use policy::local::Local;
use policy::peers::Peers;
use policy::plan::{self, Plans};
use proxy_wasm_kit::foreign::{LifeSpan, Property};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit_mesh::Peer;
use std::cell::RefCell;
use std::fmt::Display;
use stream::{DOWNSTREAM, Stream, UPSTREAM};

/// The plugin: one configuration on one worker.
struct MetadataExchange {
    plans: Plans,
    around: Around,
    local: Local,
    peers: RefCell<Peers>,
    refused: Counter,
}

proxy_wasm_kit::entry!(MetadataExchange);

impl Extension for MetadataExchange {
    type Config = Config;
    type Filter = Stream;
    /// The original ignored them.
    const UNKNOWN_KEYS: UnknownKeys = UnknownKeys::Warn;

    fn configure(config: Config, root: &Root) -> Result<Self, ConfigError> {
        let plans = Plans::new(&config);
        plans.warnings.iter().for_each(|warning| log::warn!("configuration: {warning}"));
        let node = node::read()?;
        let kind = config.metadata.unwrap_or(if plan::has_lists(&config) {
            Metadata::Reduced
        } else {
            Metadata::Full
        });
        let local = match kind {
            Metadata::Full => Local::full(&node),
            Metadata::Reduced => Local::reduced(&node, &config.additional_labels),
        };
        for end in [DOWNSTREAM, UPSTREAM] {
            Property::new(end.peer).flat_buffer(Peer::FLAT_SCHEMA).lives(LifeSpan::Request).declare(root)?;
        }
        let most = usize::try_from(config.max_peer_cache_size.unwrap_or(500)).unwrap_or(0);
        let around = Around::new(root, &plans, plan::stated(&config));
        let refused = root.counter("metadata_exchange_refused")?;
        Ok(Self { plans, around, local, peers: RefCell::new(Peers::new(most)), refused })
    }

    /// The original never stood in the way. Without knowing whom to trust, nobody is.
    fn misconfigured(error: ConfigError, root: &Root) -> Result<Self, ConfigError> {
        root.complain(error);
        Self::configure(Config { trust: Trust::None, ..Config::default() }, root)
    }

    fn filter(self: &Rc<Self>) -> Stream {
        Stream::new(self.clone())
    }
}

impl MetadataExchange {
    fn refuse(&self, why: impl Display) {
        log::debug!("a peer is not believed: {why}");
        // A count that is lost must not cost a request.
        let _ = self.refused.add(1);
    }
}
