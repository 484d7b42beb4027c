//! Does every case of every extension hold for its module in the embedded host: for the one that ships, and for the one that
//! cargo made, before callbacks were pruned?

use std::path::PathBuf;
use std::process::ExitCode;

use proxy_wasm_kit_tests::{Metadata, root};

fn main() -> ExitCode {
    let modules = match std::env::var_os("PWKIT_DIST") {
        Some(chosen) => vec![("", PathBuf::from(chosen))],
        // What scripts/build made dist/ of.
        None => {
            let unpruned = Metadata::read().target_directory.join("wasm32-wasip1/module");
            vec![("", root().join("dist")), ("unpruned::", unpruned)]
        }
    };
    proxy_wasm_kit_host::case::wasm_main(root().join("extensions"), &modules)
}
