//! From what was seen to the metrics of the proxy.

use crate::budget::{Budget, Ledger};
use crate::config::Kind;
use crate::expressions::Results;
use crate::policy::{
    Found, MOST_SHORTENED, Metric, Plan, Plans, Policy, Protocol, Room, Series, Value, Vector,
};
use proxy_wasm_kit::{Counter, Gauge, Histogram, HostError, Root};
use std::cell::{Cell, OnceCell};
use std::num::NonZeroUsize;
use std::rc::Rc;

/// A series in the proxy.
#[derive(Clone, Copy)]
pub(crate) enum Meter {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

/// What is known of one request or connection when it is reported.
pub(crate) struct Report<'a> {
    pub(crate) vector: Vector<'a>,
    pub(crate) results: &'a Results,
    /// The values of the standard labels, made when the first series needs them.
    pub(crate) values: OnceCell<[String; 25]>,
}

/// Writes reports into metrics.
pub(crate) struct Reporter {
    plans: Plans,
    series: Series<Meter>,
    /// What the whole proxy may have of each metric: series with all labels, and shortened ones.
    budgets: Vec<[Budget; 2]>,
    own: Own,
}

/// The metrics of the plugin itself.
struct Own {
    hits: Counter,
    misses: Counter,
    evictions: Counter,
    over_limit: Counter,
    /// Hits that were not added yet.
    pending: Cell<u64>,
}

/// How many hits are added at once, as in the original: each addition is a host call.
const BATCH: u64 = 100;

impl Reporter {
    pub(crate) fn new(
        root: &Root,
        plans: Plans,
        ledger: Option<&Rc<Ledger>>,
        max_series: usize,
        vectors: NonZeroUsize,
    ) -> Result<Self, HostError> {
        let (_, plan) = plans.plan(|_| false);
        let budget = |kind: String, limit| Budget::new(ledger.cloned(), kind, limit);
        let budgets = |metric: &Metric| {
            let shortened = budget(format!("{}.shortened", metric.name), MOST_SHORTENED);
            [budget(metric.name.clone(), max_series), shortened]
        };
        Ok(Self {
            series: Series::new(plan.0.len(), max_series, vectors),
            budgets: plan.0.iter().map(budgets).collect(),
            plans,
            own: Own::define(root)?,
        })
    }

    /// Adds a report to each metric that it is of. `amount` says by how much; `None` leaves a metric alone.
    pub(crate) fn write(&self, policy: &Policy, report: &Report<'_>, amount: impl Fn(Value) -> Option<u64>) {
        let (held, plan) = self.plans.plan(|condition| report.results.is_true(condition));
        let key = policy.key(&report.vector, held, report.results.texts());
        let (handles, found) = self.series.handles(&key);
        self.own.count(found);
        let amount_of = |value| match value {
            Value::Expression(number) => u64::try_from(report.results.number(number)).ok(),
            value => amount(value),
        };
        let of = metrics(&plan, report.vector.protocol);
        for (index, metric, handle) in
            of.filter_map(|(index, metric)| Some((index, metric, handles.get(index)?)))
        {
            let Some(amount) = amount_of(metric.value).filter(|amount| metric.counts(*amount)) else {
                continue;
            };
            let meter = handle.get().map_or_else(|| self.meter(policy, report, index, metric), Ok);
            let written = meter.and_then(|meter| {
                handle.set(Some(meter));
                meter.add(amount)
            });
            if let Err(error) = written {
                log::warn!("istio_{} lacks a report: {error}", metric.name);
            }
        }
    }

    /// The series of a metric under these labels, or the one for the rest.
    fn meter(
        &self,
        policy: &Policy,
        report: &Report<'_>,
        index: usize,
        metric: &Metric,
    ) -> Result<Meter, HostError> {
        let values = report.values.get_or_init(|| report.vector.values());
        let name = |room| match room {
            Room::Own => policy.series(metric, values, &|number| report.results.text(number)),
            room => policy.rest(metric, &report.vector, values, room),
        };
        let has_room = |room, name: &str| {
            self.budgets.get(index).is_none_or(|[own, shortened]| {
                if room == Room::Own { own.has_room(name) } else { shortened.has_room(name) }
            })
        };
        let define = |name: &str| Meter::define(metric.kind, name);
        match self.series.get(index, name, has_room, define) {
            Some(Ok((Room::Own, meter))) => Ok(meter),
            Some(Ok((_, meter))) => {
                add(self.own.over_limit, 1);
                Ok(meter)
            }
            Some(Err(error)) => Err(error),
            None => define(&name(Room::Last)),
        }
    }
}

/// The metrics of a protocol, with their numbers.
fn metrics(plan: &Plan, protocol: Protocol) -> impl Iterator<Item = (usize, &Metric)> {
    let all = plan.0.iter().enumerate();
    all.filter(move |(_, metric)| !metric.is_dropped && metric.value.is_of(protocol))
}

impl Metric {
    /// A counter to which nothing is added need not be there.
    fn counts(&self, amount: u64) -> bool {
        amount > 0 || self.kind != Kind::Counter
    }
}

impl Meter {
    fn define(kind: Kind, name: &str) -> Result<Self, HostError> {
        Ok(match kind {
            Kind::Counter => Self::Counter(Counter::define(name)?),
            Kind::Gauge => Self::Gauge(Gauge::define(name)?),
            Kind::Histogram => Self::Histogram(Histogram::define(name)?),
        })
    }

    fn add(self, amount: u64) -> Result<(), HostError> {
        match self {
            Self::Counter(counter) => counter.add(amount),
            Self::Gauge(gauge) => gauge.set(amount),
            Self::Histogram(histogram) => histogram.record(amount),
        }
    }
}

impl Own {
    fn define(root: &Root) -> Result<Self, HostError> {
        let cache =
            |what: &str| root.counter(&format!("wasm_filter.stats_filter.cache.{what}.metric_cache_count"));
        Ok(Self {
            hits: cache("hit")?,
            misses: cache("miss")?,
            evictions: cache("evicted")?,
            over_limit: root.counter("wasm_filter.stats_filter.series_over_limit")?,
            pending: Cell::new(0),
        })
    }

    fn count(&self, found: Found) {
        match found {
            Found::Hit if self.pending.get().saturating_add(1) < BATCH => {
                self.pending.set(self.pending.get().saturating_add(1));
            }
            Found::Hit => {
                self.pending.set(0);
                add(self.hits, BATCH);
            }
            Found::Miss { evicted } => {
                add(self.misses, 1);
                add(self.evictions, u64::from(evicted));
            }
        }
    }
}

/// A count that is lost must not cost a report.
fn add(counter: Counter, amount: u64) {
    if let Err(error) = counter.add(amount) {
        log::warn!("a count of the plugin itself is lost: {error}");
    }
}
