//! Series: which there are of each metric, and which combination of labels leads to which.
//!
//! The proxy never gives a series back, and gives it another number each time it is defined. So each is defined once, the
//! numbers are kept, and there is a limit. What leads from a combination of labels to its series is kept for those seen
//! last: when it is forgotten, names are made again, and nothing in the proxy.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::rc::Rc;

/// The series of one combination of labels, by the numbers of their metrics.
pub type Handles<H> = Rc<[Cell<Option<H>>]>;

/// All series of a plugin.
pub struct Series<H> {
    metrics: Vec<RefCell<OfMetric<H>>>,
    vectors: RefCell<lru::LruCache<Box<[u8]>, Handles<H>, RandomState>>,
    /// Names are kept as 128 bits, under keys that nobody knows.
    hashers: (RandomState, RandomState),
}

struct OfMetric<H> {
    own: Names<H>,
    shortened: Names<H>,
    last: Option<H>,
}

/// Series by their names.
struct Names<H> {
    known: HashMap<(u64, u64), H>,
    limit: usize,
}

/// Where a series has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Among those with all of their labels.
    Own,
    /// Among those for what is too much, with the labels that no client chooses.
    Shortened,
    /// Nowhere else: one for all that is left.
    Last,
}

/// How many series there are at most for what is too much.
pub const MOST_SHORTENED: usize = 256;

/// How a combination of labels was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was seen before.
    Hit,
    /// It was not, or too long ago; and whether another one had to go for it.
    Miss {
        /// Another one had to go.
        evicted: bool,
    },
}

impl<H: Copy> Series<H> {
    /// For so many metrics, each with at most `limit` series, and so many combinations of labels.
    pub fn new(metrics: usize, limit: usize, vectors: NonZeroUsize) -> Self {
        let metric = || {
            let (own, shortened) = (Names::new(limit), Names::new(MOST_SHORTENED));
            RefCell::new(OfMetric { own, shortened, last: None })
        };
        Self {
            metrics: (0..metrics).map(|_| metric()).collect(),
            // Clients choose keys.
            vectors: RefCell::new(lru::LruCache::with_hasher(vectors, RandomState::new())),
            hashers: (RandomState::new(), RandomState::new()),
        }
    }

    /// The series of a combination of labels; those that were not asked for yet are `None`.
    pub fn handles(&self, key: &[u8]) -> (Handles<H>, Found) {
        let mut vectors = self.vectors.borrow_mut();
        if let Some(handles) = vectors.get(key) {
            return (handles.clone(), Found::Hit);
        }
        let handles: Handles<H> = self.metrics.iter().map(|_| Cell::new(None)).collect();
        let evicted = vectors.push(key.into(), handles.clone()).is_some();
        (handles, Found::Miss { evicted })
    }

    /// The series of a metric, defined when it is new, and where it has its place. `name` tells what it is called there,
    /// `has_room` whether the proxy may have another one.
    ///
    /// # Errors
    ///
    /// That of `define`.
    pub fn get<E>(
        &self,
        metric: usize,
        name: impl Fn(Room) -> String,
        has_room: impl Fn(Room, &str) -> bool,
        define: impl Fn(&str) -> Result<H, E>,
    ) -> Option<Result<(Room, H), E>> {
        let mut metric = self.metrics.get(metric)?.borrow_mut();
        for room in [Room::Own, Room::Shortened] {
            let name = name(room);
            let key = (self.hashers.0.hash_one(&name), self.hashers.1.hash_one(&name));
            let names = if room == Room::Own { &mut metric.own } else { &mut metric.shortened };
            if let Some(found) = names.get(key, || has_room(room, &name), || define(&name)) {
                return Some(found.map(|handle| (room, handle)));
            }
        }
        let last = metric.last.map_or_else(|| define(&name(Room::Last)), Ok);
        Some(last.inspect(|handle| metric.last = Some(*handle)).map(|handle| (Room::Last, handle)))
    }
}

impl<H: Copy> Names<H> {
    fn new(limit: usize) -> Self {
        Self { known: HashMap::new(), limit }
    }

    /// `None` where there is no room for another one.
    fn get<E>(
        &mut self,
        key: (u64, u64),
        has_room: impl FnOnce() -> bool,
        define: impl FnOnce() -> Result<H, E>,
    ) -> Option<Result<H, E>> {
        if let Some(handle) = self.known.get(&key) {
            return Some(Ok(*handle));
        }
        if self.known.len() >= self.limit || !has_room() {
            return None;
        }
        let defined = define();
        if let Ok(handle) = &defined {
            self.known.insert(key, *handle);
        }
        Some(defined)
    }
}

#[cfg(test)]
mod tests {
    //! What is bounded, and what is defined once.

    use super::*;
    use std::convert::Infallible;

    fn get(
        series: &Series<usize>,
        defined: &RefCell<Vec<String>>,
        name: [&str; 2],
        has_room: impl Fn(Room, &str) -> bool,
    ) -> (Room, usize) {
        let define = |name: &str| {
            defined.borrow_mut().push(name.to_owned());
            Ok::<_, Infallible>(defined.borrow().len())
        };
        let name = |room| match room {
            Room::Own => name[0].to_owned(),
            Room::Shortened => name[1].to_owned(),
            Room::Last => "last".to_owned(),
        };
        series.get(0, name, has_room, define).unwrap().unwrap()
    }

    #[test]
    fn a_series_is_defined_once_and_beyond_the_limit_labels_are_shortened() {
        let (series, defined) = (Series::new(1, 2, NonZeroUsize::MIN), RefCell::default());
        for (name, found) in [
            (["a", "x"], (Room::Own, 1)),
            (["b", "x"], (Room::Own, 2)),
            (["c", "x"], (Room::Shortened, 3)),
            (["a", "x"], (Room::Own, 1)),
            (["d", "x"], (Room::Shortened, 3)),
            (["d", "y"], (Room::Shortened, 4)),
        ] {
            assert_eq!(get(&series, &defined, name, |_, _| true), found);
        }
        for number in 0..MOST_SHORTENED {
            get(&series, &defined, ["d", &number.to_string()], |_, _| true);
        }
        let before = defined.borrow().len();
        assert_eq!(defined.borrow()[before - 1], "last");
        assert_eq!(get(&series, &defined, ["d", "z"], |_, _| true), (Room::Last, before));
        assert!(series.get(1, |_| String::new(), |_, _| true, |_| Ok::<_, Infallible>(0)).is_none());
    }

    #[test]
    fn where_others_have_taken_the_room_there_is_none() {
        let (series, defined) = (Series::new(1, 2, NonZeroUsize::MIN), RefCell::default());
        let own_is_full = |room, _: &str| room != Room::Own;
        assert_eq!(get(&series, &defined, ["a", "x"], own_is_full), (Room::Shortened, 1));
        assert_eq!(get(&series, &defined, ["a", "y"], |_, _| false), (Room::Last, 2));
        assert_eq!(get(&series, &defined, ["a", "x"], |_, _| false), (Room::Shortened, 1));
    }

    #[test]
    fn what_was_seen_last_is_kept() {
        let series: Series<u8> = Series::new(1, 1, NonZeroUsize::new(2).unwrap());
        let found = |key: &[u8]| series.handles(key).1;
        assert_eq!(found(b"a"), Found::Miss { evicted: false });
        assert_eq!(found(b"b"), Found::Miss { evicted: false });
        assert_eq!(found(b"a"), Found::Hit);
        assert_eq!(found(b"c"), Found::Miss { evicted: true });
        assert_eq!((found(b"a"), found(b"b")), (Found::Hit, Found::Miss { evicted: true }));
    }
}
