//! Every case of this extension on the native back end.

fn main() -> std::process::ExitCode {
    proxy_wasm_kit_host::case::native_main(
        basic_auth::initialize,
        concat!(env!("CARGO_MANIFEST_DIR"), "/cases"),
    )
}
