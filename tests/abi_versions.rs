//! Does each version of the ABI offer the same functions here and in a real Envoy, and are the same exports called?

use proxy_wasm_kit_host::envoy::{Envoy, Filter, Node, Start};
use proxy_wasm_kit_host::exchange::Setup;
use proxy_wasm_kit_host::wasm::{Host, Limits, Module};
use proxy_wasm_kit_tests::envoy;
use std::path::Path;

const VERSIONS: [&str; 3] = ["0_1_0", "0_2_0", "0_2_1"];

/// What a module imports or exports, and the versions in which it can.
const PARTS: [(&str, [bool; 3]); 15] = [
    (r#"(import "env" "proxy_get_configuration" (func (param i32 i32) (result i32)))"#, [true, false, false]),
    (r#"(import "env" "proxy_continue_request" (func (result i32)))"#, [true, false, false]),
    (r#"(import "env" "proxy_continue_response" (func (result i32)))"#, [true, false, false]),
    (r#"(import "env" "proxy_clear_route_cache" (func (result i32)))"#, [true, false, false]),
    (r#"(import "env" "proxy_continue_stream" (func (param i32) (result i32)))"#, [false, true, true]),
    (r#"(import "env" "proxy_close_stream" (func (param i32) (result i32)))"#, [false, true, true]),
    (r#"(import "env" "proxy_get_log_level" (func (param i32) (result i32)))"#, [false, false, true]),
    (r#"(import "env" "proxy_get_status" (func (param i32 i32 i32) (result i32)))"#, [true, true, true]),
    (r#"(import "env" "proxy_done" (func (result i32)))"#, [true, true, true]),
    (r#"(import "wasi_unstable" "proc_exit" (func (param i32)))"#, [true, true, true]),
    (
        r#"(func (export "proxy_on_request_headers") (param i32 i32) (result i32) (i32.const 0))"#,
        [true, false, false],
    ),
    (
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))"#,
        [false, true, true],
    ),
    (
        r#"(func (export "proxy_on_response_headers") (param i32 i32) (result i32) (i32.const 0))"#,
        [true, false, false],
    ),
    (r#"(func (export "proxy_on_foreign_function") (param i32 i32 i32))"#, [true, true, true]),
    (r#"(func (export "proxy_on_foreign_function"))"#, [true, false, false]),
];

fn module(version: &str, part: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {part} (memory (export "memory") 1) (func (export "proxy_abi_version_{version}"))
           (func (export "malloc") (param i32) (result i32) (i32.const 0)))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Asks about every part in every version, and tells where the answer is another than above.
fn ask(mut serves: impl FnMut(&[u8]) -> bool) {
    let mut wrong = Vec::new();
    for (part, expected) in PARTS {
        for (version, expected) in VERSIONS.into_iter().zip(expected) {
            if serves(&module(version, part)) != expected {
                wrong.push(format!("{version}: {part}: expected {expected}"));
            }
        }
    }
    proxy_wasm_kit_tests::assert_none(&wrong);
}

#[test]
fn the_host_offers_each_version_its_own() {
    ask(|wasm| match Module::load(wasm, &Limits::default()) {
        Ok(module) => Host::start(&module, Setup::default()).is_ok(),
        Err(_) => false,
    });
}

#[test]
fn envoy_offers_the_same() {
    let Some(binary) = envoy() else { return };
    let setup = Setup::default();
    let mut envoy = Envoy::start(&binary, &Node::of(&setup), 1).unwrap();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("abi_versions.wasm");
    ask(|wasm| {
        std::fs::write(&path, wasm).unwrap();
        matches!(envoy.load(&[(path.clone(), &setup)], Filter::Http, &[]), Ok(Start::Serving(_)))
    });
}
