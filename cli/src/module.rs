//! Reads the file of a module, and refuses at once what is no module.

use std::path::Path;

use crate::failure::Failure;
use wasmparser::{Parser, Payload};

/// The bytes of a core module.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let code = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    check(&code).map(|()| code).map_err(|problem| Failure::File(format!("{}: {problem}", path.display())))
}

/// What a module's custom sections of this name hold, one after the other; none if there are none.
pub(crate) fn section(path: &Path, name: &str) -> Result<Option<Vec<u8>>, Failure> {
    let code = read(path)?;
    let mut found: Option<Vec<u8>> = None;
    for payload in Parser::new(0).parse_all(&code) {
        let damaged =
            |error| Failure::File(format!("{}: is damaged: {error}; build it again", path.display()));
        if let Payload::CustomSection(section) = payload.map_err(damaged)?
            && section.name() == name
        {
            found.get_or_insert_default().extend_from_slice(section.data());
        }
    }
    Ok(found)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let remedy = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "there is no such file; scripts/build puts modules under dist/".into()
        }
        std::io::ErrorKind::IsADirectory => "is a folder; name the .wasm file in it".into(),
        _ => format!("cannot be read: {error}"),
    };
    Failure::File(format!("{}: {remedy}", path.display()))
}

/// What a file is instead of a module, and what to do.
fn check(code: &[u8]) -> Result<(), &'static str> {
    if code.is_empty() {
        Err("is empty; build the module again")
    } else if code.starts_with(b"(module") || code.trim_ascii_start().starts_with(b"(") {
        Err("is WebAssembly as text; make a module of it with wat2wasm")
    } else if !code.starts_with(b"\0asm") {
        Err("is no WebAssembly; build it with --target wasm32-wasip1")
    } else if Parser::is_component(code) {
        Err("is a component, and proxies load core modules; build it with --target wasm32-wasip1, not wasip2")
    } else if !Parser::is_core_wasm(code) {
        Err("is a WebAssembly file of an unknown version; build it with --target wasm32-wasip1")
    } else {
        Ok(())
    }
}
