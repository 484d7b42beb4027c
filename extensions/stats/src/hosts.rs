//! Hosts that clients ask for: whoever calls a proxy can make up any number of them.

use crate::budget::{Budget, Ledger};
use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

/// Of all series of a metric, so many parts may be for hosts that nobody but a client has named.
const SHARE: usize = 5;

/// The hosts that are counted by their names; all others are `other`.
pub(crate) struct Hosts {
    /// Those that this worker knows, by hashes whose key nobody knows.
    known: RefCell<HashSet<u64>>,
    hasher: RandomState,
    limit: usize,
    budget: Budget,
}

impl Hosts {
    pub(crate) fn new(ledger: Option<Rc<Ledger>>, max_series: usize) -> Self {
        let limit = max_series.div_ceil(SHARE);
        Self {
            known: RefCell::default(),
            hasher: RandomState::new(),
            limit,
            budget: Budget::new(ledger, "hosts".to_owned(), limit),
        }
    }

    /// Whether a host is counted by its name. No host call for one that is known.
    pub(crate) fn counts(&self, host: &[u8]) -> bool {
        let (hash, mut known) = (self.hasher.hash_one(host), self.known.borrow_mut());
        if host.is_empty() || known.contains(&hash) {
            return true;
        }
        let has_room = known.len() < self.limit && self.budget.has_room(&String::from_utf8_lossy(host));
        if has_room {
            known.insert(hash);
        }
        has_room
    }
}
