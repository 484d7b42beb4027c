//! Runs every case of every extension in a real Envoy.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::check;
use super::extensions::Modules;
use super::harness::{self, Test};
use super::{Case, Host, Measured, Seen, meanwhile};
use crate::envoy::{Envoy, Error, Filter, Metric, Node, Plugin, Start};

/// The `main` of the test that runs the cases of all extensions in the Envoy `binary`.
///
/// `extensions` is the folder of extensions; the module of `basic-auth` is `basic_auth.wasm` in the folder `modules`.
/// Where the binary or a module is missing, a line that begins with SKIPPED says so and what to do; where `$CI` or
/// `$PWKIT_REQUIRE_ENVOY` is set, that is a failure.
pub fn main(binary: Option<PathBuf>, extensions: impl AsRef<Path>, modules: impl AsRef<Path>) -> ExitCode {
    let modules = Modules::new("real Envoy", modules.as_ref());
    let envoys = Arc::default();
    let code = harness::run(tests(binary, extensions.as_ref(), &modules, &envoys));
    envoys.end();
    code
}

fn tests(binary: Option<PathBuf>, extensions: &Path, modules: &Modules, envoys: &Arc<Envoys>) -> Vec<Test> {
    let Some(binary) = binary else {
        let remedy = "there is no Envoy; fetch one by scripts/envoy, or set ENVOY to the path of one";
        return modules.skipped("all extensions", remedy);
    };
    modules.tests(extensions, |name, module, case| {
        let runner = Runner { binary: binary.clone(), module: module.into(), envoys: Arc::clone(envoys) };
        runner.test(name, case)
    })
}

/// So much later than it should, on a busy machine, a timer of a plugin may tell what must hold at the end.
const LATENESS: Duration = Duration::from_secs(10);

/// Runs the cases of one extension.
pub(super) struct Runner {
    pub(super) binary: PathBuf,
    pub(super) module: PathBuf,
    pub(super) envoys: Arc<Envoys>,
}

impl Runner {
    pub(super) fn test(self, name: String, case: Case) -> Test {
        Test::new(name, move || {
            let seen = self.run(&case).map_err(|error| error.to_string())?;
            case.verdict(Host::Envoy, &seen)
        })
    }

    fn run(&self, case: &Case) -> Result<Seen, Error> {
        let (node, workers) = (Node::of(case.setup()), case.setup().workers);
        let slot = self.envoys.slot(node.clone(), workers);
        let mut envoy = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if envoy.is_none() {
            *envoy = Some(Envoy::start(&self.binary, &node, workers)?);
        }
        let seen = envoy.as_mut().map_or_else(|| Ok(Seen::default()), |envoy| run(envoy, &self.module, case));
        if seen.is_err() {
            // Whatever it is, the next case shall not suffer from it.
            *envoy = None;
        }
        seen
    }
}

fn run(envoy: &mut Envoy, module: &Path, case: &Case) -> Result<Seen, Error> {
    let filter_state: Vec<_> = case.filter_state().collect();
    let filter = match case.connections().next() {
        Some(first) => Filter::Network { announced: first.source.is_some() },
        None => Filter::Http,
    };
    let plugins = case.plugins().iter().map(|plugin| (plugin.module(module), &plugin.setup));
    let plugins: Vec<_> = plugins.collect();
    envoy.forget(&case.metrics())?;
    match envoy.load(&plugins, filter, &filter_state)? {
        Start::Rejected(log) => Ok(Seen { rejected: true, log, ..Seen::default() }),
        Start::Serving(mut plugin) => serve(&mut plugin, case),
    }
}

fn serve(plugin: &mut Plugin<'_>, case: &Case) -> Result<Seen, Error> {
    let (mut exchanges, mut reached) = (Vec::new(), Vec::new());
    for group in meanwhile::groups(&case.steps) {
        std::thread::sleep(group[0].wait);
        reached.extend(plugin.take_reached());
        let seen = plugin.exchange(&group.iter().map(|step| &step.errand).collect::<Vec<_>>())?;
        reached.extend(seen.iter().flat_map(|exchange| exchange.callouts.iter().cloned()));
        exchanges.extend(seen);
    }
    std::thread::sleep(case.last_wait());
    let connections = case.connections().map(|connection| plugin.connect(connection));
    let connections = connections.collect::<Result<_, _>>()?;
    let mut seen = Seen { exchanges, connections, reached, ..Seen::default() };
    let deadline = Instant::now() + LATENESS;
    loop {
        look_around(plugin, &mut seen)?;
        if check::holds_at_the_end(case, Host::Envoy, &seen) || Instant::now() > deadline {
            return Ok(seen);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What is seen besides the requests.
fn look_around(plugin: &mut Plugin<'_>, seen: &mut Seen) -> Result<(), Error> {
    let measured = |metric| match metric {
        Metric::Counter(value) | Metric::Gauge(value) => Measured::Number(value),
        Metric::Histogram(samples) => Measured::Samples(samples),
    };
    seen.reached.extend(plugin.take_reached());
    seen.metrics = plugin.metrics()?.into_iter().map(|(name, metric)| (name, measured(metric))).collect();
    seen.log = plugin.log()?;
    Ok(())
}

/// A real Envoy that is given one case after the other.
pub struct RealEnvoy {
    binary: PathBuf,
    envoys: Arc<Envoys>,
}

impl RealEnvoy {
    /// Starts nothing yet: a process is started for the first case of its node, and kept.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self { binary: binary.into(), envoys: Arc::default() }
    }

    /// Runs a case on a module. The error says why it could not be run.
    pub fn run(&self, module: &Path, case: &Case) -> Result<Seen, String> {
        let (binary, module, envoys) = (self.binary.clone(), module.to_owned(), Arc::clone(&self.envoys));
        Runner { binary, module, envoys }.run(case).map_err(|error| error.to_string())
    }
}

impl Drop for RealEnvoy {
    fn drop(&mut self) {
        self.envoys.end();
    }
}

/// So many processes may wait for cases at once; each holds some 60 MB.
const MOST: usize = 4;

/// The processes, one for each node, the one used last at the end.
#[derive(Default)]
pub(super) struct Envoys(Mutex<Vec<(Kind, Slot)>>);

/// The proxy, and how many workers it has.
type Kind = (Node, usize);
type Slot = Arc<Mutex<Option<Envoy>>>;

impl Envoys {
    fn slot(&self, node: Node, workers: usize) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = (node, workers);
        let known = slots.iter().position(|(other, _)| *other == kind);
        let (kind, slot) = known.map_or_else(|| (kind, Slot::default()), |index| slots.remove(index));
        if slots.len() >= MOST {
            let idle = slots.iter().position(|(_, slot)| Arc::strong_count(slot) == 1);
            idle.map(|index| slots.remove(index));
        }
        slots.push((kind, Arc::clone(&slot)));
        slot
    }

    /// Ends all processes.
    pub(super) fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_envoy_cases_are_skipped_unless_they_are_required() {
        let tests = |required| {
            let modules = Modules { host: "real Envoy", folder: "nowhere".into(), required };
            tests(None, Path::new("nowhere"), &modules, &Arc::default())
        };
        assert!(tests(false).is_empty());
        let [only] = tests(true).try_into().ok().unwrap();
        let failure = Test::verdict(only).unwrap_err();
        assert!(failure.contains("required here") && failure.contains("scripts/envoy"), "{failure}");
    }

    #[test]
    fn a_process_is_kept_for_its_node_until_others_need_the_room() {
        let node = |id: &str| Node { id: id.into(), ..Node::of(&crate::exchange::Setup::default()) };
        let envoys = Envoys::default();
        let used = envoys.slot(node("used"), 1);
        assert!(Arc::ptr_eq(&used, &envoys.slot(node("used"), 1)));
        let idle = Arc::downgrade(&envoys.slot(node("used"), 2));
        for id in ["a", "b", "c"] {
            envoys.slot(node(id), 1);
        }
        assert!(idle.upgrade().is_none());
        assert!(Arc::ptr_eq(&used, &envoys.slot(node("used"), 1)));
        envoys.end();
        assert_eq!(Arc::strong_count(&used), 1);
    }
}
