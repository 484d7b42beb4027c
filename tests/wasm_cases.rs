//! Does every case of every extension hold for its module in the embedded host?

use std::process::ExitCode;

use proxy_wasm_kit_tests::root;

fn main() -> ExitCode {
    let modules = std::env::var_os("PWKIT_DIST").map_or_else(|| root().join("dist"), Into::into);
    proxy_wasm_kit_host::case::wasm_main(root().join("extensions"), modules)
}
