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
    /// Everything recorded, in order.
    Histogram(Vec<u64>),
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
        let empty = [Metric::Counter(0), Metric::Gauge(0), Metric::Histogram(Vec::new())];
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
            Metric::Histogram(values) => values.push(value),
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
