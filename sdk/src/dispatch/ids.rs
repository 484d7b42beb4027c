//! What is known of contexts and callouts, by their ids.

/// A map from ids that the proxy counts up: an id is its own hash, so neighbours lie side by side.
pub(crate) struct Ids<T> {
    /// None, or a power of two of them, at most half of them taken. An entry lies in the place that its id names, or behind
    /// that and behind others for which the same holds.
    places: Vec<Option<(u32, T)>>,
    taken: usize,
}

const FEWEST: usize = 16;

impl<T> Ids<T> {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), taken: 0 }
    }

    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        let mut place = self.home(id);
        while let Some(Some((other, value))) = self.places.get(place) {
            if *other == id {
                return Some(value);
            }
            place = self.behind(place);
        }
        None
    }

    /// Gives back what the id had before.
    pub(crate) fn insert(&mut self, id: u32, value: T) -> Option<T> {
        if self.taken >= self.places.len() / 2 {
            self.grow();
        }
        let place = self.search(id);
        let place = self.places.get_mut(place)?;
        let before = place.replace((id, value));
        self.taken = self.taken.wrapping_add(usize::from(before.is_none()));
        before.map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let mut gap = self.search(id);
        let removed = self.places.get_mut(gap)?.take()?;
        self.taken = self.taken.wrapping_sub(1);
        // Who lies behind the gap moves into it, unless its own place is behind it, too.
        let mut next = self.behind(gap);
        while let Some(Some((other, _))) = self.places.get(next) {
            let home = self.home(*other);
            if self.distance(home, next) >= self.distance(gap, next) {
                self.places.swap(gap, next);
                gap = next;
            }
            next = self.behind(next);
        }
        Some(removed.1)
    }

    /// Where the id lies, or would. There is always a place that is free.
    #[inline]
    fn search(&self, id: u32) -> usize {
        let mut place = self.home(id);
        while let Some(Some((other, _))) = self.places.get(place)
            && *other != id
        {
            place = self.behind(place);
        }
        place
    }

    #[cold]
    fn grow(&mut self) {
        let size = self.places.len().saturating_mul(2).max(FEWEST);
        let before = std::mem::take(self);
        self.places.resize_with(size, || None);
        for (id, value) in before.places.into_iter().flatten() {
            self.insert(id, value);
        }
    }

    #[inline]
    fn last(&self) -> usize {
        self.places.len().wrapping_sub(1)
    }

    #[inline]
    fn home(&self, id: u32) -> usize {
        usize::try_from(id).unwrap_or_default() & self.last()
    }

    #[inline]
    fn behind(&self, place: usize) -> usize {
        place.wrapping_add(1) & self.last()
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.last()
    }
}

impl<T> Default for Ids<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    //! The same as a map of the standard library.

    use super::*;
    use std::collections::HashMap;

    #[test]
    fn it_is_a_map() {
        let (mut ids, mut map) = (Ids::new(), HashMap::new());
        let mut random = 1_u32;
        for round in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Ids that collide, and few enough that they come again.
            let id = (random >> 24) * 8 + (random >> 16) % 3;
            if random >> 8 & 1 == 0 {
                assert_eq!(ids.insert(id, round), map.insert(id, round));
            } else {
                assert_eq!(ids.remove(id), map.remove(&id));
            }
            assert_eq!((ids.get(id), ids.taken), (map.get(&id), map.len()));
        }
        assert!(map.iter().all(|(id, value)| ids.get(*id) == Some(value)));
    }

    #[test]
    fn what_is_counted_up_and_taken_away_needs_no_more_room() {
        let mut ids = Ids::new();
        for id in 0..10_000_u32 {
            ids.insert(id.wrapping_sub(5000), id);
            ids.remove(id.wrapping_sub(5003));
        }
        assert_eq!((ids.taken, ids.places.len()), (3, FEWEST));
    }

    #[test]
    fn nothing_is_in_an_empty_one() {
        let mut ids = Ids::<u8>::new();
        assert!(ids.get(0).is_none() && ids.remove(7).is_none());
    }
}
