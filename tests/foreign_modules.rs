//! Modules that stand on no SDK of ours, in the embedded host and in a real Envoy: does the same case hold in both?
//!
//! - `host/tests/hostile`: hand-written modules that break every rule a module can break. `limits` below it holds those
//!   that only the embedded host survives.
//! - `host/tests/abi`: hand-written modules of each version of the ABI.
//! - `host/tests/cases_native/puppet.rs`, on the plain `proxy-wasm` crate, built as a module here: the cases that the native
//!   back end runs on it.
//!
//! A `.wat` file has a case file beside it; those in `start` never get so far, tests/module_errors.rs has them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use proxy_wasm_kit_host::case::{Subject, subjects_main};
use proxy_wasm_kit_tests::{cargo, envoy, hand_written, read, relative, root, tree_of};

fn main() -> ExitCode {
    let sources = ["host/tests/abi", "host/tests/hostile"].map(|folder| tree_of(&root().join(folder)));
    let sources = sources.into_iter().flatten();
    let wat = sources.filter(|path| path.extension().is_some_and(|extension| extension == "wat"));
    let wat = wat.filter(|path| path.with_extension("yaml").is_file());
    let subjects: Vec<Subject> = wat.map(|path| subject(&path)).chain([puppet()]).collect();
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

/// The guest of the host's own cases. The package is made here, with the versions that the workspace has locked: a member
/// of the workspace that is a module would have to be an extension.
fn puppet() -> Subject {
    let package = target().join("puppet");
    std::fs::create_dir_all(&package).expect("the target folder can be written to");
    let source = root().join("host/tests/cases_native/puppet.rs");
    let manifest = "[package]\nname = \"puppet\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
                    [lib]\npath = \"lib.rs\"\ncrate-type = [\"cdylib\"]\n\n\
                    [dependencies]\nproxy-wasm = \"0.2\"\nserde_json = \"1\"\n\n[workspace]\n";
    let library = format!(
        "//! The puppet as a module.\n#[path = {source:?}]\nmod puppet;\nproxy_wasm::main! {{{{ puppet::initialize(); }}}}\n"
    );
    write(&package.join("Cargo.toml"), manifest);
    write(&package.join("lib.rs"), &library);
    write(&package.join("Cargo.lock"), &read("Cargo.lock"));
    let manifest = package.join("Cargo.toml");
    let manifest = manifest.to_str().expect("the target folder has a name that is text");
    // Its own folder: the one of the workspace is locked while tests are built.
    let built = package.join("target");
    let built = built.to_str().expect("the target folder has a name that is text");
    let flags = ["--release", "--quiet", "--target=wasm32-wasip1", "--target-dir", built];
    cargo(&[&["build", "--manifest-path", manifest], flags.as_slice()].concat());
    Subject {
        name: "tests".into(),
        module: Path::new(built).join("wasm32-wasip1/release/puppet.wasm"),
        cases: root().join("host/tests/cases"),
        envoy: true,
    }
}

/// Writes a file, unless it is there as it shall be: cargo would build again.
fn write(path: &Path, text: &str) {
    if std::fs::read_to_string(path).ok().as_deref() != Some(text) {
        std::fs::write(path, text).expect("the target folder can be written to");
    }
}
