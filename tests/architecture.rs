//! docs/architecture.md as checks: which crate may know which, and what is absent where.

use std::collections::BTreeSet;

use proxy_wasm_kit_tests::{Metadata, Package, assert_none, files, read, root};
use regex_lite::Regex;

const LONGEST_FILE: usize = 600;
const LONGEST_EXTENSION_ROOT: usize = 80;

#[test]
fn members_depend_on_each_other_as_drawn() {
    let metadata = Metadata::read();
    let members: BTreeSet<&str> = metadata.members().map(|member| member.name.as_str()).collect();
    let mut forbidden = Vec::new();
    for member in metadata.members() {
        for dependency in member.dependencies.iter().filter(|edge| members.contains(edge.name.as_str())) {
            let kind = dependency.kind.as_deref().unwrap_or("normal");
            if !allowed(member, &dependency.name, kind) {
                forbidden
                    .push(format!("{} -> {} ({kind}) is not an allowed edge", member.name, dependency.name));
            }
        }
    }
    assert_none(&forbidden);
}

/// The whole drawing. Tests of the SDK and of an extension run on the host; the host itself knows neither, since it
/// judges them by the ABI alone; no extension knows another; nothing knows the tests.
fn allowed(from: &Package, to: &str, kind: &str) -> bool {
    match (from.folder().as_str(), to, kind) {
        ("sdk", "proxy-wasm-kit-host", "dev") => true,
        ("cli", "proxy-wasm-kit-host" | "proxy-wasm-kit-prune" | "proxy-wasm-kit-paths", _) => true,
        ("sdk", "proxy-wasm-kit-derive", "normal") => true,
        ("tests", to, _) => to != "proxy-wasm-kit-tests",
        (folder, "proxy-wasm-kit" | "proxy-wasm-kit-mesh" | "proxy-wasm-kit-paths", "normal") => {
            folder.starts_with("extensions/")
        }
        (folder, "proxy-wasm-kit-host", "dev") => folder.starts_with("extensions/"),
        _ => false,
    }
}

#[test]
fn the_sdk_brings_no_runtime_into_a_module() {
    let metadata = Metadata::read();
    let sdk = metadata.members().find(|member| member.folder() == "sdk").expect("the SDK is a member");
    let runtimes =
        ["async-std", "hyper", "mio", "smol", "tokio", "v8", "wamr-sys", "wasmer", "wasmi", "wasmtime"];
    let found: Vec<String> = shipped_with(&metadata, &sdk.id)
        .into_iter()
        .filter(|name| runtimes.contains(&name.as_str()))
        .map(|name| format!("proxy-wasm-kit ships with {name}"))
        .collect();
    assert_none(&found);
}

/// The names of all packages that a package is linked with: its normal dependencies and theirs.
fn shipped_with(metadata: &Metadata, id: &str) -> BTreeSet<String> {
    let (mut names, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![id]);
    while let Some(id) = open.pop() {
        let node = metadata.resolve.nodes.iter().find(|node| node.id == id).expect("the resolve is whole");
        for edge in node.deps.iter().filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none())) {
            if seen.insert(edge.pkg.as_str()) {
                names.insert(metadata.package(&edge.pkg).name.clone());
                open.push(&edge.pkg);
            }
        }
    }
    names
}

#[test]
fn every_member_and_folder_is_on_the_map() {
    let map = read("docs/architecture.md");
    let folders = std::fs::read_dir(root()).expect("the root can be read").filter_map(|entry| {
        let entry = entry.expect("an entry of the root can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        (entry.path().is_dir() && ![".git", "target", "dist"].contains(&&*name)).then_some(name)
    });
    let missing: Vec<String> = Metadata::read()
        .members()
        .map(Package::folder)
        .chain(folders)
        .filter(|folder| !map.contains(&format!("`{folder}/`")))
        .map(|folder| format!("docs/architecture.md does not name `{folder}/`"))
        .collect();
    assert_none(&missing);
}

#[test]
fn the_map_names_nothing_that_is_gone() {
    let map = read("docs/architecture.md");
    let path = Regex::new(r"`((?:\w[\w.-]*/)+(?:[\w-]+(?:\.\w+)?)?)`").expect("the pattern is right");
    let gone: Vec<String> = path
        .captures_iter(&map)
        .map(|found| found[1].to_owned())
        .filter(|path| !["target/", "dist/"].iter().any(|built| path.starts_with(built)))
        .filter(|path| !root().join(path).exists())
        .map(|path| format!("docs/architecture.md names `{path}`, which does not exist"))
        .collect();
    assert_none(&gone);
}

#[test]
fn members_take_lints_and_versions_from_the_workspace() {
    let pinned =
        Regex::new(r#"(?m)^[\w-]+ *= *("|\{[^}]*\b(version|path|git)\b)"#).expect("the pattern is right");
    let mut complaints = Vec::new();
    for member in Metadata::read().members() {
        let path = format!("{}/Cargo.toml", member.folder());
        let manifest = read(&path);
        for table in manifest.split("\n[").filter(|table| header(table).ends_with("dependencies]")) {
            let lines = pinned.find_iter(table).map(|line| line.as_str().to_owned());
            complaints
                .extend(lines.map(|line| format!("{path}: `{line}..` belongs in the root's Cargo.toml")));
        }
        if is_guest(member) && !manifest.contains("[lints]\nworkspace = true") {
            complaints.push(format!("{path}: guest code takes its lints from the workspace"));
        }
    }
    assert_none(&complaints);
}

fn header(table: &str) -> &str {
    table.lines().next().unwrap_or_default()
}

/// What runs inside the proxy.
fn is_guest(member: &Package) -> bool {
    member.is_extension() || ["sdk", "mesh", "paths"].contains(&member.folder().as_str())
}

#[test]
fn every_source_file_says_what_it_is_for() {
    complain_of_sources(|_, text| {
        (!text.starts_with("//! ")).then(|| "does not open with `//!` and what it is for".to_owned())
    });
}

#[test]
fn no_source_file_is_too_long() {
    complain_of_sources(|path, text| {
        let lines = outside_tests(path, text).lines().count();
        (lines > LONGEST_FILE).then(|| format!("has {lines} lines outside tests, {LONGEST_FILE} are allowed"))
    });
}

/// The text up to its test module; nothing of a file that is a test.
fn outside_tests<'a>(path: &str, text: &'a str) -> &'a str {
    if path.split('/').any(|part| part == "tests" || part == "tests.rs") {
        return "";
    }
    text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default()
}

#[test]
fn unsafe_code_stays_at_the_boundary() {
    let word = Regex::new(r"\bunsafe\s*([{(]|fn\b|extern\b|impl\b|trait\b)").expect("the pattern is right");
    complain_of_sources(|path, text| {
        let guests = [
            "fuzz/src/host/",
            "host/tests/rows/guest",
            "host/tests/rows/back_end",
            "host/tests/cases_native/puppet.rs",
            "host/tests/examples/raw/",
            "tests/figures/counted/allocator.rs",
            "tests/figures/raw",
            "tests/rows_on_module/back_end",
        ];
        let boundary = ["sdk/src/abi", "sdk/src/entry.rs", "host/src/native"]
            .iter()
            .chain(&guests)
            .any(|at| path.starts_with(at));
        let line = text.lines().position(|line| word.is_match(code_of(line)))?;
        (!boundary).then(|| format!("holds `unsafe` in line {}; it belongs to the ABI", line + 1))
    });
}

/// A line without its comment. Good enough where no string holds `//`.
fn code_of(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

#[test]
fn an_extension_has_a_small_and_safe_root() {
    complain_of_extensions(|_, folder| {
        let path = format!("{folder}/src/lib.rs");
        let text = read(&path);
        let lines = text.lines().count();
        let size =
            (lines >= LONGEST_EXTENSION_ROOT).then(|| format!("{path} has {lines} lines, 79 are allowed"));
        let safety = (!text.contains("#![forbid(unsafe_code)]"))
            .then(|| format!("{path} does not forbid unsafe code"));
        size.into_iter().chain(safety).collect()
    });
}

#[test]
fn a_policy_knows_no_host() {
    let host =
        Regex::new(r"\b(proxy_wasm\w*|log)::|\buse (proxy_wasm\w*|log)\b").expect("the pattern is right");
    complain_of_extensions(|_, folder| {
        let policies = files("rs").into_iter().filter(|path| {
            path == &format!("{folder}/src/policy.rs") || path.starts_with(&format!("{folder}/src/policy/"))
        });
        let pure =
            |line: &str| code_of(line).replace("proxy_wasm_kit_mesh", "").replace("proxy_wasm_kit_paths", "");
        let knowing = policies.filter(|path| read(path).lines().any(|line| host.is_match(&pure(line))));
        knowing.map(|path| format!("{path} names the host; decisions stand apart from mechanism")).collect()
    });
}

#[test]
fn extensions_have_the_same_files() {
    let wanted = [
        "Cargo.toml",
        "README.md",
        "src/config.rs",
        "src/lib.rs",
        "src/policy.rs",
        "cases",
        "deploy/envoy.yaml",
        "deploy/wasmplugin.yaml",
    ];
    complain_of_extensions(|_, folder| {
        let missing = wanted.iter().filter(|path| !root().join(folder).join(path).exists());
        missing.map(|path| format!("{folder}/{path} is missing")).collect()
    });
}

#[test]
fn nothing_is_compiled_or_run_only_by_name() {
    let skipped = Regex::new(r"^\s*(//[/!] )?(```(\w+,)*ignore|#\[ignore)").expect("the pattern is right");
    let mut complaints = Vec::new();
    for path in files("rs").into_iter().chain(files("md")) {
        let found = read(&path).lines().position(|line| skipped.is_match(line));
        complaints
            .extend(found.map(|line| format!("{path}:{} is ignored: make it run, or remove it", line + 1)));
    }
    assert_none(&complaints);
}

fn complain_of_sources(complaint: impl Fn(&str, &str) -> Option<String>) {
    let complaints: Vec<String> = files("rs")
        .into_iter()
        .filter_map(|path| complaint(&path, &read(&path)).map(|text| format!("{path} {text}")))
        .collect();
    assert_none(&complaints);
}

fn complain_of_extensions(complaints: impl Fn(&Package, &str) -> Vec<String>) {
    let metadata = Metadata::read();
    let found: Vec<String> = metadata
        .members()
        .filter(|member| member.is_extension())
        .flat_map(|member| complaints(member, &member.folder()))
        .collect();
    assert_none(&found);
}
