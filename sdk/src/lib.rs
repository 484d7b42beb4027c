//! Write Proxy-Wasm extensions for Envoy and Istio in Rust.
