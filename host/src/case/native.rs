//! Runs every case of an extension on the native back end.

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use super::{Case, Host, Seen, load};

/// The `main` of an extension's `tests/cases.rs` (with `harness = false`): a test for each case in `folder`.
///
/// `initialize` is the function that the extension's `entry!` makes. The plugin is called as the extension's folder,
/// with `_` for `-`.
pub fn main(initialize: fn(), folder: impl AsRef<Path>) -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = trials(initialize, folder.as_ref());
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials(initialize: fn(), folder: &Path) -> Vec<Trial> {
    let extension = folder.parent().and_then(Path::file_name).unwrap_or_default();
    let plugin = extension.to_string_lossy().replace('-', "_");
    match load::files(folder) {
        Ok(files) => files.iter().flat_map(|file| of_file(initialize, file, &plugin)).collect(),
        Err(error) => vec![broken("cases", error)],
    }
}

fn of_file(initialize: fn(), file: &Path, plugin: &str) -> Vec<Trial> {
    match load(file, plugin) {
        Ok(cases) => cases.into_iter().map(|case| trial(initialize, case)).collect(),
        Err(error) => {
            vec![broken(&file.file_name().unwrap_or_default().to_string_lossy(), error.to_string())]
        }
    }
}

/// A test that fails, so that a file with a mistake does not hide the verdicts on the others.
pub(super) fn broken(name: &str, error: String) -> Trial {
    Trial::test(name, move || Err(Failed::from(error)))
}

fn trial(initialize: fn(), case: Case) -> Trial {
    Trial::test(case.test_name(), move || {
        let seen = run(initialize, &case)?;
        case.verdict(Host::Native, &seen).map_err(Failed::from)
    })
}

fn run(_initialize: fn(), _case: &Case) -> Result<Seen, Failed> {
    Err(Failed::from("the native back end is not there yet"))
}
