//! Tokens whose signature was verified. A bounded number, found by a hash of the whole token under a key that is random for each
//! VM, so that nobody can make two tokens of the same hash. What can change, the time above all, is checked again each time.

use super::provider::Signed;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::rc::Rc;

/// The hash of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u128);

impl Hash for Place {
    /// It is a hash, and nobody without the key can choose it.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self(hash) = *self;
        hasher.write_u64(hash as u64);
    }
}

/// A hash as it is.
#[derive(Clone, Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// By what tokens are hashed.
pub(super) struct Key(pub(super) [u8; 16]);

impl Key {
    /// Where a token is kept, in every cache.
    pub(super) fn place(&self, token: &[u8]) -> Place {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(token);
        Place(hasher.finish128().as_u128())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

type Tokens = HashMap<Place, Rc<Signed>, BuildHasherDefault<AsItIs>>;

/// Two generations: when the younger is full it becomes the older, and what nobody asked for since goes.
pub(super) struct Cache {
    most: usize,
    longest: usize,
    /// How many tokens were there, and how many were not, since somebody asked.
    lookups: (u64, u64),
    young: Tokens,
    old: Tokens,
}

impl Cache {
    pub(super) fn new(size: u32, longest: u32) -> Self {
        let half = |size: u32| usize::try_from(size.div_ceil(2)).unwrap_or(usize::MAX);
        let longest = usize::try_from(longest).unwrap_or(usize::MAX);
        let (young, old) = (Tokens::default(), Tokens::default());
        Self { most: half(size), longest, lookups: (0, 0), young, old }
    }

    /// Whether a token of this length is kept: not if it is too long, or none is kept.
    pub(super) fn keeps(&self, length: usize) -> bool {
        self.most > 0 && length <= self.longest
    }

    pub(super) fn get(&mut self, place: Option<Place>) -> Option<Rc<Signed>> {
        let found = place.and_then(|place| self.find(place));
        let (hits, misses) = &mut self.lookups;
        let count = if found.is_some() { hits } else { misses };
        *count = count.saturating_add(1);
        found
    }

    /// Hits and misses since the last time.
    pub(super) fn take_lookups(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.lookups)
    }

    fn find(&mut self, place: Place) -> Option<Rc<Signed>> {
        if let Some(found) = self.young.get(&place) {
            return Some(found.clone());
        }
        let found = self.old.remove(&place)?;
        self.put(place, found.clone());
        Some(found)
    }

    pub(super) fn insert(&mut self, place: Option<Place>, signed: &Rc<Signed>) {
        if let Some(place) = place {
            self.put(place, signed.clone());
        }
    }

    /// Forgets all: the keys have changed.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    fn put(&mut self, place: Place, signed: Rc<Signed>) {
        if self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(place, signed);
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

    fn insert(cache: &mut Cache, token: &[u8]) {
        let signed = Rc::new(Signed { claims: Claims::default(), payload: String::new() });
        cache.insert(place(cache, token), &signed);
    }

    fn place(cache: &Cache, token: &[u8]) -> Option<Place> {
        cache.keeps(token.len()).then(|| Key([7; 16]).place(token))
    }

    fn get(cache: &mut Cache, token: &[u8]) -> Option<Rc<Signed>> {
        cache.get(place(cache, token))
    }

    #[test]
    fn it_never_holds_more_than_its_size() {
        let mut cache = Cache::new(10, 100);
        for number in 0..1000_u32 {
            insert(&mut cache, &number.to_le_bytes());
            assert!(cache.young.len() + cache.old.len() <= 10);
        }
        assert!(
            get(&mut cache, &999_u32.to_le_bytes()).is_some()
                && get(&mut cache, &0_u32.to_le_bytes()).is_none()
        );
    }

    #[test]
    fn what_is_asked_for_stays() {
        let mut cache = Cache::new(10, 100);
        insert(&mut cache, b"mine");
        for number in 0..1000_u32 {
            insert(&mut cache, &number.to_le_bytes());
            assert!(get(&mut cache, b"mine").is_some(), "{number}");
        }
    }

    #[test]
    fn long_tokens_and_a_cache_of_no_size_keep_nothing() {
        let mut cache = Cache::new(10, 4);
        insert(&mut cache, b"12345");
        assert!(get(&mut cache, b"12345").is_none());
        let mut none = Cache::new(0, 100);
        insert(&mut none, b"1");
        assert!(get(&mut none, b"1").is_none());
        assert_eq!((none.take_lookups(), none.take_lookups()), ((0, 1), (0, 0)));
    }
}
