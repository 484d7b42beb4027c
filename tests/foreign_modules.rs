//! Modules that stand on no SDK of ours, in the embedded host and in a real Envoy: does the same case hold in both?
//!
//! - `host/tests/hostile`: hand-written modules that break every rule a module can break. `limits` below it holds those
//!   that only the embedded host survives.
//! - `host/tests/abi`: hand-written modules of each version of the ABI.
//! - `host/tests/cases_native/puppet.rs`, on the plain `proxy-wasm` crate: the cases that the native back end runs on it.
//! - `host/tests/examples`: the example programs of that crate, written anew on it, and on the raw ABI in each version.
//!
//! A `.wat` file has a case file beside it; those in `start` never get so far, tests/module_errors.rs has them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use proxy_wasm_kit_host::case::{Subject, subjects_main};
use proxy_wasm_kit_tests::guest_modules::{self, RAW};
use proxy_wasm_kit_tests::{envoy, hand_written, relative, root, tree_of};

fn main() -> ExitCode {
    let sources = ["host/tests/abi", "host/tests/hostile"].map(|folder| tree_of(&root().join(folder)));
    let sources = sources.into_iter().flatten();
    let wat = sources.filter(|path| path.extension().is_some_and(|extension| extension == "wat"));
    let wat = wat.filter(|path| path.with_extension("yaml").is_file());
    let subjects: Vec<Subject> = wat.map(|path| subject(&path)).chain(guests()).collect();
    subjects_main(envoy().as_deref(), &subjects)
}

fn subject(path: &Path) -> Subject {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let module = target().join(format!("{name}.wasm"));
    std::fs::write(&module, hand_written::module(&relative(path)))
        .expect("the target folder can be written to");
    let envoy = !relative(path).contains("/limits/");
    Subject { name, module, cases: path.with_extension("yaml"), envoy }
}

/// Where modules are put for the hosts to read.
fn target() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign_modules");
    std::fs::create_dir_all(&folder).expect("the target folder can be written to");
    folder
}

/// The guests in Rust. All programs on the raw ABI have the cases of those on the crate.
fn guests() -> impl Iterator<Item = Subject> {
    let modules = guest_modules::build(env!("CARGO_TARGET_TMPDIR"));
    let examples = [("examples", "plain")].into_iter().chain(RAW.map(|name| (name, name)));
    let cases = examples.map(|(name, module)| (name, module, "host/tests/examples/cases"));
    let others =
        [("tests", "puppet", "host/tests/cases"), ("examples", "plain", "host/tests/examples/modules")];
    let cases = others.into_iter().chain(cases);
    cases.map(move |(name, module, cases)| Subject {
        name: name.into(),
        module: modules.join(module).with_extension("wasm"),
        cases: root().join(cases),
        envoy: true,
    })
}
