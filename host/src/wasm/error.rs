//! Why a module is not loaded, in one line: where, what, and what to do.

use crate::module::ModuleError;
use std::fmt;

/// A module that cannot be run.
#[derive(Debug)]
pub struct LoadError {
    place: String,
    problem: Problem,
}

/// What is wrong with it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// There is no such file.
    NotFound,
    /// The file cannot be read.
    Unreadable(std::io::Error),
    /// It is bigger than the limit.
    TooLarge {
        /// Bytes of the module.
        size: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// It is something else than WebAssembly.
    NotWasm,
    /// It is a component, not a core module.
    Component,
    /// It lacks what the ABI demands, or is damaged.
    Module(ModuleError),
    /// It imports functions that no proxy offers to this version of the ABI.
    UnknownImports(Vec<String>),
    /// It declares an import in another way than the proxy offers it.
    ImportType {
        /// Module and name.
        name: String,
        /// As the module declares it.
        declared: String,
        /// As the proxy offers it.
        offered: String,
    },
    /// An export that the proxy calls takes or returns something else.
    ExportType {
        /// Its name.
        name: String,
        /// As the module exports it.
        declared: String,
        /// As the proxy calls it.
        wanted: String,
    },
    /// It is not valid, or the compiler refuses it.
    Invalid(String),
}

impl LoadError {
    pub(super) fn new(place: impl Into<String>, problem: Problem) -> Self {
        Self { place: place.into(), problem }
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}; {}", self.place, self.problem, self.problem.remedy())
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Unreadable(error) => Some(error),
            Problem::Module(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => formatter.write_str("there is no such file"),
            Self::Unreadable(error) => write!(formatter, "cannot be read: {error}"),
            Self::TooLarge { size, limit } => {
                write!(formatter, "a module of {size} bytes is larger than the limit of {limit}")
            }
            Self::NotWasm => formatter.write_str("not a WebAssembly module"),
            Self::Component => formatter.write_str("a WebAssembly component, not a core module"),
            Self::Module(error) => error.fmt(formatter),
            Self::UnknownImports(names) => {
                write!(formatter, "imports what no proxy has: {}", names.join(", "))
            }
            Self::ImportType { name, declared, offered } => {
                write!(formatter, "imports {name} as {declared}, but the proxy offers {offered}")
            }
            Self::ExportType { name, declared, wanted } => {
                write!(formatter, "exports {name} as {declared}, but the proxy calls {wanted}")
            }
            Self::Invalid(reason) => write!(formatter, "not a valid module: {reason}"),
        }
    }
}

impl Problem {
    fn remedy(&self) -> &'static str {
        match self {
            Self::NotFound => "build it first, or correct the path",
            Self::Unreadable(_) => "give a file that may be read",
            Self::TooLarge { .. } => "strip it, or raise the limit",
            Self::NotWasm | Self::Component => "build it for the target wasm32-wasip1",
            Self::Module(ModuleError::Malformed(_)) | Self::Invalid(_) => "build it again",
            Self::Module(_) => "build it as a cdylib with a Proxy-Wasm SDK",
            Self::UnknownImports(_) => "build it for wasm32-wasip1, and without what a proxy cannot offer",
            Self::ImportType { .. } | Self::ExportType { .. } => "declare it as the version of the ABI says",
        }
    }
}
