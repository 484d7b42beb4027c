//! A bounded memory: what was not asked for longest is forgotten first.

use super::peers::Kind;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

/// What a name may cost on average, with its value. A peer of a mesh costs about 2 KB.
const BYTES_EACH: usize = 8 * 1024;

/// What all may take together, however many they may be: a VM has 4 GiB, and may have several configurations.
const MOST_BYTES: usize = 512 * 1024 * 1024;

/// What an entry takes beside its name and its value: its places in both maps.
const OVERHEAD: usize = 128;

/// Values by what they were made from, and of which kind that is. Names are compared as a whole, so that nobody can give
/// another's.
#[derive(Debug, Default)]
pub struct Lru {
    /// By the hash of their names, whose key nobody knows. Of two names with one hash the later is remembered.
    entries: HashMap<u64, Entry>,
    hashes: RandomState,
    /// Hashes by when their names were last asked for.
    ages: BTreeMap<u64, u64>,
    now: u64,
    /// What all entries take.
    bytes: usize,
    most: usize,
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    name: Box<[u8]>,
    value: Rc<[u8]>,
    asked: u64,
}

impl Entry {
    fn size(&self) -> usize {
        OVERHEAD.saturating_add(self.name.len()).saturating_add(self.value.len())
    }

    fn is(&self, kind: Kind, name: &[u8]) -> bool {
        self.kind == kind && is_same(&self.name, name)
    }
}

impl Lru {
    /// Keeps up to `most` values, and no more bytes than so many of usual size have.
    pub fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// The value of a name that is known.
    pub fn get(&mut self, kind: Kind, name: &[u8]) -> Option<Rc<[u8]>> {
        // Most often it is who came last, and need not be looked for.
        let newest = self.ages.last_key_value().and_then(|(_, hash)| self.entries.get(hash));
        if let Some(entry) = newest.filter(|entry| entry.is(kind, name)) {
            return Some(entry.value.clone());
        }
        let hash = self.hashes.hash_one((kind, name));
        let entry = self.entries.get_mut(&hash).filter(|entry| entry.is(kind, name))?;
        self.ages.remove(&entry.asked);
        self.now = self.now.wrapping_add(1);
        entry.asked = self.now;
        self.ages.insert(self.now, hash);
        Some(entry.value.clone())
    }

    /// Remembers the value of a name that is not known, and forgets others where there is no room.
    pub fn insert(&mut self, kind: Kind, name: &[u8], value: Rc<[u8]>) {
        let entry = Entry { kind, name: name.into(), value, asked: self.now.wrapping_add(1) };
        let most = self.most.saturating_mul(BYTES_EACH).min(MOST_BYTES);
        let Some(room) = most.checked_sub(entry.size()) else { return };
        if self.most == 0 {
            return;
        }
        let hash = self.hashes.hash_one((kind, name));
        self.forget(hash);
        while self.entries.len() >= self.most || self.bytes > room {
            match self.ages.pop_first() {
                Some((_, oldest)) => self.forget(oldest),
                // Both hold the same hashes; were that not so, this ends what would go on for ever.
                None => *self = Self::new(self.most),
            }
        }
        self.now = entry.asked;
        self.bytes = self.bytes.saturating_add(entry.size());
        self.ages.insert(entry.asked, hash);
        self.entries.insert(hash, entry);
    }

    fn forget(&mut self, hash: u64) {
        if let Some(entry) = self.entries.remove(&hash) {
            self.ages.remove(&entry.asked);
            self.bytes = self.bytes.saturating_sub(entry.size());
        }
    }
}

/// Compares eight bytes at a time. The function of the standard library, on WebAssembly, takes ten instructions for one.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
    a.len() == b.len() && a_rest == b_rest && a.iter().zip(b).all(|(a, b)| word(a) == word(b))
}

#[cfg(test)]
mod tests;
