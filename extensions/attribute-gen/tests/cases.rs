//! Every case of this extension on the native back end.

fn main() -> std::process::ExitCode {
    proxy_wasm_kit_host::case::native_main(
        attribute_gen::initialize,
        concat!(env!("CARGO_MANIFEST_DIR"), "/cases"),
    )
}
