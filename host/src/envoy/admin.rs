//! Envoy's admin interface.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::Value;

use super::{Error, PATIENCE, during};
use crate::exchange::{Level, Message};
use crate::http1;

/// What a metric of a plugin shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// By how much a counter grew.
    Counter(u64),
    /// What a gauge holds.
    Gauge(u64),
    /// How many values a histogram took.
    Histogram(u64),
}

impl Metric {
    /// What it shows when it showed `before` at the beginning.
    pub(super) fn since(self, before: Option<Self>) -> Self {
        match (self, before) {
            (Self::Counter(now), Some(Self::Counter(before))) => Self::Counter(now.saturating_sub(before)),
            (Self::Histogram(now), Some(Self::Histogram(before))) => {
                Self::Histogram(now.saturating_sub(before))
            }
            _ => self,
        }
    }
}

/// A client of the admin interface.
#[derive(Debug)]
pub(super) struct Admin(SocketAddr);

impl Admin {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self(address)
    }

    fn ask(&self, method: &str, path: &str) -> Result<String, Error> {
        let mut request = Message::request(method, path);
        if method == "POST" {
            request = request.header("content-length", "0");
        }
        let response = http1::exchange(self.0, &request, PATIENCE).map_err(during(path))?.unwrap_or_default();
        match response.status() {
            200 => Ok(String::from_utf8_lossy(&response.whole_body()).into_owned()),
            status => Err(Error(format!("{path}: Envoy answers {status}"))),
        }
    }

    fn json(&self, path: &str) -> Result<Value, Error> {
        serde_json::from_str(&self.ask("GET", path)?).map_err(during(path))
    }

    /// Where a listener listens, once it does.
    pub(super) fn listener(&self, name: &str) -> Result<Option<SocketAddr>, Error> {
        let listeners = self.json("/listeners?format=json")?;
        let status = elements(&listeners["listener_statuses"]).find(|status| status["name"] == name);
        let port = status.and_then(|status| status["local_address"]["socket_address"]["port_value"].as_u64());
        Ok(port.and_then(|port| u16::try_from(port).ok()).map(|port| ([127, 0, 0, 1], port).into()))
    }

    /// The names of all clusters.
    pub(super) fn clusters(&self) -> Result<BTreeSet<String>, Error> {
        let clusters = self.json("/clusters?format=json")?;
        let names = elements(&clusters["cluster_statuses"]).filter_map(|status| status["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// The ports of a cluster's hosts.
    pub(super) fn ports(&self, cluster: &str) -> Result<Vec<u64>, Error> {
        let clusters = self.json("/clusters?format=json")?;
        let statuses = elements(&clusters["cluster_statuses"]).filter(|status| status["name"] == cluster);
        let hosts = statuses.flat_map(|status| elements(&status["host_statuses"]));
        Ok(hosts.filter_map(|host| host["address"]["socket_address"]["port_value"].as_u64()).collect())
    }

    /// Why a listener was rejected, if it was.
    pub(super) fn listener_error(&self, name: &str) -> Result<Option<String>, Error> {
        let dump = self.json("/config_dump?resource=dynamic_listeners&mask=name,error_state.details")?;
        let listener = elements(&dump["configs"]).find(|listener| listener["name"] == name);
        Ok(listener.and_then(|listener| listener["error_state"]["details"].as_str()).map(str::to_owned))
    }

    /// Sets the level from which plugins are logged.
    pub(super) fn set_log_level(&self, level: Level) -> Result<(), Error> {
        let name = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warning",
            Level::Error => "error",
            Level::Critical => "critical",
        };
        self.ask("POST", &format!("/logging?wasm={name}")).map(drop)
    }

    /// All metrics of plugins, without their prefix; histograms as they were when this was last asked.
    pub(super) fn metrics(&self) -> Result<BTreeMap<String, Metric>, Error> {
        let mut metrics = BTreeMap::new();
        for (kind, metric) in [("Counters", Metric::Counter as fn(u64) -> Metric), ("Gauges", Metric::Gauge)]
        {
            metrics.extend(self.numbers(kind)?.into_iter().map(|(name, value)| (name, metric(value))));
        }
        metrics.extend(self.histograms()?.into_iter().map(|(name, count)| (name, Metric::Histogram(count))));
        Ok(metrics)
    }

    fn numbers(&self, kind: &str) -> Result<BTreeMap<String, u64>, Error> {
        let stats = self.json(&format!("/stats?format=json&type={kind}&filter=^wasmcustom\\."))?;
        let numbers =
            elements(&stats["stats"]).filter_map(|stat| Some((name(stat)?, stat["value"].as_u64()?)));
        Ok(numbers.collect())
    }

    fn histograms(&self) -> Result<BTreeMap<String, u64>, Error> {
        let path = "/stats?format=json&type=Histograms&histogram_buckets=detailed&filter=^wasmcustom\\.";
        let stats = self.json(path)?;
        let details = elements(&stats["stats"]).flat_map(|stat| elements(&stat["histograms"]["details"]));
        let samples = |histogram: &Value| {
            elements(&histogram["totals"]).filter_map(|bucket| bucket["count"].as_u64()).sum()
        };
        Ok(details.filter_map(|histogram| Some((name(histogram)?, samples(histogram)))).collect())
    }
}

fn elements(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn name(stat: &Value) -> Option<String> {
    stat["name"].as_str()?.strip_prefix("wasmcustom.").map(str::to_owned)
}
