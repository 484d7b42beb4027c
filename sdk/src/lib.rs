//! Write Proxy-Wasm extensions for Envoy and Istio in Rust.
//!
//! # A complete extension
//!
//! It refuses requests whose tenant is not on a list, and counts them. This is all there is to write:
//!
//! ```
//! use proxy_wasm_kit::prelude::*;
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     tenants: Vec<String>,
//! }
//!
//! struct Tenants(Config, Counter);
//! struct Check(Rc<Tenants>);
//!
//! impl Extension for Tenants {
//!     type Config = Config;
//!     type Filter = Check;
//!     fn configure(config: Config, root: &Root) -> Result<Self, ConfigError> {
//!         Ok(Self(config, root.counter("tenants.refused")?))
//!     }
//!     fn filter(self: &Rc<Self>) -> Check {
//!         Check(self.clone())
//!     }
//! }
//!
//! impl HttpFilter for Check {
//!     fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
//!         let Tenants(config, refused) = &*self.0;
//!         let headers = request.headers().snapshot()?;
//!         if let Ok(Some(tenant)) = headers.only("x-tenant")
//!             && config.tenants.iter().any(|known| known.as_bytes() == tenant)
//!         {
//!             return Ok(Flow::Continue);
//!         }
//!         refused.add(1)?;
//!         Ok(Flow::Reply(Response::new(403).details("unknown_tenant")))
//!     }
//! }
//!
//! proxy_wasm_kit::entry!(Tenants);
//! # use proxy_wasm_kit_host::{exchange::{Message, Setup}, native::Host, engine::Metric};
//! # fn main() {
//! # let setup = Setup { configuration: br#"{"tenants": ["blue"]}"#.to_vec(), ..Setup::default() };
//! # let host = Host::start(initialize, setup).unwrap();
//! # let status = |request| host.exchange(request, &Message::response(200)).client.unwrap().status();
//! # let request = || Message::request("GET", "/");
//! # assert_eq!(status(request()), 403);
//! # assert_eq!(status(request().header("x-tenant", "blue")), 200);
//! # assert_eq!(status(request().header("x-tenant", b"\xff")), 403);
//! # assert_eq!(status(request().header("x-tenant", "blue").header("x-tenant", "red")), 403);
//! # assert_eq!(host.metrics()["tenants.refused"], Metric::Counter(3));
//! # }
//! ```
//!
//! # How it works
//!
//! - [`Extension`] is the plugin: one per worker and configuration. [`HttpFilter`] is one stream; override the hooks you
//!   need. [`entry!`] makes the crate a module.
//! - **A hook gets a view** of what it may touch ([`RequestHeaders`], [`ResponseBody`], …) that ends with the hook. What
//!   the proxy no longer holds cannot be asked for; it does not compile.
//! - **A hook returns a decision**: [`Flow::Continue`], or [`Flow::Reply`] with a [`Response`] of its own. A body hook may
//!   also hold the chunk back until more has come ([`BodyFlow::Buffer`]).
//! - **What has to wait is returned, too**: `request.later(async move |held| …)`. The message is held until it is done, and
//!   no longer than its deadline; nobody has to resume it. A hook without it pays nothing.
//! - **Bytes, not text.** Header names and values are bytes; [`Bytes::as_str`] gives text where it is text. A client can
//!   repeat a header: [`Headers::first`] reads one value, [`Snapshot::all`] every one, and [`Snapshot::only`] insists that
//!   there is at most one.
//! - **Nothing panics.** A host call that fails is a [`HostError`]; pass it on with `?`, it becomes an [`Error`], and
//!   [`HttpFilter::on_error`] decides, by default as [`Error::reply`] says. A panic would cost the worker its VM and with it
//!   every request after this one.
//! - **Configuration** is a `serde` type. What does not fit refuses the configuration with a line such as
//!   `rules[2].prefix (line 7, column 18): expected a string, found integer`. Report what only you can check with
//!   [`ConfigError::at`].
//! - **Each host call crosses the sandbox** and costs more than thousands of instructions. One value: `first`. Three or
//!   more: one `snapshot`.
//!
//! # What there is
//!
//! Each line has an example under `sdk/examples`, of less than 60 lines, whose cases run natively, as a module, and in a real
//! Envoy. `docs/sdk.md` of the repository goes through them one after the other, `docs/sdk/faq.md` answers questions.
//!
//! | to | take | example |
//! |---|---|---|
//! | ask a server | [`Root::cluster`], [`Call`], [`CallError`] | `authorize` |
//! | ask several, and not for too long | [`join`], [`join_all`], [`select`], [`sleep`] | `aggregate` |
//! | speak gRPC | [`Cluster::grpc`], [`GrpcStream`], [`GrpcError`]; prost messages with the feature `prost` | `grpc`, `grpc_messages` |
//! | read and change bodies | [`RequestBody::collect`], [`ResponseBody::replace`], [`RequestHeaders::rewrites_body`] | `rewrite` |
//! | see TCP connections | [`TcpExtension`], or [`AlsoTcp`] beside HTTP | `handshake`, `both_kinds` |
//! | work without a request | [`Root::spawn`], [`Root::every`], [`Root::watch`], [`Lease`] | `refresh`, `lease` |
//! | share values among workers | [`Shared`], [`Cache`] | `shared_counter` |
//! | pass entries on | [`Root::queue`], [`Queue::next`] | `collect`, `work_queue` |
//! | know what the proxy knows | [`attributes`], several at once by [`Root::batch`] | `attribute_report`, `metadata_by_kind` |
//! | let the operator decide | [`Root::expression`] | `cel_gate` |
//! | tell other filters | [`set_filter_state`], [`foreign::Property`], [`foreign::set_envoy_filter_state`] | `filter_state`, `late_data` |
//! | count | [`Root::counter`], with labels [`Root::family`] | `labelled_metrics` |
//! | verify and sign, compress | [`foreign::verify_signature`], [`foreign::compress`] | `signatures`, `signed_body` |
//! | check configurations early | [`Config`](derive@Config), read by `pwkit check-config` | `cel_gate` |
//! | log | the `log` macros, whose lines carry the plugin's name and the request id | `grpc` |
//!
//! # Building and testing
//!
//! The crate needs `crate-type = ["cdylib", "rlib"]`; `cargo build --release --target wasm32-wasip1` makes the module, and
//! `pwkit prune` cuts it down to the callbacks that it has a use for. On native, [`entry!`] leaves a function `initialize`
//! that `proxy-wasm-kit-host` starts the same code with, so `cargo test` needs neither wasm nor a proxy.
//!
//! A module takes memory by an allocator of this crate, which keeps small blocks in lists. One that has a
//! `#[global_allocator]` of its own depends on the crate with `default-features = false`.

mod abi;
pub mod attributes;
mod body;
mod bytes;
mod callout;
mod chunk;
mod config;
mod context;
mod decode;
mod dispatch;
#[doc(hidden)]
pub mod door;
mod entry;
mod error;
mod extension;
mod failure;
pub mod foreign;
mod grpc;
mod headers;
mod labels;
mod lease;
mod length;
mod logger;
mod metrics;
#[doc(hidden)]
pub mod narrow_door;
mod phase;
mod property;
mod protobuf;
mod queue;
mod response;
mod root;
mod schema;
mod shared;
mod tcp;
mod time;
mod wait;
mod watch;

pub use bytes::Bytes;
pub use callout::{Call, CallError, CallResponse, Cluster};
pub use config::{ConfigError, UnknownKeys, WrongValues, lenient};
pub use context::ContextId;
pub use error::HostError;
pub use extension::{Extension, HttpFilter, Result};
pub use failure::Error;
#[doc(inline)]
pub use foreign::Expression;
pub use grpc::{GrpcError, GrpcService, GrpcStream};
pub use headers::{Headers, HeadersMut, Repeated, Snapshot};
pub use labels::{Family, LabelValue, Labels, Metric, stats_tags};
pub use lease::Lease;
pub use metrics::{Counter, Gauge, Histogram};
pub use phase::{
    Log, RequestBody, RequestHeaders, RequestTrailers, ResponseBody, ResponseHeaders, ResponseTrailers,
};
pub use property::{property, set_filter_state};
/// Derives [`Schema`](trait@Schema), and puts the whole into the module: for the type of [`Extension::Config`].
///
/// What an extension lets pass with a warning ([`UnknownKeys::Warn`]) is told by `#[schema(unknown_keys = "warn")]`.
///
/// ```
/// use proxy_wasm_kit::Config;
///
/// #[derive(serde::Deserialize, Config)]
/// #[serde(deny_unknown_fields)]
/// struct Settings {
///     /// The most requests per second.
///     #[serde(default)]
///     limit: Option<u32>,
/// }
/// ```
pub use proxy_wasm_kit_derive::Config;
pub use proxy_wasm_kit_derive::{Labels, Schema};
pub use queue::Queue;
pub use response::{BodyFlow, Flow, Later, Response};
pub use root::Root;
pub use schema::{Schema, SchemaText};
pub use shared::{Cache, Shared, Stored};
pub use tcp::{AlsoTcp, Closer, DownstreamData, TcpExtension, TcpFilter, TcpFlow, UpstreamData};
pub use time::now;
pub use wait::{First, Sleep, join, join_all, select, sleep};
pub use watch::Watch;

/// What an extension's `lib.rs` imports.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// fn refuse() -> Flow {
///     Flow::Reply(Response::new(403))
/// }
/// ```
pub mod prelude {
    pub use crate::{
        AlsoTcp, BodyFlow, Bytes, Cache, Call, CallError, CallResponse, Closer, Cluster, Config, ConfigError,
        ContextId, Counter, DownstreamData, Error, Expression, Extension, Family, Flow, Gauge, GrpcError,
        GrpcService, GrpcStream, Headers, HeadersMut, Histogram, HostError, HttpFilter, Labels, Lease, Log,
        Queue, Repeated, RequestBody, RequestHeaders, RequestTrailers, Response, ResponseBody,
        ResponseHeaders, ResponseTrailers, Result, Root, Schema, Shared, Snapshot, TcpExtension, TcpFilter,
        TcpFlow, UnknownKeys, UpstreamData, Watch, WrongValues,
    };
    pub use std::rc::Rc;
}
