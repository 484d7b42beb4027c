//! Hosts that clients ask for: whoever calls a proxy can make up any number of them.

use crate::budget::{Budget, Ledger};
use proxy_wasm_kit::{Counter, HostError, Root};
use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

/// Of all series of a metric, so many parts may be for hosts that nobody but a client has named.
const SHARE: usize = 5;

/// What all others are called.
const OTHER: &[u8] = b"other";

/// The hosts that are counted by their names.
pub(crate) struct Hosts {
    /// Those that this worker knows, by hashes whose key nobody knows.
    known: RefCell<HashSet<u64>>,
    hasher: RandomState,
    limit: usize,
    budget: Budget,
    /// Requests to hosts for which there was no place.
    over_limit: Counter,
}

impl Hosts {
    pub(crate) fn new(root: &Root, ledger: Option<Rc<Ledger>>, max_series: usize) -> Result<Self, HostError> {
        let limit = max_series.div_ceil(SHARE);
        Ok(Self {
            known: RefCell::default(),
            hasher: RandomState::new(),
            limit,
            budget: Budget::new(ledger, "hosts".to_owned(), limit),
            over_limit: root.counter("wasm_filter.stats_filter.hosts_over_limit")?,
        })
    }

    /// What a host is counted as. No host call for one that is known. One whose request no route took gets no place, as
    /// nobody but the client says that it is there.
    pub(crate) fn called<'a>(&self, host: &'a [u8], is_routed: bool) -> &'a [u8] {
        let (hash, mut known) = (self.hasher.hash_one(host), self.known.borrow_mut());
        if host.is_empty() || known.contains(&hash) {
            return host;
        }
        let name = String::from_utf8_lossy(host);
        let has_place = match is_routed {
            true => known.len() < self.limit && self.budget.has_room(&name),
            false => self.budget.has_place(&name),
        };
        if has_place {
            known.insert(hash);
            return host;
        }
        if is_routed && let Err(error) = self.over_limit.add(1) {
            log::warn!("a count of the plugin itself is lost: {error}");
        }
        OTHER
    }
}
