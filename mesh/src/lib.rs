//! What the extensions for a mesh have in common: pure, without the SDK and without a host.
#![forbid(unsafe_code)]

pub mod legacy;
