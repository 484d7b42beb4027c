//! Why a module is not pruned: what was found, and what to do.

use std::fmt;

/// A module that is not pruned.
#[derive(Debug)]
pub struct PruneError(Problem);

#[derive(Debug)]
pub(crate) enum Problem {
    /// No module at all, or one with a feature that no proxy has.
    Malformed(String),
    NoDoor,
    /// A line of the door that this version does not know.
    Unknown(String),
    /// The door names an export that is not there.
    Missing(String),
    /// What came out is not a valid module.
    Invalid(String),
}

impl PruneError {
    pub(crate) fn malformed(error: impl fmt::Display) -> Self {
        Self(Problem::Malformed(error.to_string()))
    }

    pub(crate) fn invalid(error: impl fmt::Display) -> Self {
        Self(Problem::Invalid(error.to_string()))
    }

    /// Whether the module was made without the SDK, or is pruned already. There is nothing wrong with it, it can be used
    /// as it is.
    pub fn is_foreign(&self) -> bool {
        matches!(self.0, Problem::NoDoor)
    }
}

impl From<Problem> for PruneError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<wasmparser::BinaryReaderError> for PruneError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::malformed(error)
    }
}

impl fmt::Display for PruneError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Problem::Malformed(error) => {
                write!(formatter, "not a WebAssembly module: {error}; build it again")
            }
            Problem::NoDoor => write!(
                formatter,
                "it has no section {}, so it is pruned already or was not made by `entry!` of proxy-wasm-kit; use the module as it is",
                crate::door::SECTION
            ),
            Problem::Unknown(line) => write!(
                formatter,
                "its section {} holds `{line}`, which this version does not know; take the version of the SDK",
                crate::door::SECTION
            ),
            Problem::Missing(name) => write!(
                formatter,
                "it does not export the function {name}, which its section {} counts on; prune it before any other tool",
                crate::door::SECTION
            ),
            Problem::Invalid(error) => {
                write!(
                    formatter,
                    "what came out is not valid: {error}; use the module as it is, and report this"
                )
            }
        }
    }
}

impl std::error::Error for PruneError {}
