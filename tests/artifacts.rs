//! What scripts/build makes: modules that Envoy can load, whose bytes depend on the source alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use proxy_wasm_kit_host::module::{AbiVersion, Module as Surface};
use proxy_wasm_kit_tests::{Metadata, assert_none, root, tree_of};
use sha2::{Digest, Sha256};
use wasmparser::{Validator, WasmFeatures};

/// The host functions of ABI 0.2.1 without their prefix `proxy_`.
const ABI: &str = "add_header_map_value call_foreign_function close_stream continue_stream define_metric \
    dequeue_shared_queue done enqueue_shared_queue get_buffer_bytes get_buffer_status get_current_time_nanoseconds \
    get_header_map_pairs get_header_map_size get_header_map_value get_log_level get_metric get_property \
    get_shared_data get_status grpc_call grpc_cancel grpc_close grpc_send grpc_stream http_call increment_metric log \
    record_metric register_shared_queue remove_header_map_value replace_header_map_value resolve_shared_queue \
    send_local_response set_buffer_bytes set_effective_context set_header_map_pairs set_property set_shared_data \
    set_tick_period_milliseconds";

/// The callbacks of ABI 0.2.1 without their prefix `proxy_`, the two of an allocator aside.
const CALLBACKS: &str = "abi_version_0_2_1 on_configure on_context_create on_delete on_done on_downstream_connection_close \
    on_downstream_data on_foreign_function on_grpc_close on_grpc_receive on_grpc_receive_initial_metadata \
    on_grpc_receive_trailing_metadata on_http_call_response on_log on_memory_allocate on_new_connection on_queue_ready \
    on_request_body on_request_headers on_request_metadata on_request_trailers on_response_body on_response_headers \
    on_response_metadata on_response_trailers on_tick on_upstream_connection_close on_upstream_data on_vm_start";

/// What every Envoy since 1.2x offers of WASI; most of it only answers that there is nothing.
const WASI: &str = "args_get args_sizes_get clock_time_get environ_get environ_sizes_get fd_close fd_fdstat_get \
    fd_prestat_dir_name fd_prestat_get fd_read fd_seek fd_write path_open proc_exit random_get";

struct Module {
    name: String,
    code: Vec<u8>,
}

impl Module {
    fn surface(&self) -> Surface {
        Surface::read(&self.code).unwrap_or_else(|error| panic!("dist/{}: {error}", self.name))
    }
}

/// The modules of the present source, and the table that scripts/build printed of them.
fn dist() -> &'static (Vec<Module>, String) {
    static DIST: OnceLock<(Vec<Module>, String)> = OnceLock::new();
    DIST.get_or_init(|| {
        let table = build(root(), &[]);
        (modules(root()), table)
    })
}

fn modules(workspace: &Path) -> Vec<Module> {
    let entries = std::fs::read_dir(workspace.join("dist")).expect("scripts/build makes dist/");
    let paths = entries.map(|entry| entry.expect("an entry of dist/ can be read").path());
    let mut modules: Vec<Module> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .map(|path| Module {
            name: file_name(&path),
            code: std::fs::read(&path).expect("a module can be read"),
        })
        .collect();
    modules.sort_by(|one, other| one.name.cmp(&other.name));
    modules
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Runs a workspace's scripts/build.
fn build(workspace: &Path, variables: &[(&str, &Path)]) -> String {
    let mut command = Command::new(workspace.join("scripts/build"));
    let output = command.envs(variables.iter().copied()).output().expect("scripts/build starts");
    assert!(output.status.success(), "scripts/build: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the table is text")
}

#[test]
fn every_extension_has_a_module() {
    let metadata = Metadata::read();
    let extensions = metadata.members().filter(|member| member.is_extension());
    let expected: BTreeSet<String> =
        extensions.map(|member| format!("{}.wasm", member.name.replace('-', "_"))).collect();
    let built: BTreeSet<String> = dist().0.iter().map(|module| module.name.clone()).collect();
    assert_eq!(built, expected);
}

#[test]
fn modules_import_what_envoy_offers() {
    complain_of_modules(|module| {
        let known = |namespace: &str, name: &str| match namespace {
            "env" => {
                name.strip_prefix("proxy_").is_some_and(|name| ABI.split_whitespace().any(|one| one == name))
            }
            "wasi_snapshot_preview1" => WASI.split_whitespace().any(|one| one == name),
            _ => false,
        };
        let foreign =
            module.surface().imports.into_iter().filter(|(namespace, name)| !known(namespace, name));
        foreign
            .map(|(namespace, name)| format!("imports {namespace}.{name}, which Envoy does not offer"))
            .collect()
    });
}

#[test]
fn modules_export_the_abi_and_nothing_else() {
    complain_of_modules(|module| {
        let surface = module.surface();
        let known = |name: &str| match name.strip_prefix("proxy_") {
            Some(name) => CALLBACKS.split_whitespace().any(|one| one == name),
            None => name == "_initialize",
        };
        let foreign = surface.exports.iter().filter(|name| !known(name));
        let foreign = foreign.map(|name| format!("exports {name}, which no proxy calls"));
        let version = (surface.abi != AbiVersion::V0_2_1).then(|| format!("speaks ABI {:?}", surface.abi));
        foreign.chain(version).collect()
    });
}

/// The callbacks that a proxy makes for each stream, as far as a module has them. To enter a module costs more than most
/// of what is done in there.
const OF_STREAMS: &[(&str, &str)] = &[
    ("attribute_gen.wasm", "on_delete on_log on_request_headers on_response_headers"),
    ("basic_auth.wasm", "on_request_headers"),
    ("jwt_headers.wasm", "on_delete on_request_body on_request_headers on_request_trailers"),
    (
        "metadata_exchange.wasm",
        "on_delete on_downstream_data on_request_headers on_request_trailers on_response_headers on_response_trailers \
         on_upstream_data",
    ),
    (
        "stats.wasm",
        "on_delete on_downstream_data on_log on_new_connection on_request_headers on_upstream_data",
    ),
];

#[test]
fn modules_are_entered_for_nothing_that_they_have_no_use_for() {
    complain_of_modules(|module| {
        let of_roots =
            "on_configure on_context_create on_http_call_response on_memory_allocate on_queue_ready on_tick";
        let exports = module.surface().exports;
        let callbacks = exports.iter().filter_map(|name| name.strip_prefix("proxy_"));
        let of_streams = callbacks.filter(|name| name.starts_with("on_"));
        let found: Vec<&str> =
            of_streams.filter(|name| !of_roots.split(' ').any(|one| one == *name)).collect();
        let expected = OF_STREAMS.iter().find(|(name, _)| *name == module.name);
        let expected: Vec<&str> = expected.map_or(Vec::new(), |(_, names)| names.split(' ').collect());
        (found != expected)
            .then(|| format!("is entered for {found:?}, expected {expected:?}"))
            .into_iter()
            .collect()
    });
}

/// The most bytes that a module may have: what somebody weighed, and a little more. docs/design.md says what they are.
const MOST_BYTES: &[(&str, usize)] = &[("basic_auth.wasm", 467_000)];

#[test]
fn modules_that_were_weighed_do_not_grow_unseen() {
    complain_of_modules(|module| {
        let most = MOST_BYTES.iter().find(|(name, _)| *name == module.name).map(|(_, most)| *most);
        let size = module.code.len();
        let grown = most.filter(|most| size > *most);
        grown.map(|most| format!("has {size} bytes, {most} are allowed")).into_iter().collect()
    });
}

#[test]
fn modules_are_without_the_dispatcher_that_they_do_not_use() {
    complain_of_modules(|module| {
        let imports = module.surface().imports;
        // Methods of the crate's traits call them; what is left of the crate is its allocator.
        let calls = ["proxy_grpc_send", "proxy_enqueue_shared_queue", "proxy_done"];
        let found = imports.into_iter().filter(|(_, name)| calls.contains(&name.as_str()));
        found.map(|(_, name)| format!("imports {name}: a table holds what nobody calls")).collect()
    });
}

#[test]
fn modules_use_no_feature_that_a_proxy_lacks() {
    // What rustc uses of its own accord, and what every engine of a proxy has had for years. Threads, exceptions, SIMD,
    // tail calls and 64-bit memory are not among it.
    let allowed = WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::FLOATS;
    complain_of_modules(|module| {
        let result = Validator::new_with_features(allowed).validate_all(&module.code);
        result.err().map(|error| error.to_string()).into_iter().collect()
    });
}

#[test]
fn modules_hold_no_path_of_this_machine() {
    let home = std::env::var("HOME").unwrap_or_else(|_| "/home/".to_owned());
    let paths = [root().to_string_lossy().into_owned(), home + "/"];
    complain_of_modules(|module| {
        let found = paths.iter().filter(|path| holds(&module.code, path.as_bytes()));
        found.map(|path| format!("holds the path {path}")).collect()
    });
}

fn holds(code: &[u8], text: &[u8]) -> bool {
    code.windows(text.len()).any(|window| window == text)
}

#[test]
fn checksums_are_those_of_the_modules() {
    let lines =
        dist().0.iter().map(|module| format!("{}  {}\n", hex(&Sha256::digest(&module.code)), module.name));
    let sums =
        std::fs::read_to_string(root().join("dist/SHA256SUMS")).expect("scripts/build writes SHA256SUMS");
    assert_eq!(sums, lines.collect::<String>());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_table_tells_size_and_exports() {
    let (modules, table) = dist();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows.first().map(Vec::as_slice),
        Some(&["module", "bytes", "gzipped", "exports"][..]),
        "{table}"
    );
    for (module, row) in modules.iter().zip(rows.iter().skip(1)) {
        assert_eq!(row[0], format!("dist/{}", module.name), "{table}");
        assert_eq!(row[1].replace(',', ""), module.code.len().to_string(), "{table}");
        // All functions, and the memory.
        assert_eq!(row[3], (module.surface().exports.len() + 1).to_string(), "{table}");
    }
}

/// The modules that come of a copy of the workspace, with one extension more, built by somebody with flags and a cargo
/// home of his own.
fn copied() -> &'static [Module] {
    static COPIED: OnceLock<Vec<Module>> = OnceLock::new();
    COPIED.get_or_init(|| {
        let copy = copy_of_the_workspace();
        fork_an_extension(&copy);
        let cargo_home = second_cargo_home();
        build(&copy, &[("CARGO_HOME", &cargo_home), ("RUSTFLAGS", Path::new("--cfg=flags_of_the_caller"))]);
        modules(&copy)
    })
}

#[test]
fn another_folder_gives_the_same_bytes() {
    complain_of_modules(|module| {
        let there = copied().iter().find(|copy| copy.name == module.name);
        let same = there.is_some_and(|copy| copy.code == module.code);
        (!same).then(|| "has other bytes when it is built in another folder".to_owned()).into_iter().collect()
    });
}

#[test]
fn a_copied_folder_is_an_extension() {
    let fork = copied()
        .iter()
        .find(|module| module.name == "my_filter.wasm")
        .expect("the README's fork has a module");
    let original =
        copied().iter().find(|module| module.name == "basic_auth.wasm").expect("so has the original");
    assert_eq!(fork.surface().exports, original.surface().exports);
}

/// The steps of the README, "Write an extension".
fn fork_an_extension(workspace: &Path) {
    let (from, to) = (workspace.join("extensions/basic-auth"), workspace.join("extensions/my-filter"));
    for path in tree_of(&from) {
        let copy = to.join(path.strip_prefix(&from).expect("it lies in there"));
        std::fs::create_dir_all(copy.parent().expect("a file lies in a folder"))
            .expect("a folder can be made");
        std::fs::copy(&path, &copy).expect("a file can be copied");
    }
    replace(&to.join("Cargo.toml"), r#"name = "basic-auth""#, r#"name = "my-filter""#);
    for path in [tree_of(&to.join("tests")), tree_of(&to.join("benches"))].concat() {
        replace(&path, "basic_auth::", "my_filter::");
    }
    replace(&to.join("deploy/envoy.yaml"), "basic_auth.wasm", "my_filter.wasm");
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).expect("a file can be read");
    assert!(text.contains(from), "{} holds no {from}: mend the README, and this test", path.display());
    std::fs::write(path, text.replace(from, to)).expect("a file can be written");
}

/// A copy with a path of another length, and a blank in it. What an earlier run compiled there is kept.
fn copy_of_the_workspace() -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("another folder").join("of-another-depth");
    clear(&copy);
    for from in tree_of(root()) {
        let to = copy.join(from.strip_prefix(root()).expect("it lies in there"));
        std::fs::create_dir_all(to.parent().expect("a file lies in a folder")).expect("a folder can be made");
        std::fs::copy(&from, &to).expect("a file can be copied");
        let modified = from.metadata().and_then(|data| data.modified()).expect("a file has a time");
        let copied = std::fs::File::options().append(true).open(&to).expect("the copy can be opened");
        // With the time of the original, cargo sees that nothing changed since the last copy.
        copied.set_modified(modified).expect("the time of a file can be set");
    }
    copy
}

/// Another path to the crates that are already here.
fn second_cargo_home() -> PathBuf {
    let second = Path::new(env!("CARGO_TARGET_TMPDIR")).join("another cargo home");
    let _ = std::fs::remove_dir_all(&second);
    std::fs::create_dir_all(&second).expect("a folder can be made");
    for entry in std::fs::read_dir(cargo_home()).expect("the cargo home can be read") {
        let path = entry.expect("an entry of the cargo home can be read").path();
        std::os::unix::fs::symlink(&path, second.join(file_name(&path))).expect("a link can be made");
    }
    second
}

fn cargo_home() -> PathBuf {
    std::env::var_os("CARGO_HOME").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cargo"),
        PathBuf::from,
    )
}

fn clear(copy: &Path) {
    let Ok(entries) = std::fs::read_dir(copy) else { return };
    for path in entries.map(|entry| entry.expect("an entry of the copy can be read").path()) {
        match file_name(&path).as_str() {
            "target" => Ok(()),
            _ if path.is_dir() => std::fs::remove_dir_all(path),
            _ => std::fs::remove_file(path),
        }
        .expect("the last copy can be removed");
    }
}

fn complain_of_modules(complaints: impl Fn(&Module) -> Vec<String>) {
    let found: Vec<String> = dist()
        .0
        .iter()
        .flat_map(|module| complaints(module).into_iter().map(|text| format!("dist/{} {text}", module.name)))
        .collect();
    assert_none(&found);
}
