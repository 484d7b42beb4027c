//! What the extensions for a mesh have in common: pure, without the SDK and without a host.
#![forbid(unsafe_code)]

pub mod legacy;
pub mod message;
pub mod peer;
pub mod presence;
pub mod wire;

pub use peer::Peer;

use std::fmt;

/// Why bytes of a peer are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// More bytes than metadata of a workload can have.
    TooLarge,
    /// Messages within messages, deeper than [`message::MAX_DEPTH`].
    TooDeep,
    /// Not of the form that it has to be: cut off, a field that does not exist, a value of two kinds.
    Form,
    /// A text that is not UTF-8, or holds control characters.
    Text,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "too large",
            Self::TooDeep => "too deep",
            Self::Form => "not a message of this form",
            Self::Text => "a text that is not UTF-8 or holds control characters",
        })
    }
}

impl std::error::Error for Malformed {}
