//! Does every case of every extension hold in a real Envoy?

use std::process::ExitCode;

use proxy_wasm_kit_tests::{envoy, root};

fn main() -> ExitCode {
    let modules = std::env::var_os("PWKIT_DIST").map_or_else(|| root().join("dist"), Into::into);
    proxy_wasm_kit_host::case::envoy_main(envoy(), root().join("extensions"), modules)
}
