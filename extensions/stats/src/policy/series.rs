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
    limit: usize,
    metrics: Vec<RefCell<OfMetric<H>>>,
    vectors: RefCell<lru::LruCache<Box<[u8]>, Handles<H>>>,
    /// Names are kept as 128 bits, under keys that nobody knows.
    hashers: (RandomState, RandomState),
}

struct OfMetric<H> {
    known: HashMap<(u64, u64), H>,
    rest: Option<H>,
}

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

/// A series that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<H> {
    /// The one with these labels.
    Own(H),
    /// The one for all that are too many.
    Rest(H),
}

impl<H: Copy> Series<H> {
    /// For so many metrics, each with at most `limit` series, and so many combinations of labels.
    pub fn new(metrics: usize, limit: usize, vectors: NonZeroUsize) -> Self {
        let metric = || RefCell::new(OfMetric { known: HashMap::new(), rest: None });
        Self {
            limit,
            metrics: (0..metrics).map(|_| metric()).collect(),
            vectors: RefCell::new(lru::LruCache::new(vectors)),
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

    /// The series of a metric by its name, defined when it is new, or the one for the rest.
    ///
    /// # Errors
    ///
    /// That of `define`.
    pub fn get<E>(
        &self,
        metric: usize,
        name: &str,
        name_of_rest: impl FnOnce() -> String,
        define: impl FnOnce(&str) -> Result<H, E>,
    ) -> Option<Result<Asked<H>, E>> {
        let mut metric = self.metrics.get(metric)?.borrow_mut();
        let key = (self.hashers.0.hash_one(name), self.hashers.1.hash_one(name));
        if let Some(handle) = metric.known.get(&key) {
            return Some(Ok(Asked::Own(*handle)));
        }
        if metric.known.len() < self.limit {
            let defined = define(name);
            if let Ok(handle) = &defined {
                metric.known.insert(key, *handle);
            }
            return Some(defined.map(Asked::Own));
        }
        let defined = metric.rest.map_or_else(|| define(&name_of_rest()), Ok);
        Some(defined.inspect(|handle| metric.rest = Some(*handle)).map(Asked::Rest))
    }
}

#[cfg(test)]
mod tests {
    //! What is bounded, and what is defined once.

    use super::*;
    use std::convert::Infallible;

    fn names(series: &Series<usize>, defined: &mut Vec<String>, name: &str) -> Asked<usize> {
        let define = |name: &str| {
            defined.push(name.to_owned());
            Ok::<_, Infallible>(defined.len())
        };
        series.get(0, name, || "rest".to_owned(), define).unwrap().unwrap()
    }

    #[test]
    fn a_series_is_defined_once_and_beyond_the_limit_there_is_one() {
        let (series, mut defined) = (Series::new(1, 2, NonZeroUsize::MIN), Vec::new());
        for (name, asked) in [
            ("a", Asked::Own(1)),
            ("b", Asked::Own(2)),
            ("c", Asked::Rest(3)),
            ("a", Asked::Own(1)),
            ("d", Asked::Rest(3)),
        ] {
            assert_eq!(names(&series, &mut defined, name), asked);
        }
        assert_eq!(defined, ["a", "b", "rest"]);
        assert!(series.get(1, "a", String::new, |_| Ok::<_, Infallible>(0)).is_none());
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
