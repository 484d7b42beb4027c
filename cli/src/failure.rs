//! How a command ends when it does not succeed: one line that says what, where and what to do, and an exit code.

use std::io;
use std::process::ExitCode;

/// The end of `pwkit --help`; docs/cli.md holds the same table, and a test compares them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  success, also when the reader of the output went away
  1  what was asked for does not hold: a fault in the module, a failed case, a cost above the tolerance
  2  the command line cannot be understood
  3  a file is missing or is not what it should be: no WebAssembly, a component, a wrong ABI
  4  a configuration is refused: by the module, or for a mistake in it
  5  an address cannot be listened on
  6  something that the command needs is not installed
  7  the output cannot be written";

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A report that has been printed says why.
    Reported,
    /// A combination of arguments makes no sense.
    Usage(String),
    /// A file cannot be used.
    File(String),
    /// A plugin does not take its configuration.
    Rejected(String),
    /// An address cannot be listened on.
    Address(String),
    /// A program is missing.
    Missing(String),
    /// The output cannot be written.
    Output(io::Error),
}

impl Failure {
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Reported => 1,
            Self::Usage(_) => 2,
            Self::File(_) => 3,
            Self::Rejected(_) => 4,
            Self::Address(_) => 5,
            Self::Missing(_) => 6,
            Self::Output(_) => 7,
        })
    }

    /// The line to print; none if a report says it.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Self::Reported => None,
            Self::Usage(message)
            | Self::File(message)
            | Self::Rejected(message)
            | Self::Address(message)
            | Self::Missing(message) => Some(message.clone()),
            Self::Output(error) => Some(format!("the output cannot be written: {error}")),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
