//! What a filter costs on the SDK, compared with the same filter written by hand on the ABI: guest instructions and host
//! calls of each request, which are the same in every run.
//!
//! `tests/figures` holds the filters and a case file for each. `cargo test -p proxy-wasm-kit-tests --test figures --
//! --nocapture` prints the figures.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use proxy_wasm_kit_host::case::{self, Host};
use proxy_wasm_kit_host::exchange::Exchange;
use proxy_wasm_kit_host::wasm::{Limits, Module};
use proxy_wasm_kit_prune::{Options, prune};
use proxy_wasm_kit_tests::{read, root};

const FILTERS: [&str; 3] = ["header_edit", "auth_decision", "callout"];

/// How many times the instructions of a filter by hand one on the SDK may execute, and how many host calls more it may make.
const MOST: [(&str, f64, i64); 3] = [("header_edit", 1.3, 0), ("auth_decision", 1.4, 0), ("callout", 3.6, 2)];

#[test]
fn header_edit() {
    compare("header_edit");
}

#[test]
fn auth_decision() {
    compare("auth_decision");
}

#[test]
fn callout() {
    compare("callout");
}

fn compare(filter: &str) {
    let cases = case::load(&root().join(format!("tests/figures/{filter}.yaml")), filter)
        .expect("the cases are well-formed");
    let (_, most, more) = MOST.iter().find(|(name, ..)| *name == filter).expect("each filter has a bound");
    for case in &cases {
        let [sdk, raw] = ["sdk", "raw"].map(|kind| last_exchange(&format!("{kind}_{filter}"), case));
        let instructions = |exchange: &Exchange| exchange.guest_instructions.expect("they are counted");
        let ratio = instructions(&sdk) as f64 / instructions(&raw) as f64;
        println!(
            "{}: {} instructions on the SDK, {} by hand, {ratio:.2} times as many",
            case.test_name(),
            instructions(&sdk),
            instructions(&raw),
        );
        assert!(
            ratio <= *most,
            "{}: {ratio:.2} times the instructions, {most} are allowed",
            case.test_name()
        );
        let calls =
            |exchange: &Exchange| exchange.host_calls.values().map(|count| i64::from(*count)).sum::<i64>();
        assert!(
            calls(&sdk) - calls(&raw) <= *more,
            "{}: {:?} on the SDK, {:?} by hand",
            case.test_name(),
            sdk.host_calls,
            raw.host_calls
        );
    }
}

/// Runs a case on a module, and gives its last request: the first one finds tables empty that grow once. What is not as
/// the case says is not worth comparing.
fn last_exchange(name: &str, case: &case::Case) -> Exchange {
    let path = modules().join(format!("{name}.wasm"));
    let module = Module::load(&path, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
    let mut seen = case::wasm_run(&module, &path, case).unwrap_or_else(|error| panic!("{name}: {error}"));
    case.verdict(Host::Wasm, &seen).unwrap_or_else(|report| panic!("{name}: {report}"));
    seen.exchanges.pop().expect("a case has requests")
}

/// A folder with all filters, as they would ship.
fn modules() -> &'static Path {
    static MODULES: OnceLock<PathBuf> = OnceLock::new();
    MODULES.get_or_init(|| {
        let built = build();
        for name in FILTERS.map(|filter| format!("sdk_{filter}.wasm")) {
            let path = built.join(&name);
            let wasm = std::fs::read(&path).expect("cargo has built it");
            let pruned =
                prune(&wasm, Options { strip: true }).unwrap_or_else(|error| panic!("{name}: {error}"));
            std::fs::write(built.join("..").join(&name), pruned.module)
                .expect("the target folder can be written to");
        }
        for name in FILTERS.map(|filter| format!("raw_{filter}.wasm")) {
            std::fs::copy(built.join(&name), built.join("..").join(&name)).expect("cargo has built it");
        }
        built.join("..")
    })
}

/// Builds each filter as an example of one package, with the profile and the versions of the workspace: a member of the
/// workspace that is a module would have to be an extension.
fn build() -> PathBuf {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("figures");
    std::fs::create_dir_all(&package).expect("the target folder can be written to");
    let profile = read("Cargo.toml");
    let profile =
        profile.split("\n\n").find(|table| table.contains("[profile.module]")).expect("there is one");
    let mut manifest = format!(
        "[package]\nname = \"figures\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n{profile}\n\n\
         [lib]\npath = \"lib.rs\"\n\n[dependencies]\nproxy-wasm-kit = {{ path = {:?} }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\nserde_json = \"1\"\n",
        root().join("sdk")
    );
    for (kind, filter) in ["sdk", "raw"].iter().flat_map(|kind| FILTERS.map(|filter| (kind, filter))) {
        let source = root().join(format!("tests/figures/{kind}/{filter}.rs"));
        manifest += &format!(
            "\n[[example]]\nname = \"{kind}_{filter}\"\npath = {source:?}\ncrate-type = [\"cdylib\"]\n"
        );
    }
    write(&package.join("Cargo.toml"), &manifest);
    write(&package.join("lib.rs"), "//! Nothing: the examples are it.\n");
    write(&package.join("Cargo.lock"), &read("Cargo.lock"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--examples",
        "--quiet",
        "--profile=module",
        "--target=wasm32-wasip1",
        "--target-dir=target",
    ]);
    command
        .env("CARGO_ENCODED_RUSTFLAGS", "-Clink-arg=--emit-relocs")
        .env("CARGO_PROFILE_MODULE_STRIP", "false");
    assert!(
        command.current_dir(&package).status().expect("cargo starts").success(),
        "the filters do not compile"
    );
    package.join("target/wasm32-wasip1/module/examples")
}

/// Writes a file, unless it is there as it shall be: cargo would build again.
fn write(path: &Path, text: &str) {
    if std::fs::read_to_string(path).ok().as_deref() != Some(text) {
        std::fs::write(path, text).expect("the target folder can be written to");
    }
}
