//! What a module has to bring: row 1.

use proxy_wasm_kit_host::module::{AbiVersion, Module, ModuleError};

/// A module that exports an empty function under each of these names and imports `env.proxy_log`.
fn module(exports: &[&str]) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    let section = |id: u8, content: Vec<u8>| [&[id, content.len() as u8], content.as_slice()].concat();
    let types = section(1, vec![1, 0x60, 0, 0]);
    let imports = section(2, [&[1][..], &text("env"), &text("proxy_log"), &[0, 0]].concat());
    let functions = section(3, vec![1, 0]);
    let names = exports.iter().map(|name| [text(name), vec![0, 1]].concat());
    let exports = section(7, [vec![exports.len() as u8], names.collect::<Vec<_>>().concat()].concat());
    let code = section(10, vec![1, 2, 0, 0x0b]);
    [b"\0asm\x01\0\0\0".to_vec(), types, imports, functions, exports, code].concat()
}

#[test]
fn row_1_one_abi_version_and_an_allocator_are_enough() {
    let read = Module::read(&module(&["proxy_abi_version_0_2_1", "malloc", "proxy_on_log"])).unwrap();
    assert_eq!((read.abi, read.allocator), (AbiVersion::V0_2_1, "malloc"));
    assert_eq!(read.exports, ["proxy_abi_version_0_2_1", "malloc", "proxy_on_log"]);
    assert_eq!(read.imports, [("env".to_owned(), "proxy_log".to_owned())]);
}

#[test]
fn row_1_exactly_one_abi_version() {
    let none = Module::read(&module(&["proxy_on_memory_allocate"])).unwrap_err();
    assert!(matches!(none, ModuleError::NoAbiVersion), "{none}");
    let two = ["proxy_abi_version_0_1_0", "proxy_abi_version_0_2_0", "proxy_on_memory_allocate"];
    let two = Module::read(&module(&two)).unwrap_err();
    assert!(matches!(&two, ModuleError::SeveralAbiVersions(versions) if versions.len() == 2), "{two}");
}

#[test]
fn row_1_an_allocator_is_mandatory() {
    let error = Module::read(&module(&["proxy_abi_version_0_2_0"])).unwrap_err();
    assert!(matches!(error, ModuleError::NoAllocator), "{error}");
}

#[test]
fn row_1_malloc_comes_first() {
    let both = ["proxy_abi_version_0_2_0", "proxy_on_memory_allocate", "malloc"];
    assert_eq!(Module::read(&module(&both)).unwrap().allocator, "malloc");
}

#[test]
fn row_1_anything_else_is_malformed() {
    for bytes in [&b""[..], b"\0asm", b"not wasm at all", &module(&["x"])[..30]] {
        let error = Module::read(bytes).unwrap_err();
        assert!(matches!(error, ModuleError::Malformed(_)), "{error}");
    }
}
