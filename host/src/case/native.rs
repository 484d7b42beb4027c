//! Runs every case of an extension on the native back end.

use std::path::Path;
use std::process::ExitCode;

use super::harness::{self, Test};
use super::{Case, Host, Measured, Seen, meanwhile};
use crate::engine::{Guest, Metric};
use crate::{native, vm_thread};

/// A plugin that is linked into the test, and its cases.
#[derive(Clone, Copy, Debug)]
pub struct Linked<'a> {
    /// The plugin's name, and the first part of the names of its tests.
    pub name: &'a str,
    /// The function that its `entry!` makes.
    pub initialize: fn(),
    /// A case file, or a folder of them.
    pub cases: &'a Path,
}

/// The `main` of a test that runs each case of several plugins on the native back end.
pub fn linked_main(plugins: &[Linked<'_>]) -> ExitCode {
    let tests = plugins.iter().flat_map(|&Linked { name, initialize, cases }| {
        harness::tests(cases, name, |case| {
            Test::new(case.test_name(), move || case.verdict(Host::Native, &run(initialize, &case)))
        })
    });
    harness::run(tests.collect())
}

/// The `main` of an extension's `tests/cases.rs` (with `harness = false`): a test for each case in `folder`.
///
/// `initialize` is the function that the extension's `entry!` makes. The plugin is called as the extension's folder,
/// with `_` for `-`.
pub fn main(initialize: fn(), folder: impl AsRef<Path>) -> ExitCode {
    harness::run(tests(initialize, folder.as_ref()))
}

fn tests(initialize: fn(), folder: &Path) -> Vec<Test> {
    let extension = folder.parent().and_then(Path::file_name).unwrap_or_default();
    let plugin = extension.to_string_lossy().replace('-', "_");
    let test =
        |case: Case| Test::new(case.test_name(), move || case.verdict(Host::Native, &run(initialize, &case)));
    harness::some_tests(folder, &plugin, |case| {
        let other = case.others().next().map(str::to_owned);
        if let Some(other) = &other {
            // One extension is linked in.
            eprintln!(
                "SKIPPED native back end, {}: needs {other}, too; other hosts run it",
                case.test_name()
            );
        }
        other.is_none().then(|| test(case))
    })
}

fn run(initialize: fn(), case: &Case) -> Seen {
    let extension = native::Extension::new(initialize);
    let plugins = case.plugins().iter().map(|plugin| (extension.clone(), plugin.setup.clone()));
    seen(native::Host::start_chain(plugins), case)
}

/// Sends the requests of a case to a host that has been started.
pub(super) fn seen<G: Guest + 'static>(
    host: Result<vm_thread::Host<G>, vm_thread::Rejected>,
    case: &Case,
) -> Seen {
    let host = match host {
        Ok(host) => host,
        Err(rejected) => return Seen { rejected: true, log: rejected.log, ..Seen::default() },
    };
    let (mut exchanges, mut reached) = (Vec::new(), Vec::new());
    for group in meanwhile::groups(&case.steps) {
        host.pass(group[0].wait);
        reached.extend(host.take_reached());
        if let Some(worker) = group[0].worker {
            host.turn_to(worker);
        }
        let seen = host.run_all(group.iter().map(|step| step.errand.clone()).collect());
        reached.extend(seen.iter().flat_map(|exchange| exchange.callouts.iter().cloned()));
        exchanges.extend(seen);
    }
    host.pass(case.last_wait());
    reached.extend(host.take_reached());
    let connections = case.connections().map(|connection| host.connect(connection.clone())).collect();
    let metrics = host.metrics().into_iter().map(|(name, metric)| (name, measured(&metric))).collect();
    Seen { rejected: false, exchanges, connections, reached, log: host.log(), metrics }
}

fn measured(metric: &Metric) -> Measured {
    match metric {
        Metric::Counter(value) | Metric::Gauge(value) => Measured::Number(*value),
        Metric::Histogram(histogram) => Measured::Samples(histogram.count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_cases_fails() {
        for folder in ["src", "nowhere"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let [only] = tests(|| {}, &folder).try_into().ok().unwrap();
            assert!(Test::verdict(only).unwrap_err().contains(folder.to_str().unwrap()));
        }
    }
}
