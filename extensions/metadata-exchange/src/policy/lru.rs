//! A bounded memory: what was not asked for longest is forgotten first.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// What a name may cost on average, with its value. A peer of a mesh costs about 2 KB.
const BYTES_EACH: usize = 8 * 1024;

/// Values by what they were made from. Names are compared as a whole, so that nobody can give another's.
#[derive(Debug, Default)]
pub struct Lru {
    entries: HashMap<Rc<[u8]>, Entry>,
    /// Names by when they were last asked for.
    ages: BTreeMap<u64, Rc<[u8]>>,
    now: u64,
    /// The length of all names and values.
    bytes: usize,
    most: usize,
}

#[derive(Debug)]
struct Entry {
    asked: u64,
    value: Rc<[u8]>,
}

impl Lru {
    /// Keeps up to `most` values, and no more bytes than so many of usual size have.
    pub fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// The value of a name that is known.
    pub fn get(&mut self, name: &[u8]) -> Option<Rc<[u8]>> {
        // Most often it is who came last.
        let newest = self.ages.last_key_value().filter(|(_, newest)| ***newest == *name);
        if let Some(entry) = newest.and_then(|(_, newest)| self.entries.get(newest)) {
            return Some(entry.value.clone());
        }
        let entry = self.entries.get_mut(name)?;
        self.now = self.now.wrapping_add(1);
        if let Some(name) = self.ages.remove(&entry.asked) {
            self.ages.insert(self.now, name);
        }
        entry.asked = self.now;
        Some(entry.value.clone())
    }

    /// Remembers a value, and forgets others where there is no room.
    pub fn insert(&mut self, name: &[u8], value: Rc<[u8]>) {
        let size = name.len().saturating_add(value.len());
        let Some(room) = self.most.saturating_mul(BYTES_EACH).checked_sub(size) else { return };
        if self.most == 0 || self.entries.contains_key(name) {
            return;
        }
        while self.entries.len() >= self.most || self.bytes > room {
            self.forget_oldest();
        }
        let name: Rc<[u8]> = name.into();
        self.now = self.now.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(size);
        self.ages.insert(self.now, name.clone());
        self.entries.insert(name, Entry { asked: self.now, value });
    }

    fn forget_oldest(&mut self) {
        // Both hold the same names; were one empty before the other, this ends what would go on for ever.
        let Some((_, name)) = self.ages.pop_first() else { return *self = Self::new(self.most) };
        if let Some(entry) = self.entries.remove(&name) {
            self.bytes = self.bytes.saturating_sub(name.len().saturating_add(entry.value.len()));
        }
    }
}

#[cfg(test)]
mod tests;
