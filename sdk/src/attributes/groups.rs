//! The groups of attributes, as Envoy's documentation lists them, and their names for a batch.

use super::batch::Attribute;
use super::{Locality, TrafficDirection, read};
use crate::bytes::Bytes;
use crate::error::HostError;
use crate::headers::Snapshot;
use std::time::{Duration, SystemTime};

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
    )*

    /// The attributes by name, for a [`Batch`](super::Batch).
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// use proxy_wasm_kit::attributes::{Batch, Batched, names};
    ///
    /// fn prepare(root: &Root) -> Batch<impl Batched> {
    ///     root.batch((names::request::method, names::request::url_path, names::source::address))
    /// }
    /// ```
    pub mod names {
        $(
            #[doc = concat!("The attributes `", stringify!($group), ".*`, for a batch.")]
            ///
            /// ```
            #[doc = concat!("use proxy_wasm_kit::attributes::names::", stringify!($group), ";")]
            /// ```
            #[allow(non_upper_case_globals, reason = "they are called as Envoy calls them")]
            pub mod $group {
                use super::super::*;

                $(
                    $(#[$about])*
                    ///
                    /// ```
                    #[doc = concat!("let name = proxy_wasm_kit::attributes::names::", stringify!($group), "::", stringify!($name), ";")]
                    /// ```
                    pub const $name: Attribute<$value> = Attribute::new(concat!(stringify!($group), ".", stringify!($name)));
                )*
            }
        )*
    }};
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
        /// The size of all headers in bytes.
        headers_bytes: i64,
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
        /// The size of all headers in bytes.
        headers_bytes: i64,
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
        /// The client's certificate in PEM, URL-encoded.
        peer_certificate: Bytes,
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
        /// The number of hosts in its cluster.
        num_endpoints: u64,
        /// Where the upstream host is.
        locality: Locality,
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
        /// The upstream's certificate in PEM, URL-encoded.
        peer_certificate: Bytes,
        /// The proxy's end of the connection, with port.
        local_address: Bytes,
        /// Why the transport failed.
        transport_failure_reason: Bytes,
        /// How often the request was sent to an upstream; 0 when it never was.
        request_attempt_count: u64,
        /// How long the request waited for a connection of the pool.
        cx_pool_ready_duration: Duration,
    }

    /// The proxy's configuration where it concerns this stream. Metadata is read by its namespace.
    xds: Xds {
        /// The cluster that the route chose.
        cluster_name: Bytes ["cluster_name"],
        /// The listener's traffic direction; on a stream only.
        listener_direction: TrafficDirection ["listener_direction"],
        /// The route's name.
        route_name: Bytes ["route_name"],
        /// The name of the virtual host.
        virtual_host_name: Bytes,
        /// The name of the listener's filter chain.
        filter_chain_name: Bytes,
    }
}
