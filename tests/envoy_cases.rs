//! Does every case of every extension hold in a real Envoy?

use std::process::ExitCode;

use proxy_wasm_kit_tests::{envoy, modules, root};

fn main() -> ExitCode {
    proxy_wasm_kit_host::case::envoy_main(envoy(), root().join("extensions"), modules())
}
