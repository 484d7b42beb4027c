//! What TCP connections share: our frame, and the counters of the native filter.

use crate::policy::frame;
use crate::policy::local::Local;
use proxy_wasm_kit::{Counter, HostError, Root};

/// For all connections.
pub(crate) struct Tcp {
    frame: Vec<u8>,
    pub(crate) initial_header_not_found: Counter,
    pub(crate) header_not_found: Counter,
    metadata_added: Counter,
}

impl Tcp {
    pub(crate) fn new(root: &Root, local: &Local) -> Result<Self, HostError> {
        let counter = |name| root.counter(&format!("metadata_exchange_{name}"));
        Ok(Self {
            frame: frame::write(local),
            initial_header_not_found: counter("initial_header_not_found")?,
            header_not_found: counter("header_not_found")?,
            metadata_added: counter("metadata_added")?,
        })
    }

    /// What goes before the first bytes to who is told.
    pub(crate) fn begin(&self) -> &[u8] {
        let _ = self.metadata_added.add(1);
        &self.frame
    }
}
