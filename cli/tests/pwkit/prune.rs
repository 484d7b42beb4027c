//! `pwkit prune`: a module loses what nobody needs, and what cannot be pruned is told so.

use crate::program::Workshop;

/// As `entry!` of the SDK leaves it, with one hook that does something and one that does nothing.
const MODULE: &str = r#"(module
  (@custom "pwkit.door" "pwkit door 1\non_configure always\non_request_headers hook\non_log hook\non_tick if proxy_set\n")
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_initialize") (drop (call $log (i32.const 0) (i32.const 0) (i32.const 0))))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 64)
  (func (export "proxy_on_log") (param i32))
  (func (export "pwkit_initialize"))
  (func (export "pwkit_on_configure") (param i32 i32) (result i32) i32.const 1)
  (func (export "pwkit_on_request_headers") (param i32 i32 i32) (result i32) i32.const 0)
  (func (export "pwkit_on_log") (param i32))
  (func (export "pwkit_on_tick") (param i32))
  (func (export "pwkit_hook_on_request_headers") (result i32) i32.const 1)
  (func (export "pwkit_default_on_request_headers") (result i32) i32.const 0)
  (func (export "pwkit_hook_on_log") (result i32) i32.const 0)
  (func (export "pwkit_default_on_log") (result i32) i32.const 0))"#;

#[test]
fn a_module_keeps_what_it_needs() {
    let workshop = Workshop::new("prune");
    let before = std::fs::metadata(workshop.module("whole.wasm", MODULE)).unwrap().len();
    let end = workshop.run(&["prune", "whole.wasm", "-o", "pruned.wasm"]);
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
    let (first, callbacks) = end.stdout.split_once('\n').unwrap();
    let after = first.strip_prefix("pruned.wasm: ").and_then(|line| line.split(' ').next()).unwrap();
    assert_eq!(first, format!("pruned.wasm: {after} bytes, {before} before"));
    assert!(after.parse::<u64>().unwrap() < before / 2, "{first}");
    let expected = "  proxy_on_configure\n  proxy_on_memory_allocate\n  proxy_on_request_headers\n\
        Built with RUSTFLAGS=-Clink-arg=--emit-relocs it can lose more.\n";
    assert_eq!(callbacks, expected);
    let before = workshop.run(&["inspect", "whole.wasm"]);
    assert!(before.stdout.contains("is not pruned: "), "{}", before.stdout);
    let inspected = workshop.run(&["inspect", "pruned.wasm"]);
    assert!(!inspected.stdout.contains("is not pruned"), "{}", inspected.stdout);
    assert_eq!(inspected.code, Some(0), "{}", inspected.stdout);
    assert!(!inspected.stdout.contains("proxy_on_log"), "{}", inspected.stdout);
}

#[test]
fn a_module_may_be_replaced() {
    let workshop = Workshop::new("prune-in-place");
    let path = workshop.module("whole.wasm", MODULE);
    let before = std::fs::read(&path).unwrap();
    assert_eq!(workshop.run(&["prune", "whole.wasm", "--output=whole.wasm", "--strip"]).code, Some(0));
    let after = std::fs::read(&path).unwrap();
    assert!(after.len() < before.len());
    // Pruned once, it holds nothing by which it could be pruned again; it stays as it is.
    let again = workshop.run(&["prune", "whole.wasm", "-o", "whole.wasm"]);
    assert_eq!(again.code, Some(3));
    assert_eq!(std::fs::read(&path).unwrap(), after);
}

#[test]
fn what_cannot_be_pruned_is_told_so() {
    let workshop = Workshop::new("prune-not");
    workshop.module("foreign.wasm", "(module)");
    workshop.module("good.wasm", MODULE);
    workshop.run(&["prune", "foreign.wasm", "-o", "out.wasm"]).assert_refused(
        3,
        "foreign.wasm: it has no section pwkit.door, so it is pruned already or was not made by `entry!` of \
         proxy-wasm-kit; use the module as it is",
    );
    workshop
        .run(&["prune", "none.wasm", "-o", "out.wasm"])
        .assert_refused(3, "none.wasm: there is no such file; scripts/build puts modules under dist/");
    let nowhere = workshop.run(&["prune", "good.wasm", "-o", "no/folder.wasm"]);
    assert_eq!((nowhere.code, nowhere.stdout.as_str()), (Some(7), ""));
    assert!(
        nowhere.stderr.starts_with("pwkit: the output cannot be written: no/folder.wasm: "),
        "{}",
        nowhere.stderr
    );
    assert_eq!(workshop.run(&["prune", "good.wasm"]).code, Some(2));
}
