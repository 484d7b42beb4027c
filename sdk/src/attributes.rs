//! Typed attributes: what the proxy knows about the request, the connection and itself.
//!
//! Source: Envoy, "Attributes" (`intro/arch_overview/advanced/attributes`). Every getter is one host call; a getter whose
//! attribute has an older name tries that one too, when the proxy does not know the present name. `None` means that the
//! proxy does not have the attribute, or not in this phase.
//!
//! ```
//! use proxy_wasm_kit::attributes::{connection, node, request, xds};
//! # use proxy_wasm_kit::prelude::*;
//!
//! # fn hook() -> Result<()> {
//! let path = request().url_path()?;
//! let from_mesh = connection().mtls()?.unwrap_or(false);
//! let route = xds().route_name()?;
//! let workload = node().metadata("WORKLOAD_NAME")?;
//! # Ok(()) }
//! ```
//!
//! - Several attributes at once: a [`Batch`] of [`names`], in one host call.
//! - The request's own in later phases: [`Request::snapshot`].
//! - Metadata of the stream and of the configuration: [`dynamic_metadata`], [`Xds::route_metadata`] and the like.
//! - Any other by its path: [`property`](crate::property), or [`Attribute::new`] in a batch.

mod batch;
mod groups;
mod metadata;
mod snapshot;

pub use batch::{Attribute, Batch, Batched};
pub use groups::*;
pub use metadata::{Metadata, dynamic_metadata};
pub use snapshot::RequestSnapshot;

use crate::abi;
use crate::bytes::Bytes;
use crate::decode::Decode;
use crate::error::HostError;
use crate::protobuf::{Field, fields};

impl Decode for TrafficDirection {
    fn decode(bytes: &[u8]) -> Option<Self> {
        Some(match i64::decode(bytes)? {
            1 => Self::Inbound,
            2 => Self::Outbound,
            _ => Self::Unspecified,
        })
    }
}

const CALL: &str = "proxy_get_property";

/// Reads the first of `paths` that the proxy knows.
fn read<T: Decode>(paths: &[&str]) -> Result<Option<T>, HostError> {
    for path in paths {
        if let Some(bytes) = abi::property(path)? {
            return T::take(bytes).map(Some).ok_or(HostError::malformed(CALL));
        }
    }
    Ok(None)
}

/// Where a host is.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// # fn hook() -> Result<()> {
/// let zone = proxy_wasm_kit::attributes::upstream().locality()?.map(|locality| locality.zone);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locality {
    /// The region, for example of a cloud.
    pub region: String,
    /// The zone within the region.
    pub zone: String,
    /// The part of the zone, for example a rack.
    pub sub_zone: String,
}

impl Decode for Locality {
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut locality = Self::default();
        for (number, field) in fields(bytes) {
            match (number, field) {
                (1, Field::Bytes(text)) => locality.region = String::decode(text)?,
                (2, Field::Bytes(text)) => locality.zone = String::decode(text)?,
                (3, Field::Bytes(text)) => locality.sub_zone = String::decode(text)?,
                _ => {}
            }
        }
        Some(locality)
    }
}

/// The side of the workload that the listener serves.
///
/// ```
/// use proxy_wasm_kit::attributes::{TrafficDirection, xds};
/// # use proxy_wasm_kit::prelude::*;
///
/// # fn hook() -> Result<()> {
/// let inbound = xds().listener_direction()? == Some(TrafficDirection::Inbound);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficDirection {
    /// Not stated.
    Unspecified,
    /// From others to the workload beside the proxy.
    Inbound,
    /// From the workload beside the proxy to others.
    Outbound,
}

/// The proxy itself, as its bootstrap names it (`xds.node`, in older proxies `node`).
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// let group: proxy_wasm_kit::attributes::Node = proxy_wasm_kit::attributes::node();
/// ```
pub fn node() -> Node {
    Node(())
}

/// The attributes of the proxy's node, given by [`node`]. The node as a whole is large (60 KB in a mesh), so there is no
/// getter for that.
///
/// ```
/// fn read(group: proxy_wasm_kit::attributes::Node) {}
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Node(());

impl Node {
    /// The node's id, in a mesh `sidecar~ADDRESS~POD.NAMESPACE~DOMAIN`.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook() -> Result<()> {
    /// let id = proxy_wasm_kit::attributes::node().id()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_property` failed.
    pub fn id(self) -> Result<Option<Bytes>, HostError> {
        read(&["xds\0node\0id", "node\0id"])
    }

    /// The cluster that the node belongs to.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook() -> Result<()> {
    /// let cluster = proxy_wasm_kit::attributes::node().cluster()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_property` failed.
    pub fn cluster(self) -> Result<Option<Bytes>, HostError> {
        read(&["xds\0node\0cluster", "node\0cluster"])
    }

    /// A text in the node's metadata, for example `NAMESPACE`.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook() -> Result<()> {
    /// let namespace = proxy_wasm_kit::attributes::node().metadata("NAMESPACE")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_property` failed.
    pub fn metadata(self, key: &str) -> Result<Option<Bytes>, HostError> {
        read(&[&format!("xds\0node\0metadata\0{key}"), &format!("node\0metadata\0{key}")])
    }

    /// The node's metadata by kinds of values: numbers, flags, lists, maps.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook() -> Result<()> {
    /// let labels = proxy_wasm_kit::attributes::node().values().map("LABELS")?;
    /// # Ok(()) }
    /// ```
    pub fn values(self) -> Metadata {
        Metadata::of_node()
    }

    /// A text one level deeper in the node's metadata, for example `LABELS`, `app`.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook() -> Result<()> {
    /// let app = proxy_wasm_kit::attributes::node().metadata_in("LABELS", "app")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_property` failed.
    pub fn metadata_in(self, map: &str, key: &str) -> Result<Option<Bytes>, HostError> {
        self.metadata(&format!("{map}\0{key}"))
    }
}

/// Declares functions for the attributes that stand alone.
macro_rules! single_attributes {
    ($($(#[$about:meta])* $name:ident($($key:ident),*) = $path:expr;)*) => {$(
        $(#[$about])*
        ///
        /// ```
        /// # use proxy_wasm_kit::prelude::*;
        /// # fn hook() -> Result<()> {
        #[doc = concat!("let value = proxy_wasm_kit::attributes::", stringify!($name), "(", $("\"", stringify!($key), "\", ",)* ")?;")]
        /// # Ok(()) }
        /// ```
        ///
        /// # Errors
        ///
        /// `proxy_get_property` failed.
        pub fn $name($($key: &str),*) -> Result<Option<Bytes>, HostError> {
            read(&[&$path])
        }
    )*};
}

single_attributes! {
    /// The plugin's name.
    plugin_name() = "plugin_name";
    /// The plugin's root id.
    plugin_root_id() = "plugin_root_id";
    /// The id of the VM that the plugin runs in.
    plugin_vm_id() = "plugin_vm_id";
    /// Filter state by its full name; what a plugin writes with [`set_filter_state`](crate::set_filter_state) has the prefix
    /// `wasm.`.
    filter_state(name) = format!("filter_state\0{name}");
    /// Filter state of the upstream connection by its full name.
    upstream_filter_state(name) = format!("upstream_filter_state\0{name}");
}
