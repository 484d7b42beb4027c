//! Write Proxy-Wasm extensions for Envoy and Istio in Rust.

mod abi;
mod bytes;
mod config;
mod context;
#[doc(hidden)]
pub mod dispatch;
mod entry;
mod error;
mod extension;
mod headers;
mod logger;
mod metrics;
mod phase;
mod property;
mod response;
mod root;
mod time;

pub use bytes::Bytes;
pub use config::{ConfigError, UnknownKeys};
pub use context::ContextId;
pub use error::HostError;
pub use extension::{Extension, HttpFilter, Result};
pub use headers::{Headers, HeadersMut, Repeated, Snapshot};
pub use metrics::{Counter, Gauge, Histogram};
pub use phase::{
    Log, RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers,
};
pub use property::{property, set_filter_state};
pub use response::{BodyFlow, Flow, Response};
pub use root::Root;
pub use time::now;

/// What an extension's `lib.rs` imports.
pub mod prelude {
    pub use crate::{
        BodyFlow, Bytes, ConfigError, ContextId, Counter, Extension, Flow, Gauge, Headers, HeadersMut,
        Histogram, HostError, HttpFilter, Log, Repeated, RequestBody, RequestHeaders, RequestTrailers,
        Response, ResponseBody, ResponseHeaders, ResponseTrailers, Result, Root, Snapshot, UnknownKeys,
    };
    pub use std::rc::Rc;
}
