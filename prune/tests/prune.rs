//! What stays of a module and what goes, on modules small enough to read.

use proxy_wasm_kit_prune::{Options, Pruned, prune};

/// What every module that `entry!` makes has, as text: the door, the functions it names, and what the crate exports.
struct Guest {
    /// The code of the hook of request headers; `(i32.store (local.get 1) (i32.const 0))` is that of the default.
    request_headers: &'static str,
    response_headers: &'static str,
    /// The code of the entry of request headers.
    entry: &'static str,
    drop_filter: &'static str,
    table: &'static str,
}

const DEFAULT: &str = "(i32.store (local.get 1) (i32.const 0))";
const OWN: &str = "(i32.store (local.get 1) (i32.const 1))";
const LET_GO: &str = "(call $let_go (local.get 0))";

const PLAIN: Guest =
    Guest { request_headers: OWN, response_headers: DEFAULT, entry: "", drop_filter: LET_GO, table: "" };

const DOOR: &str = "pwkit door 1\\n\
    on_context_create always\\n\
    on_configure always\\n\
    on_request_headers hook\\n\
    on_response_headers hook\\n\
    on_tick if proxy_set_tick_period_milliseconds\\n\
    on_http_call_response if proxy_http_call\\n\
    on_response_trailers hook\\n\
    on_delete state\\n\
    together on_response_headers on_response_trailers if pwkit_later\\n\
    brief on_request_headers unless proxy_continue_stream proxy_http_call\\n";

impl Guest {
    fn text(&self) -> String {
        let Self { request_headers, response_headers, entry, drop_filter, table } = self;
        let (params, result) = ("(param i32 i32 i32)", "(result i32) i32.const 0");
        format!(
            r#"(module
  (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
  (import "env" "proxy_http_call" (func $http_call (param i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $let_go (param i32))
  (func $dispatch (param i32) (drop (call $log (i32.const 0) (i32.const 0) (i32.const 0))))
  (func $delivered (drop (call $continue (i32.const 0))))
  (func (export "_initialize") (call $dispatch (i32.const 1)))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 64)
  (func (export "proxy_on_request_headers") {params} {result} (call $dispatch (i32.const 1)))
  (func (export "proxy_on_log") (param i32) (call $dispatch (i32.const 1)))
  (func (export "pwkit_initialize"))
  (func (export "pwkit_on_context_create") (param i32 i32))
  (func (export "pwkit_on_configure") (param i32 i32) {result})
  (func (export "pwkit_on_request_headers") {params} {result} (global.set 0 (i32.const 1)) {entry})
  (func (export "pwkit_brief_on_request_headers") {params} {result} (global.set 0 (i32.const 2)) {entry})
  (func (export "pwkit_on_response_headers") {params} {result})
  (func (export "pwkit_on_response_trailers") {params} {result})
  (func $later (export "pwkit_later"))
  (func (export "pwkit_hook_on_response_trailers") (param i32 i32) {DEFAULT})
  (func (export "pwkit_default_on_response_trailers") (param i32 i32) {DEFAULT})
  (func (export "pwkit_on_tick") (param i32) (drop (call $http_call (i32.const 0))))
  (func (export "pwkit_on_http_call_response") (param i32) (call $delivered))
  (func (export "pwkit_on_delete") (param i32))
  (func (export "pwkit_hook_on_request_headers") (param i32 i32) {request_headers})
  (func (export "pwkit_default_on_request_headers") (param i32 i32) {DEFAULT})
  (func (export "pwkit_hook_on_response_headers") (param i32 i32) {response_headers})
  (func (export "pwkit_default_on_response_headers") (param i32 i32) {DEFAULT})
  (func (export "pwkit_drop_filter") (param i32) {drop_filter})
  (func (export "pwkit_drop_plugin") (param i32) {LET_GO})
  (func (export "pwkit_drop_nothing") (param i32))
  (func $other (param i32 i32) {DEFAULT})
  (global (mut i32) (i32.const 0))
  (@custom "pwkit.door" "{DOOR}")
  (@custom "kept" "as it is")
  {table}
)"#
        )
    }

    fn pruned(&self) -> Pruned {
        let text = self.text();
        let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        prune(&wasm, Options::default()).unwrap()
    }

    /// The callbacks that stay, beside those that always do.
    fn callbacks(&self) -> Vec<String> {
        let always = ["proxy_on_configure", "proxy_on_context_create", "proxy_on_memory_allocate"];
        let mut callbacks = self.pruned().callbacks;
        assert!(always.iter().all(|name| callbacks.remove(*name)), "{callbacks:?}");
        callbacks.into_iter().map(|name| name["proxy_on_".len()..].to_owned()).collect()
    }
}

/// The names of a module's exports and imports, in their order.
fn names(wasm: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut exports, mut imports) = (Vec::new(), Vec::new());
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        match payload.unwrap() {
            wasmparser::Payload::ExportSection(section) => {
                exports.extend(section.into_iter().map(|export| export.unwrap().name.to_owned()));
            }
            wasmparser::Payload::ImportSection(section) => {
                imports.extend(section.into_imports().map(|import| import.unwrap().name.to_owned()));
            }
            _ => {}
        }
    }
    (exports, imports)
}

fn holds(wasm: &[u8], text: &str) -> bool {
    wasm.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_header_filter_keeps_one_callback_of_streams_and_no_garbage() {
    let pruned = PLAIN.pruned();
    assert!(!pruned.is_linked);
    let (exports, imports) = names(&pruned.module);
    let expected = [
        "memory",
        "_initialize",
        "proxy_abi_version_0_2_1",
        "proxy_on_configure",
        "proxy_on_context_create",
        "proxy_on_memory_allocate",
        "proxy_on_request_headers",
    ];
    assert_eq!(exports, expected);
    assert_eq!(imports, [""; 0]);
    assert!(holds(&pruned.module, "as it is") && !holds(&pruned.module, "pwkit"));
}

#[test]
fn the_same_module_gives_the_same_bytes() {
    assert_eq!(PLAIN.pruned().module, PLAIN.pruned().module);
}

#[test]
fn a_hook_that_differs_from_the_default_stays() {
    let both = Guest { response_headers: OWN, ..PLAIN };
    assert_eq!(both.callbacks(), ["delete", "request_headers", "response_headers"]);
    assert_eq!(Guest { request_headers: DEFAULT, ..PLAIN }.callbacks(), ["delete"]);
}

#[test]
fn a_callback_with_two_hooks_stays_if_one_of_them_does_something() {
    let names = |hooks: &str| {
        let door = DOOR.replace("on_response_headers hook", &format!("on_response_headers hook {hooks}"));
        let wasm = wat::parse_str(PLAIN.text().replace(DOOR, &door)).unwrap();
        prune(&wasm, Options::default()).unwrap().callbacks
    };
    assert!(names("on_response_headers on_request_headers").contains("proxy_on_response_headers"));
    assert!(!names("on_response_headers on_response_trailers").contains("proxy_on_response_headers"));
}

#[test]
fn a_default_behind_a_thunk_is_a_default() {
    let thunk = "(call $other (local.get 0) (local.get 1))";
    let swapped = "(call $other (local.get 1) (local.get 0))";
    assert_eq!(Guest { response_headers: thunk, ..PLAIN }.callbacks(), ["request_headers"]);
    let differs = Guest { response_headers: swapped, ..PLAIN };
    assert_eq!(differs.callbacks(), ["delete", "request_headers", "response_headers"]);
}

#[test]
fn a_filter_that_does_something_when_it_is_dropped_keeps_its_end() {
    let nothing = Guest { drop_filter: "", ..PLAIN };
    assert_eq!(nothing.callbacks(), ["request_headers"]);
    let something = Guest { drop_filter: "(call $dispatch (local.get 0))", ..PLAIN };
    assert_eq!(something.callbacks(), ["delete", "request_headers"]);
}

#[test]
fn what_can_be_asked_for_can_come() {
    let callout = Guest { entry: "(drop (call $http_call (i32.const 0)))", ..PLAIN };
    assert_eq!(callout.callbacks(), ["delete", "http_call_response", "request_headers"]);
    // The tick makes a callout, which is found out only once the tick is needed.
    let timer = Guest { entry: "(drop (call $tick (i32.const 0)))", ..PLAIN };
    assert_eq!(timer.callbacks(), ["delete", "http_call_response", "request_headers", "tick"]);
}

#[test]
fn a_message_that_can_wait_has_all_its_callbacks() {
    let waits = Guest { response_headers: OWN, entry: "(call $later)", ..PLAIN };
    assert_eq!(waits.callbacks(), ["delete", "request_headers", "response_headers", "response_trailers"]);
    let other = Guest { entry: "(call $later)", ..PLAIN };
    assert_eq!(other.callbacks(), ["request_headers"], "the response has no hook that does anything");
}

#[test]
fn what_stands_in_a_table_can_be_called() {
    let table = Guest { table: "(table 1 funcref) (elem (i32.const 0) $delivered)", ..PLAIN };
    assert_eq!(table.callbacks(), ["delete", "request_headers"]);
}

#[test]
fn names_stay_unless_they_are_stripped() {
    let wasm = wat::parse_str(PLAIN.text()).unwrap();
    let module = |strip| prune(&wasm, Options { strip }).unwrap().module;
    assert!(holds(&module(false), "name"));
    assert!(!holds(&module(false), "other"), "the name of a function that is gone");
    assert!(!holds(&module(true), "name"));
}

#[test]
fn what_cannot_be_pruned_is_refused() {
    let refusal = |text: &str| {
        let wasm = wat::parse_str(text).unwrap();
        prune(&wasm, Options::default()).unwrap_err()
    };
    let whole = PLAIN.text();
    let texts = [
        refusal("(module)"),
        refusal(&whole.replace("door 1", "door 2")),
        refusal(&whole.replace("on_delete state", "on_delete maybe")),
        refusal(&whole.replace("pwkit_on_tick", "pwkit_tick")),
        prune(b"MZ\0\0 not this one", Options::default()).unwrap_err(),
        prune(b"\0asm\x0d\0\x01\0", Options::default()).unwrap_err(),
    ];
    assert!(texts[0].is_foreign() && !texts[1].is_foreign());
    let expected = [
        "it has no section pwkit.door, so it is pruned already or was not made by `entry!` of proxy-wasm-kit; use the module as it is",
        "its section pwkit.door holds `pwkit door 2`, which this version does not know; take the version of the SDK",
        "its section pwkit.door holds `on_delete maybe`, which this version does not know; take the version of the SDK",
        "it does not export the function pwkit_on_tick, which its section pwkit.door counts on; prune it before any other tool",
        "not a WebAssembly module: ",
        "not a WebAssembly module: it is a component, and no proxy loads those; build it again",
    ];
    for (error, expected) in texts.iter().zip(expected) {
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[test]
fn the_program_says_what_is_wrong_and_writes_what_is_right() {
    let folder = std::env::temp_dir().join(format!("pwkit-prune-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (from, to) = (folder.join("from.wasm"), folder.join("to.wasm"));
    let run = |arguments: &[&std::ffi::OsStr]| {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_pwkit-prune")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    std::fs::write(&from, wat::parse_str(PLAIN.text()).unwrap()).unwrap();
    assert_eq!(run(&[from.as_os_str(), to.as_os_str()]), (Some(0), String::new()));
    assert_eq!(std::fs::read(&to).unwrap(), PLAIN.pruned().module);
    let (code, message) = run(&[to.as_os_str(), from.as_os_str()]);
    assert_eq!(code, Some(1));
    assert!(message.contains("to.wasm: it has no section"), "{message}");
    assert_eq!(run(&[]).0, Some(2));
    std::fs::remove_dir_all(folder).unwrap();
}
