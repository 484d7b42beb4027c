//! Tokens whose signature was verified. A bounded number, found by a hash of the whole token under a key that is random for each
//! VM, so that nobody can make two tokens of the same hash. What can change, the time above all, is checked again each time.

use super::provider::Signed;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::collections::HashMap;
use std::fmt;
use std::hash::Hasher;
use std::rc::Rc;

/// Two generations: when the younger is full it becomes the older, and what nobody asked for since goes.
pub(super) struct Cache {
    key: [u8; 16],
    most: usize,
    longest: usize,
    /// How many tokens were there, and how many were not, since somebody asked.
    lookups: (u64, u64),
    young: HashMap<u128, Rc<Signed>>,
    old: HashMap<u128, Rc<Signed>>,
}

impl Cache {
    pub(super) fn new(key: [u8; 16], size: u32, longest: u32) -> Self {
        let half = |size: u32| usize::try_from(size.div_ceil(2)).unwrap_or(usize::MAX);
        let longest = usize::try_from(longest).unwrap_or(usize::MAX);
        Self { key, most: half(size), longest, lookups: (0, 0), young: HashMap::new(), old: HashMap::new() }
    }

    pub(super) fn get(&mut self, token: &[u8]) -> Option<Rc<Signed>> {
        let found = self.find(token);
        let (hits, misses) = &mut self.lookups;
        let count = if found.is_some() { hits } else { misses };
        *count = count.saturating_add(1);
        found
    }

    /// Hits and misses since the last time.
    pub(super) fn take_lookups(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.lookups)
    }

    fn find(&mut self, token: &[u8]) -> Option<Rc<Signed>> {
        if self.most == 0 || token.len() > self.longest {
            return None;
        }
        let place = self.place(token);
        if let Some(found) = self.young.get(&place) {
            return Some(found.clone());
        }
        let found = self.old.remove(&place)?;
        self.put(place, found.clone());
        Some(found)
    }

    pub(super) fn insert(&mut self, token: &[u8], signed: &Rc<Signed>) {
        if self.most > 0 && token.len() <= self.longest {
            self.put(self.place(token), signed.clone());
        }
    }

    /// Forgets all: the keys have changed.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    fn put(&mut self, place: u128, signed: Rc<Signed>) {
        if self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(place, signed);
    }

    fn place(&self, token: &[u8]) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(token);
        hasher.finish128().as_u128()
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cache({} + {} tokens)", self.young.len(), self.old.len())
    }
}

#[cfg(test)]
mod tests {
    //! What is kept, and for how long.

    use super::super::claims::Claims;
    use super::*;

    fn signed() -> Rc<Signed> {
        Rc::new(Signed { claims: Claims::default(), payload: String::new() })
    }

    #[test]
    fn it_never_holds_more_than_its_size() {
        let mut cache = Cache::new([7; 16], 10, 100);
        for number in 0..1000_u32 {
            cache.insert(&number.to_le_bytes(), &signed());
            assert!(cache.young.len() + cache.old.len() <= 10);
        }
        assert!(cache.get(&999_u32.to_le_bytes()).is_some() && cache.get(&0_u32.to_le_bytes()).is_none());
    }

    #[test]
    fn what_is_asked_for_stays() {
        let mut cache = Cache::new([7; 16], 10, 100);
        cache.insert(b"mine", &signed());
        for number in 0..1000_u32 {
            cache.insert(&number.to_le_bytes(), &signed());
            assert!(cache.get(b"mine").is_some(), "{number}");
        }
    }

    #[test]
    fn long_tokens_and_a_cache_of_no_size_keep_nothing() {
        let mut cache = Cache::new([7; 16], 10, 4);
        cache.insert(b"12345", &signed());
        assert!(cache.get(b"12345").is_none());
        let mut none = Cache::new([7; 16], 0, 100);
        none.insert(b"1", &signed());
        assert!(none.get(b"1").is_none());
        assert_eq!((none.take_lookups(), none.take_lookups()), ((0, 1), (0, 0)));
    }
}
