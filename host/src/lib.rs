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
