//! A module that is ready to run: what Envoy checks when it loads one has been checked (row 1).

use super::error::{LoadError, Problem};
use super::instance::Instance;
use super::limits::Limits;
use super::{callbacks, compile, link};
use crate::engine::Plan;
use crate::exchange::Setup;
use crate::module::{Module as Info, ModuleError};
use crate::vm_thread::Part;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use wasmtime::ExternType;

/// A checked and compiled module. A copy is cheap.
#[derive(Clone)]
pub struct Module {
    compiled: Arc<wasmtime::Module>,
    info: Arc<Info>,
    limits: Arc<Limits>,
}

/// Where a module comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A file.
    File(&'a Path),
    /// The bytes of a file.
    Bytes(&'a [u8]),
}

impl<'a> From<&'a Path> for Source<'a> {
    fn from(path: &'a Path) -> Self {
        Self::File(path)
    }
}

impl<'a> From<&'a std::path::PathBuf> for Source<'a> {
    fn from(path: &'a std::path::PathBuf) -> Self {
        Self::File(path)
    }
}

impl<'a> From<&'a [u8]> for Source<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Source<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl Module {
    /// This module as a plugin of a chain.
    pub fn plan(&self, setup: Setup) -> Plan<Instance> {
        Part::of(self, setup).into()
    }

    /// The same for modules of the same content, as long as one of them is there.
    pub(super) fn identity(&self) -> usize {
        Arc::as_ptr(&self.compiled).addr()
    }

    /// Reads, checks and compiles a module, unless it is loaded already. `limits` hold for every VM that runs it.
    pub fn load<'a>(source: impl Into<Source<'a>>, limits: &Limits) -> Result<Self, LoadError> {
        let (place, module) = match source.into() {
            Source::Bytes(bytes) => ("the module".to_owned(), Self::from_bytes(bytes, limits)),
            Source::File(path) => {
                let module = read(path, limits).and_then(|bytes| Self::from_bytes(&bytes, limits));
                (path.display().to_string(), module)
            }
        };
        module.map_err(|problem| LoadError::new(place, problem))
    }

    fn from_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, Problem> {
        if bytes.len() > limits.module_size {
            return Err(Problem::TooLarge { size: bytes.len(), limit: limits.module_size });
        }
        match bytes.get(..8) {
            Some(b"\0asm\x0d\0\x01\0") => return Err(Problem::Component),
            Some(header) if header.starts_with(b"\0asm") => {}
            _ => return Err(Problem::NotWasm),
        }
        let info = Info::read(bytes).map_err(Problem::Module)?;
        let compiled = compile::compile(bytes).map_err(Problem::Invalid)?;
        check_exports(&compiled, &info)?;
        let module = Self { compiled, info: Arc::new(info), limits: Arc::new(limits.clone()) };
        link::check(&module)?;
        Ok(module)
    }

    /// What the module brings and wants.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// What it may use up.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn compiled(&self) -> &wasmtime::Module {
        &self.compiled
    }
}

fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, Problem> {
    let problem = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Problem::NotFound,
        _ => Problem::Unreadable(error),
    };
    let size = std::fs::metadata(path).map_err(problem)?.len();
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > limits.module_size {
        return Err(Problem::TooLarge { size, limit: limits.module_size });
    }
    std::fs::read(path).map_err(problem)
}

/// Envoy refuses an export that it would have to call in another way.
fn check_exports(compiled: &wasmtime::Module, info: &Info) -> Result<(), Problem> {
    for export in compiled.exports() {
        let (ExternType::Func(declared), Some(wanted)) =
            (export.ty(), callbacks::signature(export.name(), info.abi))
        else {
            continue;
        };
        if !wanted.matches(&declared) {
            let (name, declared) = (export.name().to_owned(), link::describe(&declared));
            return Err(Problem::ExportType { name, declared, wanted: wanted.to_string() });
        }
    }
    Ok(())
}

impl From<ModuleError> for Problem {
    fn from(error: ModuleError) -> Self {
        Self::Module(error)
    }
}
