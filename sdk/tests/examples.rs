//! Every example with its cases, on the native back end. In the proxy each is a module of its own; here they are linked
//! into one test.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use proxy_wasm_kit_host::case::{Linked, linked_main};

#[path = "../examples/aggregate.rs"]
mod aggregate;
#[path = "../examples/attribute_report.rs"]
mod attribute_report;
#[path = "../examples/authorize.rs"]
mod authorize;
#[path = "../examples/both_kinds.rs"]
mod both_kinds;
#[path = "../examples/cel_gate.rs"]
mod cel_gate;
#[path = "../examples/collect.rs"]
mod collect;
#[path = "../examples/filter_state.rs"]
mod filter_state;
#[path = "../examples/grpc.rs"]
mod grpc;
#[cfg(feature = "prost")]
#[path = "../examples/grpc_messages.rs"]
mod grpc_messages;
#[path = "../examples/handshake.rs"]
mod handshake;
#[path = "../examples/labelled_metrics.rs"]
mod labelled_metrics;
#[path = "../examples/late_data.rs"]
mod late_data;
#[path = "../examples/lease.rs"]
mod lease;
#[path = "../examples/metadata_by_kind.rs"]
mod metadata_by_kind;
#[path = "../examples/refresh.rs"]
mod refresh;
#[path = "../examples/rewrite.rs"]
mod rewrite;
#[path = "../examples/shared_counter.rs"]
mod shared_counter;
#[cfg(feature = "signatures")]
#[path = "../examples/signatures.rs"]
mod signatures;
#[path = "../examples/signed_body.rs"]
mod signed_body;
#[path = "../examples/work_queue.rs"]
mod work_queue;

const EXAMPLES: &[(&str, fn())] = &[
    ("aggregate", aggregate::initialize),
    ("attribute_report", attribute_report::initialize),
    ("authorize", authorize::initialize),
    ("both_kinds", both_kinds::initialize),
    ("cel_gate", cel_gate::initialize),
    ("collect", collect::initialize),
    ("filter_state", filter_state::initialize),
    ("grpc", grpc::initialize),
    #[cfg(feature = "prost")]
    ("grpc_messages", grpc_messages::initialize),
    ("handshake", handshake::initialize),
    ("labelled_metrics", labelled_metrics::initialize),
    ("late_data", late_data::initialize),
    ("lease", lease::initialize),
    ("metadata_by_kind", metadata_by_kind::initialize),
    ("refresh", refresh::initialize),
    ("rewrite", rewrite::initialize),
    ("shared_counter", shared_counter::initialize),
    #[cfg(feature = "signatures")]
    ("signatures", signatures::initialize),
    ("signed_body", signed_body::initialize),
    ("work_queue", work_queue::initialize),
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
