//! Every example of the SDK as a module: do its cases hold in the embedded host and in a real Envoy?

use std::path::Path;
use std::process::ExitCode;

use proxy_wasm_kit_host::case::{Subject, subjects_main};
use proxy_wasm_kit_tests::{cargo, envoy, files, root};

fn main() -> ExitCode {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk_examples");
    // Its own folder: the one of the workspace is locked while tests are built.
    let folder = built.to_str().expect("the target folder has a name that is text");
    let flags = ["--release", "--quiet", "--target=wasm32-wasip1", "--target-dir", folder];
    cargo(&[&["build", "--package=proxy-wasm-kit", "--examples"], flags.as_slice()].concat());
    let sources = files("rs").into_iter().filter(|path| path.starts_with("sdk/examples/"));
    let subjects: Vec<Subject> = sources.map(|source| subject(&source, &built)).collect();
    subjects_main(envoy().as_deref(), &subjects)
}

fn subject(source: &str, built: &Path) -> Subject {
    let source = root().join(source);
    let name = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let module = built.join("wasm32-wasip1/release/examples").join(format!("{name}.wasm"));
    Subject { name, module, cases: source.with_extension("yaml"), envoy: true }
}
