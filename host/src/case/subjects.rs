//! Runs cases on modules that belong to no extension, in the embedded host and in a real Envoy.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::Case;
use super::envoy::{Envoys, Runner};
use super::extensions::Modules;
use super::harness::{self, Test};
use super::wasm::Loaded;

/// A module and its cases.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The plugin's name, and the first part of the names of its tests.
    pub name: String,
    /// The compiled module.
    pub module: PathBuf,
    /// A case file, or a folder of them.
    pub cases: PathBuf,
    /// Whether a real Envoy is asked too. It has no limit on what a guest executes.
    pub envoy: bool,
}

/// The `main` of a test that runs each case of each subject in the embedded host, and in the Envoy `binary`.
///
/// Where there is no binary, a line that begins with SKIPPED says so; where `$CI` or `$PWKIT_REQUIRE_ENVOY` is set,
/// that is a failure.
pub fn main(binary: Option<&Path>, subjects: &[Subject]) -> ExitCode {
    let (loaded, envoys) = (Arc::new(Loaded::default()), Arc::new(Envoys::default()));
    let embedded = subjects.iter().flat_map(|subject| {
        harness::tests(&subject.cases, &subject.name, |case| {
            super::wasm::test(named("wasm", subject, &case), &loaded, &subject.module, case)
        })
    });
    let mut tests: Vec<Test> = embedded.collect();
    let proper = subjects.iter().filter(|subject| subject.envoy);
    match binary {
        Some(binary) => tests.extend(proper.flat_map(|subject| {
            harness::tests(&subject.cases, &subject.name, |case| {
                let name = named("envoy", subject, &case);
                let (binary, module) = (binary.to_owned(), subject.module.clone());
                Runner { binary, module, envoys: Arc::clone(&envoys) }.test(name, case)
            })
        })),
        None => tests.extend(Modules::new("real Envoy", Path::new("")).skipped(
            "modules of the host's tests",
            "there is no Envoy; fetch one by scripts/envoy, or set ENVOY to the path of one",
        )),
    }
    let code = harness::run(tests);
    envoys.end();
    code
}

fn named(host: &str, subject: &Subject, case: &Case) -> String {
    format!("{host}::{}::{}", subject.name, case.test_name())
}
