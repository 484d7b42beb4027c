//! Named tests, put before cargo as a test binary.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use super::{Case, load};

/// A test: its name and what gives the verdict on it.
pub(super) struct Test {
    name: String,
    verdict: Box<dyn FnOnce() -> Result<(), String> + Send>,
}

impl Test {
    pub(super) fn new(
        name: impl Into<String>,
        verdict: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> Self {
        Self { name: name.into(), verdict: Box::new(verdict) }
    }

    /// A test that fails, so that a mistake in one file does not hide the verdicts on the others.
    pub(super) fn broken(name: impl Into<String>, error: impl Into<String>) -> Self {
        let error = error.into();
        Self::new(name, || Err(error))
    }

    #[cfg(test)]
    pub(super) fn verdict(self) -> Result<(), String> {
        (self.verdict)()
    }
}

/// A test for each case in a file or a folder of files.
pub(super) fn tests(place: &Path, plugin: &str, test: impl Fn(Case) -> Test) -> Vec<Test> {
    some_tests(place, plugin, |case| Some(test(case)))
}

/// The same, without those cases for which there is no test.
pub(super) fn some_tests(place: &Path, plugin: &str, test: impl Fn(Case) -> Option<Test>) -> Vec<Test> {
    let of_file = |file: &PathBuf| match load(file, plugin) {
        Ok(cases) => cases.into_iter().filter_map(&test).collect(),
        Err(error) => {
            vec![Test::broken(file.file_name().unwrap_or_default().to_string_lossy(), error.to_string())]
        }
    };
    if place.is_file() {
        return of_file(&place.to_owned());
    }
    match load::files(place) {
        Ok(files) => files.iter().flat_map(of_file).collect(),
        Err(error) => vec![Test::broken("cases", error)],
    }
}

/// Runs the tests that the arguments of the program ask for.
pub(super) fn run(tests: Vec<Test>) -> ExitCode {
    let trial = |Test { name, verdict }| Trial::test(name, || verdict().map_err(Failed::from));
    libtest_mimic::run(&Arguments::from_args(), tests.into_iter().map(trial).collect()).exit_code()
}
