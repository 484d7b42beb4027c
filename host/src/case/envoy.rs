//! Runs every case of every extension in a real Envoy.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use super::harness::{self, Test};
use super::{Case, Host, Measured, Seen, load};
use crate::envoy::{Envoy, Error, Metric, Node, Plugin, Start};

/// Set to make a failure of what is skipped.
const REQUIRE: [&str; 2] = ["CI", "PWKIT_REQUIRE_ENVOY"];

/// The `main` of the test that runs the cases of all extensions in the Envoy `binary`.
///
/// `extensions` is the folder of extensions; the module of `basic-auth` is `basic_auth.wasm` in the folder `modules`.
/// Where the binary or a module is missing, a line that begins with SKIPPED says so and what to do; where `$CI` or
/// `$PWKIT_REQUIRE_ENVOY` is set, that is a failure.
pub fn main(binary: Option<PathBuf>, extensions: impl AsRef<Path>, modules: impl AsRef<Path>) -> ExitCode {
    let run = Run {
        binary,
        modules: modules.as_ref().into(),
        required: REQUIRE.iter().any(|name| std::env::var_os(name).is_some()),
        envoys: Arc::default(),
    };
    let code = harness::run(run.tests(extensions.as_ref()));
    run.envoys.end();
    code
}

/// What a run of all extensions has in common.
struct Run {
    binary: Option<PathBuf>,
    modules: PathBuf,
    required: bool,
    envoys: Arc<Envoys>,
}

impl Run {
    fn tests(&self, extensions: &Path) -> Vec<Test> {
        let Some(binary) = &self.binary else {
            let remedy = "there is no Envoy; fetch one by scripts/envoy, or set ENVOY to the path of one";
            return self.skipped("all extensions", remedy);
        };
        match folders(extensions) {
            Ok(folders) => folders.iter().flat_map(|folder| self.of_extension(folder, binary)).collect(),
            Err(error) => vec![Test::broken("extensions", error)],
        }
    }

    /// Says aloud that cases do not run.
    fn skipped(&self, what: &str, why: &str) -> Vec<Test> {
        eprintln!("SKIPPED real Envoy, {what}: {why}");
        if self.required {
            vec![Test::broken(what, format!("skipped, but required here: {why}"))]
        } else {
            Vec::new()
        }
    }

    fn of_extension(&self, folder: &Path, binary: &Path) -> Vec<Test> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plugin = name.replace('-', "_");
        let module = self.modules.join(format!("{plugin}.wasm"));
        let files = match load::files(&folder.join("cases")) {
            Ok(files) => files,
            Err(error) => return vec![Test::broken(name, error)],
        };
        if !module.is_file() {
            return self
                .skipped(&name, &format!("there is no module {}; run scripts/build", module.display()));
        }
        let runner = Runner { binary: binary.into(), module, envoys: Arc::clone(&self.envoys) };
        files.iter().flat_map(|file| of_file(&name, &plugin, file, &runner)).collect()
    }
}

fn folders(extensions: &Path) -> Result<Vec<PathBuf>, String> {
    let cannot = |error: std::io::Error| format!("{}: cannot be read: {error}", extensions.display());
    let entries = std::fs::read_dir(extensions).map_err(cannot)?;
    let mut folders: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    folders.retain(|folder| folder.join("Cargo.toml").is_file());
    folders.sort();
    if folders.is_empty() {
        Err(format!("{}: holds no extension", extensions.display()))
    } else {
        Ok(folders)
    }
}

fn of_file(extension: &str, plugin: &str, file: &Path, runner: &Runner) -> Vec<Test> {
    match load(file, plugin) {
        Ok(cases) => cases.into_iter().map(|case| runner.test(extension, case)).collect(),
        Err(error) => {
            let file = file.file_name().unwrap_or_default().to_string_lossy();
            vec![Test::broken(format!("{extension}::{file}"), error.to_string())]
        }
    }
}

/// Runs the cases of one extension.
#[derive(Clone)]
struct Runner {
    binary: PathBuf,
    module: PathBuf,
    envoys: Arc<Envoys>,
}

impl Runner {
    fn test(&self, extension: &str, case: Case) -> Test {
        let runner = self.clone();
        Test::new(format!("{extension}::{}", case.test_name()), move || {
            let seen = runner.run(&case).map_err(|error| error.to_string())?;
            case.verdict(Host::Envoy, &seen)
        })
    }

    fn run(&self, case: &Case) -> Result<Seen, Error> {
        let slot = self.envoys.slot(Node::of(case.setup()));
        let mut envoy = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if envoy.is_none() {
            *envoy = Some(Envoy::start(&self.binary, &Node::of(case.setup()))?);
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
    match envoy.load(module, case.setup(), &filter_state)? {
        Start::Rejected(log) => Ok(Seen { rejected: true, log, ..Seen::default() }),
        Start::Serving(mut plugin) => serve(&mut plugin, case),
    }
}

fn serve(plugin: &mut Plugin<'_>, case: &Case) -> Result<Seen, Error> {
    let exchanges = case.exchanges().map(|(request, answer)| plugin.exchange(request, answer));
    let exchanges = exchanges.collect::<Result<_, _>>()?;
    let measured = |metric| match metric {
        Metric::Counter(value) | Metric::Gauge(value) => Measured::Number(value),
        Metric::Histogram(samples) => Measured::Samples(samples),
    };
    let metrics = plugin.metrics()?.into_iter().map(|(name, metric)| (name, measured(metric))).collect();
    Ok(Seen { rejected: false, exchanges, log: plugin.log()?, metrics })
}

/// So many processes may wait for cases at once; each holds some 60 MB.
const MOST: usize = 4;

/// The processes, one for each node, the one used last at the end.
#[derive(Default)]
struct Envoys(Mutex<Vec<(Node, Slot)>>);

type Slot = Arc<Mutex<Option<Envoy>>>;

impl Envoys {
    fn slot(&self, node: Node) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = slots.iter().position(|(other, _)| *other == node);
        let (node, slot) = known.map_or_else(|| (node, Slot::default()), |index| slots.remove(index));
        if slots.len() >= MOST {
            let idle = slots.iter().position(|(_, slot)| Arc::strong_count(slot) == 1);
            idle.map(|index| slots.remove(index));
        }
        slots.push((node, Arc::clone(&slot)));
        slot
    }

    /// Ends all processes.
    fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(binary: Option<PathBuf>, required: bool) -> Run {
        Run { binary, modules: "nowhere".into(), required, envoys: Arc::default() }
    }

    /// A folder of extensions with one that has the given cases.
    fn extensions(name: &str, cases: Option<&str>) -> PathBuf {
        let root = std::env::temp_dir().join(format!("pwkit-extensions-{}-{name}", std::process::id()));
        let extension = root.join("some-plugin");
        std::fs::create_dir_all(extension.join("cases")).unwrap();
        std::fs::write(extension.join("Cargo.toml"), "").unwrap();
        if let Some(cases) = cases {
            std::fs::write(extension.join("cases/a.yaml"), cases).unwrap();
        }
        root
    }

    fn only(tests: Vec<Test>) -> Result<(), String> {
        let [only] = tests.try_into().ok().unwrap();
        Test::verdict(only)
    }

    #[test]
    fn without_envoy_or_module_cases_are_skipped_unless_they_are_required() {
        let cases = "about: x\ncases: [{name: a, expect: {log: [x]}}]\n";
        let extensions = extensions("skipped", Some(cases));
        for binary in [None, Some(PathBuf::from("envoy"))] {
            assert!(run(binary.clone(), false).tests(&extensions).is_empty());
            let failure = only(run(binary, true).tests(&extensions)).unwrap_err();
            assert!(failure.contains("required here") && failure.contains("scripts/"), "{failure}");
        }
        std::fs::remove_dir_all(extensions).unwrap();
    }

    #[test]
    fn a_process_is_kept_for_its_node_until_others_need_the_room() {
        let node = |id: &str| Node { id: id.into(), cluster: String::new(), metadata: serde_json::json!({}) };
        let envoys = Envoys::default();
        let used = envoys.slot(node("used"));
        assert!(Arc::ptr_eq(&used, &envoys.slot(node("used"))));
        let idle = Arc::downgrade(&envoys.slot(node("idle")));
        for id in ["a", "b", "c"] {
            envoys.slot(node(id));
        }
        assert!(idle.upgrade().is_none());
        assert!(Arc::ptr_eq(&used, &envoys.slot(node("used"))));
        envoys.end();
        assert_eq!(Arc::strong_count(&used), 1);
    }

    #[test]
    fn an_extension_without_cases_fails() {
        let extensions = extensions("none", None);
        let run = run(Some("envoy".into()), false);
        assert!(only(run.tests(&extensions)).unwrap_err().contains("holds no cases"));
        let none = extensions.join("some-plugin/cases");
        assert!(only(run.tests(&none)).unwrap_err().contains("holds no extension"));
        std::fs::remove_dir_all(extensions).unwrap();
    }
}
