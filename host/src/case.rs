//! Request-level cases in YAML: one file, the same verdict from every host.
//!
//! A case says how a plugin is configured, which requests a client sends, what the upstream answers, and what must be
//! seen. [`native_main`] runs the cases of an extension on the native back end in milliseconds, [`wasm_main`] runs the same
//! files on the compiled module in the embedded host, [`envoy_main`] in a real Envoy. The format is described in `docs/cases.md`.

mod around;
mod check;
mod connections;
mod envoy;
mod extensions;
mod format;
mod harness;
mod load;
mod meanwhile;
mod native;
mod plugins;
mod report;
mod routing;
mod subjects;
#[cfg(test)]
mod tests;
mod text;
mod wasm;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

pub use envoy::{RealEnvoy, main as envoy_main};
pub use format::schema;
pub use load::{Error, files, load, parse};
pub use native::{Linked, linked_main, main as native_main};
pub use plugins::Plugin;
pub use subjects::{Subject, main as subjects_main};
pub use wasm::{main as wasm_main, run as wasm_run};

use crate::connection::{Connected, Connection};
use crate::engine::Errand;
use crate::exchange::{Exchange, LogLine, Message, Setup};
use connections::Talk;
use format::{AfterAll, Expect};

/// A host that runs cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The extension linked into the test.
    Native,
    /// The module in the embedded host.
    Wasm,
    /// The module in a real Envoy.
    Envoy,
}

/// One case, checked and ready to run.
#[derive(Clone, Debug)]
pub struct Case {
    file: PathBuf,
    line: u64,
    name: String,
    setup: Setup,
    plugins: Vec<Plugin>,
    steps: Vec<Step>,
    /// Instead of requests, for a network filter.
    talks: Vec<Talk>,
    /// Time that passes after the last of them.
    wait: Duration,
    expect: Expectation<AfterAll>,
}

/// One request of a case.
#[derive(Clone, Debug)]
struct Step {
    line: u64,
    worker: Option<usize>,
    /// Time that passes before it.
    wait: Duration,
    /// It is sent while the one before it is under way.
    meanwhile: bool,
    errand: Errand,
    expect: Expectation<Expect>,
}

/// What must hold, and where a host differs from it.
#[derive(Clone, Debug)]
struct Expectation<T> {
    everywhere: Option<Placed<T>>,
    envoy: Option<Placed<T>>,
    native: Option<Placed<T>>,
    wasm: Option<Placed<T>>,
}

/// A value and the line it stands in.
#[derive(Clone, Debug)]
struct Placed<T> {
    line: u64,
    value: T,
}

impl<T> Expectation<T> {
    fn on(&self, host: Host) -> Option<&Placed<T>> {
        let own = match host {
            Host::Native => &self.native,
            Host::Wasm => &self.wasm,
            Host::Envoy => &self.envoy,
        };
        own.as_ref().or(self.everywhere.as_ref())
    }

    /// What holds on any host.
    fn all(&self) -> impl Iterator<Item = &Placed<T>> {
        [&self.everywhere, &self.envoy, &self.native, &self.wasm].into_iter().flatten()
    }
}

/// Everything that was seen of a case on one host.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Whether the configuration was refused; then there is no exchange.
    pub rejected: bool,
    /// What was seen of each request.
    pub exchanges: Vec<Exchange>,
    /// What was seen of each connection.
    pub connections: Vec<Connected>,
    /// What the plugin has sent to other clusters, by cluster and in order: with the requests, and besides them.
    pub reached: Vec<(String, Message)>,
    /// All lines of the plugin, configuration included.
    pub log: Vec<LogLine>,
    /// Metrics by name, without `wasmcustom.`.
    pub metrics: BTreeMap<String, Measured>,
}

/// What a metric shows at the end of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// By how much a counter grew, or what a gauge holds.
    Number(u64),
    /// How many values a histogram took.
    Samples(u64),
}

impl Case {
    /// The name of the test: `FILE::case`, with the file's name without folder and ending.
    pub fn test_name(&self) -> String {
        let file = self.file.file_stem().unwrap_or_default().to_string_lossy();
        format!("{file}::{}", self.name)
    }

    /// What is known before the first request.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Each request with what is around it, in order, and the time that passes before.
    pub fn errands(&self) -> impl Iterator<Item = (Duration, &Errand)> {
        self.steps.iter().map(|step| (step.wait, &step.errand))
    }

    /// The time that passes after the last request.
    pub fn last_wait(&self) -> Duration {
        self.wait
    }

    /// The plugins that a request passes, in their order.
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// The other extensions that the case needs, by their folders.
    fn others(&self) -> impl Iterator<Item = &str> {
        self.plugins.iter().filter_map(|plugin| plugin.extension.as_deref())
    }

    /// Each connection, in order. A case has requests or connections.
    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.talks.iter().map(|talk| &talk.connection)
    }

    /// The names of the filter state that the case wants to see.
    pub fn filter_state(&self) -> impl Iterator<Item = &str> {
        let wanted = self.steps.iter().filter_map(|step| step.expect.on(Host::Envoy));
        let of_requests = wanted.flat_map(|placed| placed.value.filter_state.iter().flatten());
        let wanted = self.talks.iter().filter_map(|talk| talk.expect.on(Host::Envoy));
        let of_connections = wanted.flat_map(|placed| placed.value.filter_state());
        of_requests.map(|(name, _)| name.as_str()).chain(of_connections)
    }

    /// The names of the metrics that must hold at the end.
    pub(crate) fn metrics(&self) -> BTreeSet<&str> {
        let after = self.expect.on(Host::Envoy).into_iter();
        after.flat_map(|after| after.value.metrics.iter().flatten()).map(|(name, _)| name.as_str()).collect()
    }

    /// The expressions whose values the case wants to see on any host.
    pub(crate) fn expressions(&self) -> BTreeSet<String> {
        let hosts = [Host::Native, Host::Wasm, Host::Envoy];
        let of_steps = self.steps.iter().flat_map(|step| hosts.map(|host| step.expect.on(host)));
        let of_steps = of_steps.flatten().flat_map(|placed| placed.value.expressions.iter().flatten());
        let of_talks = self.talks.iter().flat_map(|talk| hosts.map(|host| talk.expect.on(host)));
        let of_talks = of_talks.flatten().flat_map(|placed| placed.value.expressions());
        of_steps.map(|(source, _)| source.clone()).chain(of_talks.map(str::to_owned)).collect()
    }

    /// Compares what was seen with what must be seen; the error is a report to print.
    pub fn verdict(&self, host: Host, seen: &Seen) -> Result<(), String> {
        let mismatches = check::case(self, host, seen);
        if mismatches.is_empty() { Ok(()) } else { Err(report::failure(self, host, &mismatches, seen)) }
    }
}
