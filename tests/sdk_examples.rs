//! Every example of the SDK as a module: do its cases hold? Pruned, as modules ship, in the embedded host and in a real Envoy;
//! as cargo made it, in the embedded host; and where that depends on a proxy, in Envoy too.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use proxy_wasm_kit_host::case::{Subject, subjects_main};
use proxy_wasm_kit_prune::{Options, prune};
use proxy_wasm_kit_tests::{envoy, files, root};

/// What is left of some: one hook, TCP, both kinds, a call that a message waits for.
const CALLBACKS: [(&str, &str); 4] = [
    ("cel_gate", "configure context_create memory_allocate request_headers"),
    (
        "handshake",
        "configure context_create delete downstream_connection_close downstream_data memory_allocate upstream_data",
    ),
    (
        "both_kinds",
        "configure context_create delete downstream_data log memory_allocate request_headers tick",
    ),
    (
        "authorize",
        "configure context_create delete http_call_response memory_allocate request_body request_headers \
         request_trailers tick",
    ),
];

fn main() -> ExitCode {
    let built = build();
    let sources = files("rs").into_iter().filter(|path| path.starts_with("sdk/examples/"));
    let subjects: Vec<Subject> = sources.flat_map(|source| subjects(&root().join(source), &built)).collect();
    subjects_main(envoy().as_deref(), &subjects)
}

/// Builds all examples; gives the folder where they are.
fn build() -> PathBuf {
    // Its own folder: the one of the workspace is locked while tests are built.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk_examples");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--package=proxy-wasm-kit", "--examples", "--all-features", "--release", "--quiet"]);
    cargo.arg("--target=wasm32-wasip1").arg("--target-dir").arg(&target).current_dir(root());
    // Pruning asks the linker who refers to whom.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", "-Clink-arg=--emit-relocs");
    assert!(cargo.status().expect("cargo starts").success(), "the examples do not compile");
    target.join("wasm32-wasip1/release/examples")
}

fn subjects(source: &Path, built: &Path) -> [Subject; 2] {
    let name = source.file_stem().expect("a source has a name").to_string_lossy().into_owned();
    let (module, cases) = (built.join(format!("{name}.wasm")), source.with_extension("yaml"));
    let pruned = Subject { module: pruned(&module), cases: cases.clone(), envoy: true, name };
    let name = format!("unpruned::{}", pruned.name);
    // Before its first callback the crate cannot know of what kind a stream is: there Envoy's attributes have to tell.
    let envoy = source.ends_with("both_kinds.rs");
    [pruned, Subject { name, module, cases, envoy }]
}

fn pruned(module: &Path) -> PathBuf {
    let path = module.with_extension("pruned.wasm");
    let wasm = std::fs::read(module).expect("cargo has built it");
    let pruned =
        prune(&wasm, Options { strip: true }).unwrap_or_else(|error| panic!("{}: {error}", module.display()));
    let name = module.file_stem().unwrap_or_default().to_string_lossy();
    let left: Vec<&str> =
        pruned.callbacks.iter().filter_map(|callback| callback.strip_prefix("proxy_on_")).collect();
    if let Some((_, expected)) = CALLBACKS.iter().find(|(example, _)| *example == name) {
        assert_eq!(left.join(" "), *expected, "{name}");
    }
    std::fs::write(&path, pruned.module).expect("the target folder can be written to");
    path
}
