//! Every example with its cases, on the native back end. In the proxy each is a module of its own; here they are linked
//! into one test.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use proxy_wasm_kit_host::case::{Linked, linked_main};

#[path = "../examples/aggregate.rs"]
mod aggregate;
#[path = "../examples/authorize.rs"]
mod authorize;
#[path = "../examples/collect.rs"]
mod collect;
#[path = "../examples/grpc.rs"]
mod grpc;
#[path = "../examples/refresh.rs"]
mod refresh;
#[path = "../examples/rewrite.rs"]
mod rewrite;

const EXAMPLES: &[(&str, fn())] = &[
    ("aggregate", aggregate::initialize),
    ("authorize", authorize::initialize),
    ("collect", collect::initialize),
    ("grpc", grpc::initialize),
    ("refresh", refresh::initialize),
    ("rewrite", rewrite::initialize),
];

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let cases: Vec<PathBuf> =
        EXAMPLES.iter().map(|(name, _)| folder.join(name).with_extension("yaml")).collect();
    let linked = |((name, initialize), cases): (&(&'static str, fn()), &'static PathBuf)| Linked {
        name,
        initialize: *initialize,
        cases,
    };
    let cases: &'static [PathBuf] = cases.leak();
    linked_main(&EXAMPLES.iter().zip(cases).map(linked).collect::<Vec<_>>())
}
