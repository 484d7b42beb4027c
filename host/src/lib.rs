//! An Envoy-faithful Proxy-Wasm host for tests: configuration and requests in, everything a user could see out.

pub mod case;
pub mod exchange;
