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

use crate::abi;
use crate::bytes::Bytes;
use crate::decode::Decode;
use crate::error::HostError;
use crate::headers::Snapshot;
use std::time::{Duration, SystemTime};

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

/// Declares a group of attributes: a function that gives the group, and a getter for each attribute. A getter's path is
/// `group.name`; the words in brackets are older paths, tried next.
macro_rules! attributes {
    ($(
        $(#[$doc:meta])*
        $group:ident: $type:ident {
            $($(#[$about:meta])* $name:ident: $value:ty $([$older:literal])?,)*
        }
    )*) => {$(
        $(#[$doc])*
        ///
        /// ```
        /// # use proxy_wasm_kit::prelude::*;
        #[doc = concat!("let group: proxy_wasm_kit::attributes::", stringify!($type), " = proxy_wasm_kit::attributes::", stringify!($group), "();")]
        /// ```
        pub fn $group() -> $type {
            $type(())
        }

        #[doc = concat!("The attributes `", stringify!($group), ".*`, given by [`", stringify!($group), "`].")]
        ///
        /// ```
        #[doc = concat!("fn read(group: proxy_wasm_kit::attributes::", stringify!($type), ") {}")]
        /// ```
        #[derive(Clone, Copy, Debug)]
        pub struct $type(());

        impl $type {
            $(
                $(#[$about])*
                ///
                /// ```
                /// # use proxy_wasm_kit::prelude::*;
                /// # fn hook() -> Result<()> {
                #[doc = concat!("let value = proxy_wasm_kit::attributes::", stringify!($group), "().", stringify!($name), "()?;")]
                /// # Ok(()) }
                /// ```
                ///
                /// # Errors
                ///
                /// `proxy_get_property` failed, or the value has another type.
                pub fn $name(self) -> Result<Option<$value>, HostError> {
                    read(&[concat!(stringify!($group), "\0", stringify!($name)) $(, $older)?])
                }
            )*
        }
    )*};
}

attributes! {
    /// The request. Those that stand in its headers are there until the response begins, and again when it is logged.
    request: Request {
        /// The path with the query, as in `:path`.
        path: Bytes,
        /// The path without the query.
        url_path: Bytes,
        /// The query without the `?`.
        query: Bytes,
        /// The host, as in `:authority`.
        host: Bytes,
        /// `http` or `https`.
        scheme: Bytes,
        /// The method.
        method: Bytes,
        /// All headers by name; the values of a repeated one are joined by commas.
        headers: Snapshot,
        /// The header `referer`.
        referer: Bytes,
        /// The header `user-agent`.
        useragent: Bytes,
        /// When the first byte arrived.
        time: SystemTime,
        /// The request id, as in `x-request-id`.
        id: Bytes,
        /// `HTTP/1.0`, `HTTP/1.1`, `HTTP/2` or `HTTP/3`.
        protocol: Bytes,
        /// How long the request took; when it is complete.
        duration: Duration,
        /// The size of the body in bytes, from `content-length` if there is one.
        size: i64,
        /// The size in bytes, headers (uncompressed, about) included; when it is complete.
        total_size: i64,
    }

    /// The response; most of it when the request is complete.
    response: ResponseAttributes {
        /// The HTTP status.
        code: i64,
        /// Why the proxy answered as it did (`%RESPONSE_CODE_DETAILS%`).
        code_details: Bytes,
        /// The response flags as bits.
        flags: i64,
        /// The gRPC status.
        grpc_status: i64,
        /// All headers by name; the values of a repeated one are joined by commas.
        headers: Snapshot,
        /// All trailers by name; the values of a repeated one are joined by commas.
        trailers: Snapshot,
        /// The size of the body in bytes.
        size: i64,
        /// The size in bytes, headers and trailers (uncompressed, about) included.
        total_size: i64,
        /// From the first byte sent to the upstream to the last received from it.
        backend_latency: Duration,
    }

    /// The client's end of the downstream connection.
    source: Source {
        /// Address with port, `192.0.2.7:54321`.
        address: Bytes,
        /// Port.
        port: i64,
    }

    /// The proxy's end of the downstream connection.
    destination: Destination {
        /// Address with port, `192.0.2.1:8080`.
        address: Bytes,
        /// Port.
        port: i64,
    }

    /// The downstream connection.
    connection: Connection {
        /// Its number in this proxy.
        id: u64,
        /// Whether it uses TLS and the client presented a certificate.
        mtls: bool,
        /// The server name the client asked for in TLS.
        requested_server_name: Bytes,
        /// `TLSv1.3` and so on.
        tls_version: Bytes,
        /// The subject of the proxy's certificate.
        subject_local_certificate: Bytes,
        /// The subject of the client's certificate.
        subject_peer_certificate: Bytes,
        /// The first DNS name in the proxy's certificate.
        dns_san_local_certificate: Bytes,
        /// The first DNS name in the client's certificate.
        dns_san_peer_certificate: Bytes,
        /// The first URI in the proxy's certificate; in a mesh its SPIFFE id.
        uri_san_local_certificate: Bytes,
        /// The first URI in the client's certificate; in a mesh its SPIFFE id.
        uri_san_peer_certificate: Bytes,
        /// SHA-256 of the client's certificate.
        sha256_peer_certificate_digest: Bytes,
        /// Why the transport failed, for example a certificate that did not verify.
        transport_failure_reason: Bytes,
        /// Why the connection ended.
        termination_details: Bytes,
    }

    /// The upstream connection, once there is one.
    upstream: Upstream {
        /// Address with port of the upstream host.
        address: Bytes,
        /// Port of the upstream host.
        port: i64,
        /// `TLSv1.3` and so on.
        tls_version: Bytes,
        /// The subject of the proxy's certificate.
        subject_local_certificate: Bytes,
        /// The subject of the upstream's certificate.
        subject_peer_certificate: Bytes,
        /// The first DNS name in the proxy's certificate.
        dns_san_local_certificate: Bytes,
        /// The first DNS name in the upstream's certificate.
        dns_san_peer_certificate: Bytes,
        /// The first URI in the proxy's certificate.
        uri_san_local_certificate: Bytes,
        /// The first URI in the upstream's certificate.
        uri_san_peer_certificate: Bytes,
        /// SHA-256 of the upstream's certificate.
        sha256_peer_certificate_digest: Bytes,
        /// The proxy's end of the connection, with port.
        local_address: Bytes,
        /// Why the transport failed.
        transport_failure_reason: Bytes,
        /// How often the request was sent to an upstream; 0 when it never was.
        request_attempt_count: u64,
        /// How long the request waited for a connection of the pool.
        cx_pool_ready_duration: Duration,
    }

    /// The proxy's configuration where it concerns this stream. Metadata comes as a protobuf message
    /// (`envoy.config.core.v3.Metadata`); [`property`](crate::property) reads a single entry of it.
    xds: Xds {
        /// The cluster that the route chose.
        cluster_name: Bytes ["cluster_name"],
        /// The metadata of that cluster.
        cluster_metadata: Bytes ["cluster_metadata"],
        /// The listener's traffic direction; on a stream only.
        listener_direction: TrafficDirection ["listener_direction"],
        /// The listener's metadata.
        listener_metadata: Bytes ["listener_metadata"],
        /// The route's name.
        route_name: Bytes ["route_name"],
        /// The route's metadata.
        route_metadata: Bytes ["route_metadata"],
        /// The name of the virtual host.
        virtual_host_name: Bytes,
        /// The metadata of the virtual host.
        virtual_host_metadata: Bytes,
        /// The metadata of the upstream host.
        upstream_host_metadata: Bytes ["upstream_host_metadata"],
        /// The name of the listener's filter chain.
        filter_chain_name: Bytes,
    }
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
    /// Dynamic metadata that another filter wrote: the text at `key` in `namespace`, for example of
    /// `envoy.filters.http.jwt_authn`.
    dynamic_metadata(namespace, key) = format!("metadata\0filter_metadata\0{namespace}\0{key}");
    /// Filter state by its full name; what a plugin writes with [`set_filter_state`](crate::set_filter_state) has the prefix
    /// `wasm.`.
    filter_state(name) = format!("filter_state\0{name}");
    /// Filter state of the upstream connection by its full name.
    upstream_filter_state(name) = format!("upstream_filter_state\0{name}");
}
