//! An Envoy-faithful Proxy-Wasm host for tests: configuration and requests in, everything a user could see out.

pub mod case;
pub mod connection;
pub mod engine;
pub mod envoy;
pub mod exchange;
pub mod http1;
pub mod module;
pub mod native;
pub mod outside;
pub mod vm_thread;
pub mod wasm;

// Nothing here uses them. They are dependencies for the features that other members ask of them: if this crate did not, too,
// `cargo test -p` of one member would compile wasmtime again, after `cargo test --workspace` has.
use {fnv as _, indexmap as _, log as _, memchr as _, smallvec as _, wasm_encoder as _};
