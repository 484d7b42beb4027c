//! The engine: what Envoy does at the Proxy-Wasm boundary, without saying how a guest is run.
//!
//! [`Vm`] is everything a guest can reach: one method per host function, on Rust types, answering a [`Status`].
//! [`Worker`] drives a [`Guest`] through start-up and through whole exchanges. A back end connects the two: it hands
//! the guest's host calls to the `Vm` and implements `Guest` for the worker's callbacks.
//!
//! The rules are numbered rows of a table, read from Envoy's sources; `tests/rows` has a test for each. Where the table and
//! a running Envoy 1.40.0 disagreed, or the table was silent, the proxy was right:
//!
//! - Header names that Envoy knows hold one value, and a further one is joined by a comma before a plugin sees it: two
//!   `authorization` fields arrive as one. `host` is another name of `:authority` (row 23; the list is in `fields`).
//! - A read whose start and length overflow a word is clipped, not refused (row 18).
//! - A request body that outgrows the buffer limit while it is held back is shown to the plugin once more, as a whole, before
//!   the 413; a response whose headers have left is reset without another callback (row 15).
//! - Of several local replies in one callback the first is sent, under the details of the last. The reply for a panic is sent
//!   in place of the plugin's own, again under the plugin's details (rows 13, 32, 49).
//! - A local reply sent while the plugin sees its own local reply takes its place and is not shown to it (row 33).
//! - `request.headers`, `response.headers` and `response.trailers` can be read as maps; the other groups (`request`, `xds`,
//!   `filter_state`, ...) fail to serialize (row 46).
//! - `response.code` and its details are known from the response's headers on, `response.grpc_status` is derived from the
//!   code if the upstream did not tell it (row 47).
//! - `clear_route_cache` and `set_envoy_filter_state` act on the effective context, as host functions do; `expr_evaluate` and
//!   `declare_property` on the entered one (row 9).
//! - A property that was not declared is of type bytes, so `foo == "bar"` is false in an expression whatever it holds; one
//!   that was declared in a stream instead of the root is not declared at all (row 48).
//! - A set of filter state with another life span than the first one answers Ok and changes nothing (row 48).
//! - A callout to a closed port of the same machine fails as `remote connection failure`, with or without the reason of the
//!   transport behind it (row 36).
//! - Resuming a response that has not begun crashes the proxy; here it is noted as misuse (row 31).
//! - A failed plugin is loaded again (policy `FAIL_RELOAD`) by the first stream that comes a second after it was loaded, however
//!   late it failed; nothing counts from the failure on (row 51).
//! - In a chain all plugins log, then one after the other is done and deleted; one that the request never reached is created
//!   for its log (rows 7, 29). `proxy_on_vm_start` is called for each root context, also in a VM that runs already (row 4).

mod agenda;
mod attributes;
mod body;
mod calls;
mod chain;
mod clock;
mod fields;
mod filter;
mod foreign;
mod grpc;
mod guest;
mod happening;
mod lifecycle;
mod live;
mod log;
mod maps;
mod metrics;
mod node;
mod pairs;
mod process;
mod properties;
mod protobuf;
mod reply;
mod shared_data;
mod shared_queue;
mod status;
mod stream;
mod tcp;
mod timers;
mod upstream;
mod value;
mod vm;
mod watch;
mod worker;

pub use body::BufferType;
pub use grpc::GrpcCall;
pub use guest::{Call, Guest, Side, Trap};
pub use happening::Errand;
pub use live::{Link, Outage, Outcome, Passed};
pub use log::log_prefix;
pub use maps::MapType;
pub use metrics::{Histogram, Metric};
pub use pairs::{decode_pairs, encode_pairs};
pub use process::{Code, Plan};
pub use reply::LocalReply;
pub use status::Status;
pub use vm::{Shared, Vm};
pub use watch::{Account, Aside, Detail, Glimpse, Visit};
pub use worker::{Refusal, Worker};
