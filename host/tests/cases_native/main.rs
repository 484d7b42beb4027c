//! The native runner end to end, and the native back end against Envoy: cases on a plugin that does what its
//! configuration says. What `cases/*.yaml` expects is what Envoy 1.40 did with the same plugin built as a module.

mod puppet;

fn main() -> std::process::ExitCode {
    proxy_wasm_kit_host::case::native_main(
        puppet::initialize,
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"),
    )
}
