//! Header maps with Envoy's rules for the names it knows: such a name has one value only, and a further one is joined
//! to it with a comma. All other names, `cookie` and `set-cookie` among them, keep every value apart.
//!
//! The names were measured on Envoy 1.40.0 (the extensions built into it add some to those of its core).

use super::guest::Side;
use super::maps::MapType;
use crate::exchange::Headers;

/// Known in requests.
const REQUEST: &[&str] = &[
    ":authority",
    ":method",
    ":path",
    ":protocol",
    ":scheme",
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "grpc-accept-encoding",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "origin",
    "pragma",
    "proxy-connection",
    "proxy-status",
    "referer",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-client-trace-id",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-external-address",
    "x-envoy-force-trace",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-internal",
    "x-envoy-ip-tags",
    "x-envoy-is-timeout-retry",
    "x-envoy-max-retries",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-envoy-original-url",
    "x-envoy-retriable-header-names",
    "x-envoy-retriable-status-codes",
    "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

/// Known in responses.
const RESPONSE: &[&str] = &[
    ":status",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "age",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expires",
    "grpc-message",
    "grpc-status",
    "keep-alive",
    "last-modified",
    "location",
    "proxy-connection",
    "proxy-status",
    "server",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-degraded",
    "x-envoy-immediate-health-check-fail",
    "x-envoy-ratelimited",
    "x-envoy-upstream-canary",
    "x-envoy-upstream-healthchecked-cluster",
    "x-envoy-upstream-service-time",
    "x-request-id",
];

/// Known in the trailers of responses.
const RESPONSE_TRAILERS: &[&str] = &["grpc-message", "grpc-status"];

/// So many fields a proxy adds to a message.
const ADDED: usize = 4;

/// The name under which a map keeps a field: in lower case, and a request's `host` is its `:authority`.
pub(super) fn canonical(map: MapType, name: &[u8]) -> Vec<u8> {
    let name = name.to_ascii_lowercase();
    if name == b"host" && map == MapType::Headers(Side::Request) { b":authority".to_vec() } else { name }
}

/// Adds a field, or a value to a field that can have only one.
pub(super) fn add(map: MapType, headers: &mut Headers, name: &[u8], value: &[u8]) {
    let name = canonical(map, name);
    enter(map, headers, name, value.to_vec());
}

fn enter(map: MapType, headers: &mut Headers, name: Vec<u8>, value: Vec<u8>) {
    // Few names come twice, and fewer are among the many that are known.
    let same = headers.0.iter_mut().find(|(key, _)| *key == name);
    match same.filter(|_| is_known(map, &name)) {
        Some((_, existing)) => existing.extend([b",", value.as_slice()].concat()),
        None if name.starts_with(b":") => {
            // Pseudo-headers stand before all others.
            let end = headers.0.iter().position(|(key, _)| !key.starts_with(b":"));
            headers.0.insert(end.unwrap_or(headers.0.len()), (name, value));
        }
        None => headers.0.push((name, value)),
    }
}

/// All fields of a message as it arrives.
pub(super) fn arriving(map: MapType, fields: Headers) -> Headers {
    let mut headers = Headers(Vec::with_capacity(fields.0.len() + ADDED));
    for (mut name, value) in fields.0 {
        name.make_ascii_lowercase();
        let is_host = name == b"host" && map == MapType::Headers(Side::Request);
        enter(map, &mut headers, if is_host { b":authority".to_vec() } else { name }, value);
    }
    headers
}

/// Gives a field one value, in the place where it stands.
pub(super) fn set_in_place(headers: &mut Headers, name: &str, value: &[u8]) {
    match headers.0.iter_mut().find(|(key, _)| key == name.as_bytes()) {
        Some((_, existing)) => value.clone_into(existing),
        None => headers.add(name, value),
    }
}

fn is_known(map: MapType, name: &[u8]) -> bool {
    let names = match map {
        MapType::Headers(Side::Request) => REQUEST,
        MapType::Headers(Side::Response) => RESPONSE,
        MapType::Trailers(Side::Response) => RESPONSE_TRAILERS,
        MapType::Trailers(Side::Request) | MapType::Callout(_) => &[],
    };
    names.iter().any(|known| known.as_bytes() == name)
}
