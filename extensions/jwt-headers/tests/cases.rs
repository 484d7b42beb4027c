//! Every case of this extension on the native back end.

fn main() -> std::process::ExitCode {
    proxy_wasm_kit_host::case::native_main(
        jwt_headers::initialize,
        concat!(env!("CARGO_MANIFEST_DIR"), "/cases"),
    )
}
