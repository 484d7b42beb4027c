//! Every case of this extension on the native back end.

fn main() -> std::process::ExitCode {
    proxy_wasm_kit_host::case::native_main(stats::initialize, concat!(env!("CARGO_MANIFEST_DIR"), "/cases"))
}
