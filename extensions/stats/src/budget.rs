//! How much the whole proxy may have of something: counted in shared data, by all workers and over all starts of one
//! configuration.
//!
//! What a proxy has once named it keeps, and so does shared data. Each name is one entry there, which is made only while there
//! is room, so there are never more entries than names that count.

use proxy_wasm_kit::{Bytes, HostError, Shared};
use std::cell::Cell;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::rc::Rc;

/// Under what a plugin counts.
pub(crate) struct Ledger {
    /// Tells this configuration from others.
    scope: u64,
    /// Names are kept as 128 bits, under keys that nobody outside knows.
    keys: (u64, u64),
}

/// So many of one kind.
pub(crate) struct Budget {
    /// `None` where the proxy shares nothing among workers.
    ledger: Option<Rc<Ledger>>,
    kind: String,
    limit: u64,
    /// There is no more room, and never will be.
    is_full: Cell<bool>,
}

impl Ledger {
    /// `None` where the proxy shares nothing among workers.
    pub(crate) fn open(configuration: &str) -> Option<Rc<Self>> {
        let mut scope = DefaultHasher::new();
        configuration.hash(&mut scope);
        let keys = keys().inspect_err(|error| log::debug!("each worker counts for itself: {error}")).ok()?;
        Some(Rc::new(Self { scope: scope.finish(), keys }))
    }

    fn entry(&self, kind: &str, name: &str) -> Shared<Bytes> {
        let hash = |key: u64| {
            let mut hasher = DefaultHasher::new();
            (key, kind, name).hash(&mut hasher);
            hasher.finish()
        };
        Shared::at(format!("stats.{:016x}.{:016x}{:016x}", self.scope, hash(self.keys.0), hash(self.keys.1)))
    }
}

/// Keys of all workers; the first one has made them.
fn keys() -> Result<(u64, u64), HostError> {
    const KEYS: Shared<(u64, u64)> = Shared::new("stats.keys");
    let random = || RandomState::new().hash_one(0);
    if let Some(keys) = KEYS.get()? {
        return Ok(keys);
    }
    KEYS.insert(&(random(), random()))?;
    KEYS.get().map(Option::unwrap_or_default)
}

impl Budget {
    pub(crate) fn new(ledger: Option<Rc<Ledger>>, kind: String, limit: usize) -> Self {
        Self { ledger, kind, limit: u64::try_from(limit).unwrap_or(u64::MAX), is_full: Cell::new(false) }
    }

    /// Whether there is room for a name, or it has its place already. Where shared data fails, each worker goes by what it
    /// has itself.
    pub(crate) fn has_room(&self, name: &str) -> bool {
        self.ledger.as_ref().is_none_or(|ledger| self.claim(ledger, name).unwrap_or(true))
    }

    /// Whether a name has its place already.
    pub(crate) fn has_place(&self, name: &str) -> bool {
        let taken = self.ledger.as_ref().map(|ledger| ledger.entry(&self.kind, name).get());
        taken.and_then(Result::ok).flatten().is_some()
    }

    fn claim(&self, ledger: &Ledger, name: &str) -> Result<bool, HostError> {
        let entry = ledger.entry(&self.kind, name);
        if entry.get()?.is_some() {
            return Ok(true);
        }
        if self.is_full.get() {
            return Ok(false);
        }
        let count = Shared::<u64>::at(format!("stats.{:016x}.{}", ledger.scope, self.kind));
        let taken = count.update_if(|count| {
            let count = count.unwrap_or_default();
            (count < self.limit).then(|| count.saturating_add(1))
        })?;
        if taken.is_none() {
            self.is_full.set(true);
            return Ok(false);
        }
        // Another worker may have been as quick: then it is counted once too often.
        if !entry.insert(&Bytes::default())? {
            count.update(|count| count.unwrap_or_default().saturating_sub(1))?;
        }
        Ok(true)
    }
}
