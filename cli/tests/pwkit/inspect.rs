//! `pwkit inspect`: the report on a good module and on bad ones, and what it says of what is no module.

use crate::program::{Workshop, assert_on_record};
use std::io::Read;
use std::process::Stdio;

const GOOD: &str = r#"(module
    (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 17 100)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) i32.const 0)
    (@custom "note" "built for a test"))"#;

const BAD: &str = r#"(module
    (import "env" "proxy_log" (func (param i32 i32) (result i32)))
    (import "env" "proxy_fly" (func))
    (import "wasi_snapshot_preview1" "proc_raise" (func (param i32) (result i32)))
    (import "env" "table" (table 1 funcref))
    (memory 1)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_abi_version_0_2_0"))
    (func (export "proxy_on_request_headers") (param i32 i32) (result i64) i64.const 0)
    (func (export "proxy_on_respones_headers") (param i32 i32 i32) (result i32) i32.const 0)
    (func $start) (start $start)
    (@custom ".debug_info" "who called whom, and where it stood in the source"))"#;

#[test]
fn a_good_module() {
    let workshop = Workshop::new("good");
    workshop.module("good.wasm", GOOD);
    let end = workshop.run(&["inspect", "good.wasm"]);
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
    assert_on_record("inspect-good.txt", &end.stdout);
    let end = workshop.run(&["inspect", "--json", "good.wasm"]);
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
    assert_on_record("inspect-good.json", &end.stdout);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let workshop = Workshop::new("bad");
    workshop.module("bad.wasm", BAD);
    let end = workshop.run(&["inspect", "bad.wasm"]);
    assert_eq!((end.code, end.stderr.as_str()), (Some(1), ""));
    assert_on_record("inspect-bad.txt", &end.stdout);
}

#[test]
fn a_module_that_speaks_nothing_and_does_nothing() {
    let workshop = Workshop::new("nothing");
    workshop.module("nothing.wasm", "(module)");
    let end = workshop.run(&["inspect", "nothing.wasm"]);
    assert_eq!((end.code, end.stderr.as_str()), (Some(1), ""));
    assert_on_record("inspect-nothing.txt", &end.stdout);
}

#[test]
fn the_old_abi_has_its_own_types() {
    let workshop = Workshop::new("old");
    let text = r#"(module
        (import "env" "proxy_continue_request" (func (result i32)))
        (memory (export "memory") 1)
        (func (export "proxy_abi_version_0_1_0"))
        (func (export "malloc") (param i32) (result i32) i32.const 1024)
        (func (export "proxy_on_request_headers") (param i32 i32) (result i32) i32.const 0))"#;
    workshop.module("old.wasm", text);
    let end = workshop.run(&["inspect", "old.wasm"]);
    assert_eq!(end.code, Some(0), "{}", end.stdout);
}

#[test]
fn what_is_no_module_is_refused_in_one_line() {
    let workshop = Workshop::new("refused");
    workshop.file("empty.wasm", "");
    workshop.file("text.wasm", "hello");
    workshop.file("text.wat", GOOD);
    workshop.file("component.wasm", b"\0asm\x0d\0\x01\0");
    workshop.file("version.wasm", b"\0asm\x02\0\0\0");
    workshop.file("cut.wasm", b"\0asm\x01\0\0\0\x01\x7f");
    let refusals = [
        ("none.wasm", "none.wasm: there is no such file; scripts/build puts modules under dist/"),
        (".", ".: is a folder; name the .wasm file in it"),
        ("empty.wasm", "empty.wasm: is empty; build the module again"),
        ("text.wasm", "text.wasm: is no WebAssembly; build it with --target wasm32-wasip1"),
        ("text.wat", "text.wat: is WebAssembly as text; make a module of it with wat2wasm"),
        (
            "component.wasm",
            "component.wasm: is a component, and proxies load core modules; build it with --target wasm32-wasip1, not \
             wasip2",
        ),
        (
            "version.wasm",
            "version.wasm: is a WebAssembly file of an unknown version; build it with --target wasm32-wasip1",
        ),
        ("cut.wasm", "cut.wasm: is damaged: unexpected end-of-file (at offset 0xa); build the module again"),
    ];
    for (file, line) in refusals {
        workshop.run(&["inspect", file]).assert_refused(3, line);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let workshop = Workshop::new("pipe");
    // More than a pipe holds.
    let exports: String =
        (0..20_000).map(|index| format!("(func (export \"an_export_with_a_long_name_{index}\"))")).collect();
    workshop.module("long.wasm", &GOOD.replace("(@custom", &format!("{exports} (@custom")));
    let mut command = workshop.command(&["inspect", "long.wasm"]);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pwkit starts");
    drop(process.stdout.take());
    let mut errors = String::new();
    process.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("text");
    assert_eq!((process.wait().expect("it ends").code(), errors.as_str()), (Some(0), ""));
}
