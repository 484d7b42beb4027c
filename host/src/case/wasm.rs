//! Runs every case of every extension on its module, in the embedded host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use super::extensions::Modules;
use super::harness::{self, Test};
use super::{Case, Host, Plugin, Seen, native};
use crate::wasm::{Limits, Module};

/// The `main` of the test that runs the cases of all extensions on their modules.
///
/// `extensions` is the folder of extensions; the module of `basic-auth` is `basic_auth.wasm` in each folder of `modules`,
/// which comes with what to put before the names of its tests.
/// Where a module is missing, a line that begins with SKIPPED says so and what to do; where `$CI` or
/// `$PWKIT_REQUIRE_ENVOY` is set, that is a failure.
pub fn main(extensions: impl AsRef<Path>, modules: &[(&str, PathBuf)]) -> ExitCode {
    let loaded = Arc::new(Loaded::default());
    let tests = modules.iter().flat_map(|(prefix, folder)| {
        let test = |name, module: &Path, case| test(format!("{prefix}{name}"), &loaded, module, case);
        Modules::new("embedded host", folder).tests(extensions.as_ref(), test)
    });
    harness::run(tests.collect())
}

/// A test of a case on the module in `path`, which is loaded when the first test of it runs.
pub(super) fn test(name: String, loaded: &Arc<Loaded>, path: &Path, case: Case) -> Test {
    let (loaded, path) = (Arc::clone(loaded), path.to_owned());
    Test::new(name, move || {
        let seen = run(&loaded.get(&path)?, &path, &case)?;
        case.verdict(Host::Wasm, &seen)
    })
}

/// Runs a case on a module. The error says why a module of another extension, which
/// has to stand beside `path`, cannot be used.
pub fn run(module: &Module, path: &Path, case: &Case) -> Result<Seen, String> {
    let own = |plugin: &Plugin| match plugin.extension {
        None => Ok(module.clone()),
        Some(_) => Module::load(&plugin.module(path), &Limits::default()).map_err(|error| error.to_string()),
    };
    let modules = case.plugins().iter().map(own).collect::<Result<Vec<_>, _>>()?;
    let plugins = modules.iter().zip(case.plugins().iter().map(|plugin| plugin.setup.clone()));
    Ok(native::seen(crate::wasm::Host::start_chain(plugins), case))
}

/// Modules by their path. A filter of the command line may leave some without a test, so they are loaded when needed.
#[derive(Default)]
pub(super) struct Loaded(Mutex<BTreeMap<PathBuf, Result<Module, String>>>);

impl Loaded {
    fn get(&self, path: &Path) -> Result<Module, String> {
        let mut modules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let load = || Module::load(path, &Limits::default()).map_err(|error| error.to_string());
        modules.entry(path.to_owned()).or_insert_with(load).clone()
    }
}
