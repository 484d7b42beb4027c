//! The example programs that everybody meets first, as guests: what they are described to do must come of them here.
//!
//! `plain` holds them on the `proxy-wasm` crate, `raw` on no crate at all, in each version of the ABI. Both have the same
//! cases. Here they run on `plain`, natively; `tests/foreign_modules.rs` of the workspace runs them on modules of all
//! of them, in the embedded host and in a real Envoy.

mod plain;

fn main() -> std::process::ExitCode {
    proxy_wasm_kit_host::case::native_main(
        plain::initialize,
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/cases"),
    )
}
