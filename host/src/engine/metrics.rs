//! Counters, gauges and histograms of a plugin (row 45).

use super::status::Status;
use super::vm::Vm;
use std::collections::BTreeMap;

/// What a metric holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metric {
    /// A number that only grows.
    Counter(u64),
    /// A number that is set, raised and lowered.
    Gauge(u64),
    /// Numbers that were recorded.
    Histogram(Histogram),
}

/// What was recorded, as Envoy tells it to Prometheus: how many, their sum, and how many are not above each bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many.
    pub count: u64,
    /// All together.
    pub sum: u64,
    /// By [`Histogram::BOUNDS`].
    pub buckets: [u64; Histogram::BOUNDS.len()],
}

impl Histogram {
    /// Envoy's own buckets.
    pub const BOUNDS: [f64; 19] = [
        0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5,
        1.8e6, 3.6e6,
    ];

    fn record(&mut self, value: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(value);
        let reached = self.buckets.iter_mut().zip(Self::BOUNDS).filter(|(_, bound)| value as f64 <= *bound);
        reached.for_each(|(count, _)| *count += 1);
    }
}

impl FromIterator<u64> for Histogram {
    fn from_iter<T: IntoIterator<Item = u64>>(values: T) -> Self {
        let mut histogram = Self::default();
        values.into_iter().for_each(|value| histogram.record(value));
        histogram
    }
}

/// The statistics of a VM, and the ids under which its plugin knows them.
#[derive(Default)]
pub(super) struct Metrics {
    stats: Vec<(String, Metric)>,
    /// Position in `stats` by id. Every definition makes a new id, also for a name that exists.
    ids: BTreeMap<u32, usize>,
    defined: [u32; 3],
}

impl Metrics {
    /// The low bits of an id tell the type; ids of a type lie this far apart.
    const ID_STEP: u32 = 4;

    fn define(&mut self, kind: u32, name: String) -> Option<u32> {
        let empty = [Metric::Counter(0), Metric::Gauge(0), Metric::Histogram(Histogram::default())];
        let index = usize::try_from(kind).ok()?;
        let position = self.position(&name, empty.get(index)?);
        let defined = self.defined.get_mut(index)?;
        *defined += 1;
        let id = *defined * Self::ID_STEP + kind;
        self.ids.insert(id, position);
        Some(id)
    }

    /// Where the statistic of this name and type stands; it is made if there is none.
    fn position(&mut self, name: &str, empty: &Metric) -> usize {
        let same_kind = |metric: &Metric| std::mem::discriminant(metric) == std::mem::discriminant(empty);
        let found = self.stats.iter().position(|(other, metric)| other == name && same_kind(metric));
        found.unwrap_or_else(|| {
            self.stats.push((name.to_owned(), empty.clone()));
            self.stats.len() - 1
        })
    }

    fn get(&mut self, id: u32) -> Option<&mut Metric> {
        let position = *self.ids.get(&id)?;
        self.stats.get_mut(position).map(|(_, metric)| metric)
    }

    pub(super) fn all(&self) -> BTreeMap<String, Metric> {
        self.stats.iter().cloned().collect()
    }
}

/// Whether an id belongs to a type that can be read and incremented. Envoy looks at the type before the id.
fn countable(id: u32) -> Result<(), Status> {
    if id % Metrics::ID_STEP < 2 { Ok(()) } else { Err(Status::BAD_ARGUMENT) }
}

impl Vm {
    /// `proxy_define_metric`: 0 counter, 1 gauge, 2 histogram.
    pub fn define_metric(&mut self, kind: u32, name: &[u8]) -> Result<u32, Status> {
        let name = String::from_utf8_lossy(name).into_owned();
        self.metrics.define(kind, name).ok_or(Status::BAD_ARGUMENT)
    }

    /// `proxy_increment_metric`.
    pub fn increment_metric(&mut self, id: u32, offset: i64) -> Result<(), Status> {
        countable(id)?;
        match self.metrics.get(id).ok_or(Status::NOT_FOUND)? {
            Metric::Counter(value) if offset > 0 => *value = value.wrapping_add_signed(offset),
            Metric::Gauge(value) => *value = value.wrapping_add_signed(offset),
            Metric::Counter(_) | Metric::Histogram(_) => return Err(Status::BAD_ARGUMENT),
        }
        Ok(())
    }

    /// `proxy_record_metric`: adds to a counter, sets a gauge, records in a histogram.
    pub fn record_metric(&mut self, id: u32, value: u64) -> Result<(), Status> {
        match self.metrics.get(id).ok_or(Status::NOT_FOUND)? {
            Metric::Counter(total) => *total = total.wrapping_add(value),
            Metric::Gauge(current) => *current = value,
            Metric::Histogram(histogram) => histogram.record(value),
        }
        Ok(())
    }

    /// `proxy_get_metric`.
    pub fn get_metric(&mut self, id: u32) -> Result<u64, Status> {
        countable(id)?;
        match self.metrics.get(id).ok_or(Status::NOT_FOUND)? {
            Metric::Counter(value) | Metric::Gauge(value) => Ok(*value),
            Metric::Histogram(_) => Err(Status::BAD_ARGUMENT),
        }
    }
}
