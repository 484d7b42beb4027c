//! What a filter costs on the SDK: guest instructions and host calls of a request, compared with the same filter written by
//! hand on the ABI, and how often it takes memory; and what paths and tokens cost that are made to cost much. All of it is the
//! same in every run.
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
use proxy_wasm_kit_tests::{module, read, root};

/// The filters, by folder and file.
const FILTERS: [(&str, &str); 8] = [
    ("sdk", "header_edit"),
    ("sdk", "auth_decision"),
    ("sdk", "callout"),
    ("raw", "header_edit"),
    ("raw", "auth_decision"),
    ("raw", "callout"),
    ("counted", "one_hook"),
    ("counted", "two_hooks"),
];

/// How many times the instructions of a filter by hand one on the SDK may execute.
const MOST: f64 = 1.3;

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
    let cases = cases(filter);
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
        assert!(ratio <= MOST, "{}: {ratio:.2} times the instructions, {MOST} are allowed", case.test_name());
        let calls = |exchange: &Exchange| exchange.host_calls.values().sum::<u32>();
        assert!(
            calls(&sdk) <= calls(&raw),
            "{}: {:?} on the SDK, {:?} by hand",
            case.test_name(),
            sdk.host_calls,
            raw.host_calls
        );
    }
}

#[test]
fn a_filter_of_one_hook_takes_memory_for_its_snapshot_alone() {
    assert_eq!(allocations("one_hook"), 1);
}

#[test]
fn a_filter_of_two_hooks_takes_memory_for_two_snapshots_and_what_lives_between() {
    assert_eq!(allocations("two_hooks"), 3);
}

/// How often a filter takes memory between one request and the next.
fn allocations(filter: &str) -> u32 {
    let [case] = &*cases("allocations") else { panic!("there is one case") };
    let exchanges = run(&format!("counted_{filter}"), case);
    let counts: Vec<u32> = exchanges.iter().map(count).collect();
    let [.., before, last_but_one, last] = &*counts else { panic!("there are more requests than these") };
    assert_eq!(last - last_but_one, last_but_one - before, "each request takes as much: {counts:?}");
    last - last_but_one
}

/// What the filter told the upstream.
fn count(exchange: &Exchange) -> u32 {
    let headers = &exchange.upstream.as_ref().expect("the request has passed").headers;
    let digits = headers.first("x-allocations").expect("the filter tells");
    String::from_utf8_lossy(digits).parse().expect("it tells a number")
}

/// How many times the instructions of a path of 57 KB that is only long, one may cost that is made to be read in many ways.
const MOST_OF_A_PATH: u64 = 6;

/// And how many for each byte of the long one.
const MOST_OF_A_BYTE: u64 = 300;

#[test]
fn jwt_headers_takes_no_longer_for_odd_paths_than_for_long_ones() {
    compare_paths("jwt_headers");
}

#[test]
fn basic_auth_takes_no_longer_for_odd_paths_than_for_long_ones() {
    compare_paths("basic_auth");
}

/// How many instructions a request may cost that keeps the patterns of attribute_gen busy.
const MOST_OF_PATTERNS: u64 = 50_000_000;

#[test]
fn attribute_gen_bounds_what_patterns_look_at() {
    for (case, costs) in costs("attribute_gen", "patterns_attribute_gen") {
        let most = costs.iter().max().expect("a case has requests");
        assert!(*most <= MOST_OF_PATTERNS, "{case}: {most}");
    }
}

fn compare_paths(extension: &str) {
    for (case, costs) in costs(extension, &format!("paths_{extension}")) {
        let [plain, others @ ..] = &*costs else { panic!("a case has requests") };
        assert!(*plain <= MOST_OF_A_BYTE * 57_000, "{case}: {plain} for a plain path");
        let most = others.iter().max().expect("a case has several requests");
        assert!(*most <= MOST_OF_A_PATH * plain, "{case}: {most}, {plain} for a plain path");
    }
}

/// The instructions of all requests of the cases in a file, on the module of an extension; none if it was not built.
fn costs(extension: &str, file: &str) -> Vec<(String, Vec<u64>)> {
    let Some(path) = module(extension) else { return Vec::new() };
    let module = Module::load(&path, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
    let of_case = |case: &case::Case| {
        let seen = case::wasm_run(&module, &path, case).unwrap_or_else(|error| panic!("{error}"));
        case.verdict(Host::Wasm, &seen).unwrap_or_else(|report| panic!("{report}"));
        let cost = |exchange: &Exchange| exchange.guest_instructions.expect("they are counted");
        let costs: Vec<u64> = seen.exchanges.iter().map(cost).collect();
        println!("{}: {costs:?}", case.test_name());
        (case.test_name().to_string(), costs)
    };
    cases(file).iter().map(of_case).collect()
}

/// How many times the instructions of one provider twenty may cost that look at the same tokens.
const MOST_OF_PROVIDERS: f64 = 1.25;

#[test]
fn jwt_headers_reads_a_token_once_for_all_providers() {
    let Some(path) = module("jwt_headers") else { return };
    let module = Module::load(&path, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
    let costs = cases("tokens_jwt_headers").into_iter().map(|case| {
        let seen = case::wasm_run(&module, &path, &case).unwrap_or_else(|error| panic!("{error}"));
        case.verdict(Host::Wasm, &seen).unwrap_or_else(|report| panic!("{report}"));
        let cost = |exchange: &Exchange| exchange.guest_instructions.expect("they are counted");
        let costs: Vec<u64> = seen.exchanges.iter().map(cost).collect();
        println!("{}: {costs:?}", case.test_name());
        costs
    });
    let [of_one, of_twenty] = &*costs.collect::<Vec<_>>() else { panic!("there are two cases") };
    for (number, (one, twenty)) in of_one.iter().zip(of_twenty).enumerate() {
        let ratio = *twenty as f64 / *one as f64;
        assert!(
            ratio <= MOST_OF_PROVIDERS,
            "requests[{number}]: twenty providers cost {ratio:.2} times as much as one"
        );
    }
}

fn cases(file: &str) -> Vec<case::Case> {
    case::load(&root().join(format!("tests/figures/{file}.yaml")), file).expect("the cases are well-formed")
}

/// The last request of a case: the first ones find tables and lists empty that grow once.
fn last_exchange(name: &str, case: &case::Case) -> Exchange {
    run(name, case).pop().expect("a case has requests")
}

/// Runs a case on a module. What is not as the case says is not worth a comparison.
fn run(name: &str, case: &case::Case) -> Vec<Exchange> {
    let path = modules().join(format!("{name}.wasm"));
    let module = Module::load(&path, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
    let seen = case::wasm_run(&module, &path, case).unwrap_or_else(|error| panic!("{name}: {error}"));
    case.verdict(Host::Wasm, &seen).unwrap_or_else(|report| panic!("{name}: {report}"));
    seen.exchanges
}

/// A folder with all filters, as they would ship.
fn modules() -> &'static Path {
    static MODULES: OnceLock<PathBuf> = OnceLock::new();
    MODULES.get_or_init(|| {
        build("figures", "", |kind| kind != "counted");
        // The allocator that counts is a module's own.
        let built = build("counted", "default-features = false, ", |kind| kind == "counted");
        for (kind, filter) in FILTERS {
            let name = format!("{kind}_{filter}.wasm");
            let mut module = std::fs::read(built.join(&name)).expect("cargo has built it");
            if kind != "raw" {
                let pruned = prune(&module, Options { strip: true });
                module = pruned.unwrap_or_else(|error| panic!("{name}: {error}")).module;
            }
            std::fs::write(built.join("..").join(&name), module)
                .expect("the target folder can be written to");
        }
        built.join("..")
    })
}

/// Builds filters as examples of one package, with the profile and the versions of the workspace: a member of the workspace
/// that is a module would have to be an extension.
fn build(name: &str, features: &str, wanted: fn(&str) -> bool) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let package = folder.join(name);
    std::fs::create_dir_all(&package).expect("the target folder can be written to");
    let profile = read("Cargo.toml");
    let profile =
        profile.split("\n\n").find(|table| table.contains("[profile.module]")).expect("there is one");
    let mut manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n{profile}\n\n\
         [lib]\npath = \"lib.rs\"\n\n[dependencies]\nproxy-wasm-kit = {{ {features}path = {:?} }}\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\nserde_json = \"1\"\n",
        root().join("sdk")
    );
    for (kind, filter) in FILTERS.into_iter().filter(|(kind, _)| wanted(kind)) {
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
        "--target-dir=../figures/target",
    ]);
    command
        .env("CARGO_ENCODED_RUSTFLAGS", "-Clink-arg=--emit-relocs")
        .env("CARGO_PROFILE_MODULE_STRIP", "false");
    assert!(
        command.current_dir(&package).status().expect("cargo starts").success(),
        "the filters do not compile"
    );
    folder.join("figures/target/wasm32-wasip1/module/examples")
}

/// Writes a file, unless it is there as it shall be: cargo would build again.
fn write(path: &Path, text: &str) {
    if std::fs::read_to_string(path).ok().as_deref() != Some(text) {
        std::fs::write(path, text).expect("the target folder can be written to");
    }
}
