//! The engine: what Envoy does at the Proxy-Wasm boundary, without saying how a guest is run.
//!
//! [`Vm`] is everything a guest can reach: one method per host function, on Rust types, answering a [`Status`].
//! [`Worker`] drives a [`Guest`] through start-up and through whole exchanges. A back end connects the two: it hands
//! the guest's host calls to the `Vm` and implements `Guest` for the worker's callbacks.

mod attributes;
mod body;
mod chain;
mod clock;
mod fields;
mod filter;
mod guest;
mod later;
mod lifecycle;
mod log;
mod maps;
mod metrics;
mod node;
mod pairs;
mod properties;
mod reply;
mod status;
mod stream;
mod value;
mod vm;
mod worker;

pub use body::BufferType;
pub use guest::{Call, Guest, Side, Trap};
pub use log::log_prefix;
pub use maps::MapType;
pub use metrics::Metric;
pub use pairs::{decode_pairs, encode_pairs};
pub use reply::LocalReply;
pub use status::Status;
pub use vm::{Shared, Vm};
pub use worker::{Refusal, Worker};
