//! Counters, gauges and histograms of the proxy.

use crate::abi::{self, Metric};
use crate::error::HostError;

/// A number that only grows. Defined by [`Root::counter`](crate::Root::counter); a copy is the same counter.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn count_denial(denied: Counter) -> Result<(), HostError> {
///     denied.add(1)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter(u32);

impl Counter {
    /// Defines a counter at any time, as [`Root::counter`](crate::Root::counter) does while the plugin is configured. For names
    /// that are known later only: bound their number, since the proxy keeps each for ever. For labels there is
    /// [`Family`](crate::Family).
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn of_tenant(tenant: &str) -> Result<Counter, HostError> {
    ///     Counter::define(&format!("tenant.{tenant}"))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_define_metric` failed.
    pub fn define(name: &str) -> Result<Self, HostError> {
        abi::define_metric(Metric::Counter, name).map(Self)
    }

    /// Adds to the counter. Adding 0 does nothing and costs no host call (Envoy would refuse it).
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn count_bytes(bytes: Counter, body: &RequestBody<'_>) -> Result<(), HostError> {
    ///     bytes.add(body.len() as u64)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_increment_metric` failed.
    pub fn add(&self, amount: u64) -> Result<(), HostError> {
        if amount == 0 {
            return Ok(());
        }
        abi::increment_metric(self.0, i64::try_from(amount).unwrap_or(i64::MAX))
    }

    /// The counter's value, over all workers.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn seen_before(requests: Counter) -> Result<bool> {
    ///     Ok(requests.value()? > 0)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_metric` failed.
    pub fn value(&self) -> Result<u64, HostError> {
        abi::metric(self.0)
    }
}

/// A number that goes up and down. Defined by [`Root::gauge`](crate::Root::gauge).
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn publish(rules: Gauge, count: u64) -> Result<(), HostError> {
///     rules.set(count)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gauge(u32);

impl Gauge {
    /// Defines a gauge at any time, as [`Root::gauge`](crate::Root::gauge) does while the plugin is configured. For names
    /// that are known later only: bound their number, since the proxy keeps each for ever. For labels there is
    /// [`Family`](crate::Family).
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn of_tenant(tenant: &str) -> Result<Gauge, HostError> {
    ///     Gauge::define(&format!("tenant.{tenant}"))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_define_metric` failed.
    pub fn define(name: &str) -> Result<Self, HostError> {
        abi::define_metric(Metric::Gauge, name).map(Self)
    }

    /// Sets the gauge.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn empty(queue: Gauge) -> Result<(), HostError> {
    ///     queue.set(0)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_record_metric` failed.
    pub fn set(&self, value: u64) -> Result<(), HostError> {
        abi::record_metric(self.0, value)
    }

    /// Adds to the gauge, or takes away from it.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn leave(active: Gauge) -> Result<(), HostError> {
    ///     active.add(-1)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_increment_metric` failed.
    pub fn add(&self, amount: i64) -> Result<(), HostError> {
        abi::increment_metric(self.0, amount)
    }

    /// The gauge's value, over all workers.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn busy(active: Gauge) -> Result<bool> {
    ///     Ok(active.value()? > 100)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_metric` failed.
    pub fn value(&self) -> Result<u64, HostError> {
        abi::metric(self.0)
    }
}

/// A distribution of numbers. Defined by [`Root::histogram`](crate::Root::histogram); it cannot be read back.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn observe(sizes: Histogram, body: &RequestBody<'_>) -> Result<(), HostError> {
///     sizes.record(body.len() as u64)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram(u32);

impl Histogram {
    /// Defines a histogram at any time, as [`Root::histogram`](crate::Root::histogram) does while the plugin is configured. For names
    /// that are known later only: bound their number, since the proxy keeps each for ever. For labels there is
    /// [`Family`](crate::Family).
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn of_tenant(tenant: &str) -> Result<Histogram, HostError> {
    ///     Histogram::define(&format!("tenant.{tenant}"))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_define_metric` failed.
    pub fn define(name: &str) -> Result<Self, HostError> {
        abi::define_metric(Metric::Histogram, name).map(Self)
    }

    /// Records one number.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn waited(queue_time: Histogram, milliseconds: u64) -> Result<(), HostError> {
    ///     queue_time.record(milliseconds)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_record_metric` failed.
    pub fn record(&self, value: u64) -> Result<(), HostError> {
        abi::record_metric(self.0, value)
    }
}
