//! What is wrong with a module is said in one line, and nothing else suffers from it.

use std::path::Path;

use proxy_wasm_kit_host::envoy::{Envoy, Filter, Node, Start};
use proxy_wasm_kit_host::exchange::{Message, Setup};
use proxy_wasm_kit_host::wasm::{Host, Limits, Module};
use proxy_wasm_kit_tests::{envoy, hand_written};

/// Modules that load and do not start: why they do not, in the embedded host.
const STARTS: [(&str, &str); 7] = [
    ("data_outside", "the module does not start: wasm trap: out of bounds memory access"),
    ("endless", "_initialize: wasm trap: all fuel consumed by WebAssembly"),
    ("initialise_restricted", "_initialize: restricted_callback: proxy_get_property may not be called now"),
    (
        "initialise_time",
        "_initialize: restricted_callback: proxy_get_current_time_nanoseconds may not be called now",
    ),
    ("initialise_trap", "_initialize: wasm trap: wasm `unreachable` instruction executed"),
    ("start_section", "the module does not start: wasm trap: wasm `unreachable` instruction executed"),
    ("start_trap", "_start: wasm trap: wasm `unreachable` instruction executed"),
];

fn start(name: &str) -> Vec<u8> {
    hand_written::module(&format!("host/tests/hostile/start/{name}.wat"))
}

#[test]
fn a_module_that_does_not_start_is_rejected() {
    let good = Module::load(&hand_written::module("host/tests/abi/v0_2_0.wat"), &Limits::default()).unwrap();
    let good = Host::start(&good, Setup::default()).unwrap();
    for (name, reason) in STARTS {
        let module = Module::load(&start(name), &Limits::default()).unwrap();
        let rejected = Host::start(&module, Setup::default()).err().expect(name);
        assert_eq!(rejected.to_string(), format!("the VM failed: {reason}"), "{name}");
        let seen = good.exchange(Message::request("GET", "/"), &Message::response(200));
        assert_eq!(seen.client.map(|response| response.status()), Some(200), "after {name}");
    }
}

#[test]
fn envoy_rejects_it_too() {
    let Some(binary) = envoy() else { return };
    let setup = Setup::default();
    let mut envoy = Envoy::start(&binary, &Node::of(&setup), 1).unwrap();
    // Envoy would never come back from this one.
    for (name, _) in STARTS.iter().filter(|(name, _)| *name != "endless") {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("start_{name}.wasm"));
        std::fs::write(&path, start(name)).unwrap();
        assert!(
            matches!(envoy.load(&[(path.clone(), &setup)], Filter::Http, &[]).unwrap(), Start::Rejected(_)),
            "{name}"
        );
    }
}

/// Text of a module around what a test is about.
fn module(exports: &str) -> Vec<u8> {
    let version = r#"(func (export "proxy_abi_version_0_2_1"))"#;
    let malloc = r#"(func (export "malloc") (param i32) (result i32) (i32.const 0))"#;
    wat(&format!("(module {exports} {version} {malloc})"))
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn a_module_that_no_proxy_loads_is_refused_in_one_line() {
    let version = r#"(func (export "proxy_abi_version_0_1_0"))"#;
    let damaged = module("").into_iter().take(40).collect::<Vec<u8>>();
    let cases: [(Vec<u8>, &str); 11] = [
        (b"#!/bin/sh\n".to_vec(), "not a WebAssembly module; build it for the target wasm32-wasip1"),
        (Vec::new(), "not a WebAssembly module; build it for the target wasm32-wasip1"),
        (
            wat("(component)"),
            "a WebAssembly component, not a core module; build it for the target wasm32-wasip1",
        ),
        (damaged, "not a WebAssembly module: unexpected end-of-file (at offset 0x1a); build it again"),
        (
            wat("(module)"),
            "no export proxy_abi_version_0_1_0, _0_2_0 or _0_2_1; build it as a cdylib with a Proxy-Wasm SDK",
        ),
        (module(version), "2 ABI versions exported, not one; build it as a cdylib with a Proxy-Wasm SDK"),
        (
            wat(&format!("(module {version})")),
            "no export proxy_on_memory_allocate or malloc; build it as a cdylib with a Proxy-Wasm SDK",
        ),
        (
            module(r#"(import "env" "getpid" (func)) (import "wbg" "now" (func))"#),
            "imports what no proxy has: env.getpid, wbg.now; \
             build it for wasm32-wasip1, and without what a proxy cannot offer",
        ),
        (
            module(r#"(import "env" "proxy_continue_request" (func (result i32)))"#),
            "imports what no proxy has: env.proxy_continue_request; \
             build it for wasm32-wasip1, and without what a proxy cannot offer",
        ),
        (
            module(r#"(import "env" "proxy_done" (func (param i64)))"#),
            "imports env.proxy_done as (i64) -> (), but the proxy offers () -> (i32); \
             declare it as the version of the ABI says",
        ),
        (
            module(r#"(func (export "proxy_on_log") (param i32 i32))"#),
            "exports proxy_on_log as (i32, i32) -> (), but the proxy calls (i32) -> (); \
             declare it as the version of the ABI says",
        ),
    ];
    for (bytes, line) in cases {
        let error = Module::load(&bytes, &Limits::default()).err().expect(line);
        assert_eq!(error.to_string(), format!("the module: {line}"));
    }
}

#[test]
fn a_file_that_cannot_be_loaded_is_named() {
    let nowhere = Path::new("/nowhere/plugin.wasm");
    let error = Module::load(nowhere, &Limits::default()).err().unwrap();
    let line = "/nowhere/plugin.wasm: there is no such file; build it first, or correct the path";
    assert_eq!(error.to_string(), line);
    let small = Limits { module_size: 50, ..Limits::default() };
    let error = Module::load(&module(""), &small).err().unwrap().to_string();
    assert!(error.contains("larger than the limit of 50; strip it, or raise the limit"), "{error}");
}

#[test]
fn a_module_that_starts_with_too_much_memory_does_not_start() {
    let big = Module::load(&module("(memory 20000)"), &Limits::default()).unwrap();
    let rejected = Host::start(&big, Setup::default()).err().unwrap().to_string();
    assert!(rejected.contains("does not start") && rejected.contains("memory"), "{rejected}");
}

#[test]
fn what_is_not_valid_is_refused() {
    // A function that leaves nothing on the stack where it must leave a number.
    let invalid = module("(func (result i32))");
    let error = Module::load(&invalid, &Limits::default()).err().unwrap().to_string();
    assert!(error.starts_with("the module: not a valid module: ") && !error.contains('\n'), "{error}");
}
