//! An Envoy-faithful Proxy-Wasm host for tests: configuration and requests in, everything a user could see out.

pub mod case;
pub mod engine;
pub mod exchange;
pub mod module;
pub mod native;
