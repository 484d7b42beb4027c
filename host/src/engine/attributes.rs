//! Envoy's attribute list, as far as one exchange knows it (row 47).
//!
//! Attributes made of headers can be read as long as the plugin could reach those headers, and again when it logs.

use super::foreign::{Form, flat_fields};
use super::guest::Side;
use super::node::{metadata, node};
use super::reply;
use super::stream::Stream;
use super::upstream::CONNECTION_REFUSED;
use super::value::Value;
use super::vm::Vm;
use crate::exchange::{Direction, Headers, Metadata, Protocol, Setup};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The addresses of an exchange: nothing is listening there.
const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000);
const LISTENER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 10_000);
const UPSTREAM: (&str, i64) = ("127.0.0.1:8081", 8081);
/// The response flag DC.
const DOWNSTREAM_TERMINATION: i64 = 1 << 14;
const UPSTREAM_LOCAL: &str = "127.0.0.1:40001";

impl Vm {
    /// The attribute at the top of a path. The old names (`node`, `listener_direction`, ...) are gone, as in Envoy 1.40.
    pub(super) fn attribute(&mut self, name: &[u8]) -> Option<Value> {
        match name {
            b"plugin_name" => return Some(Value::text(&self.plugin().setup.name)),
            b"plugin_root_id" => return Some(Value::text(&self.plugin().setup.root_id)),
            b"plugin_vm_id" => return Some(Value::text(&self.plugin().setup.vm_id)),
            b"xds" => {
                let (node, direction) = (node(&self.setup), self.setup.direction);
                let route = metadata(&self.setup.route_metadata);
                let around = Around::of(&self.setup);
                let way = self.stream().map(|stream| Way::of(stream, route));
                return Some(xds_attributes(node, direction, way, around));
            }
            _ => {}
        }
        let now = self.now();
        let spoken = self.setup.protocol;
        let dynamic = metadata(&self.setup.dynamic_metadata);
        let stream = self.stream()?;
        let protocol = match stream.link.map_or(spoken, |link| link.protocol) {
            Protocol::Http1 => "HTTP/1.1",
            Protocol::Http2 => "HTTP/2",
        };
        Some(match name {
            b"request" => request(stream, now, protocol),
            b"response" => response(stream),
            b"connection" => connection(stream),
            b"connection_id" => Value::Uint(connection_number(stream)),
            b"source" => peer(client(stream)),
            b"destination" => peer(stream.link.map_or(LISTENER, |link| link.listener)),
            b"upstream" => upstream(stream),
            b"metadata" => dynamic,
            b"filter_state" => filter_state(stream),
            b"upstream_filter_state" => stream.upstream.as_ref().map(|_| Value::Lookup(Vec::new()))?,
            _ => return wasm_state(stream, name),
        })
    }
}

/// What the plugin itself has set.
fn wasm_state(stream: &Stream, name: &[u8]) -> Option<Value> {
    let name = format!("wasm.{}", String::from_utf8_lossy(name));
    stream.filter_state.get(&name).map(|value| held(stream, &name, value, true))?
}

/// Filter state as an attribute. By its short name a plugin's own is read as it was set.
fn held(stream: &Stream, name: &str, value: &[u8], short: bool) -> Option<Value> {
    let form = stream.held.get(name).map_or(&Form::Text, |held| &held.form);
    Some(match form {
        Form::FlatBuffer(schema) => match flat_fields(value, schema) {
            Some(fields) if short => Value::Flat(value.to_vec(), fields),
            Some(fields) => Value::Lookup(fields),
            None if short => Value::Bytes(value.to_vec()),
            None => Value::Null,
        },
        Form::Message if !short => Value::Null,
        Form::Bytes | Form::Message => Value::Bytes(value.to_vec()),
        Form::Text => Value::text(value),
        Form::Fields => Value::Map(Vec::new()),
        Form::Hidden => return None,
    })
}

fn filter_state(stream: &Stream) -> Value {
    Value::Lookup(
        stream
            .filter_state
            .iter()
            .filter_map(|(name, value)| Some((name.as_bytes().to_vec(), held(stream, name, value, false)?)))
            .collect(),
    )
}

fn request(stream: &mut Stream, now: u64, protocol: &str) -> Value {
    let (bytes, logging, complete) = (stream.request.bytes, stream.seat().logging, stream.complete);
    let duration = complete.then(|| Value::Duration(now.saturating_sub(stream.start_time).cast_signed()));
    let start = Value::Time(stream.start_time.cast_signed());
    let http = stream.tcp.is_none();
    let headers = visible(stream, Side::Request, logging);
    let field = |name: &str| headers.and_then(|headers| headers.first(name)).map(Value::text);
    let path = headers.map(|headers| headers.first(":path").unwrap_or_default());
    Value::lookup([
        ("headers", Some(header_values(headers))),
        ("headers_bytes", Some(Value::size(size(headers)))),
        ("time", Some(start)),
        ("size", content_length(headers).unwrap_or(Some(Value::size(bytes)))),
        ("total_size", Some(Value::size(bytes + size(headers)))),
        ("duration", duration),
        ("protocol", http.then(|| Value::text(protocol))),
        ("path", field(":path")),
        ("url_path", path.map(|path| Value::text(split_query(path).0))),
        ("query", path.map(|path| Value::text(split_query(path).1))),
        ("host", field(":authority")),
        ("scheme", field(":scheme")),
        ("method", field(":method")),
        ("referer", field("referer")),
        ("id", field("x-request-id")),
        ("useragent", field("user-agent")),
    ])
}

fn response(stream: &mut Stream) -> Value {
    let (bytes, logging) = (stream.response.bytes, stream.seat().logging);
    let code = stream.code;
    let flags = stream.flags | if stream.abandoned { DOWNSTREAM_TERMINATION } else { 0 };
    let latency = Some(Value::Duration(0)).filter(|_| stream.answered && stream.response.complete);
    let details = stream.details.as_ref().map(Value::text);
    let reach = stream.gate(Side::Response).reach;
    let trailers = stream.response.trailers.clone().filter(|_| logging || reach.trailers);
    let headers = visible(stream, Side::Response, logging);
    let trailers = trailers.as_ref();
    let derived = code.map(|code| Value::Int(reply::grpc_status(code.into()).into()));
    Value::lookup([
        ("code", code.map(|code| Value::Int(code.into()))),
        ("code_details", details),
        ("headers", Some(header_values(headers))),
        ("headers_bytes", Some(Value::size(size(headers)))),
        ("trailers", Some(header_values(trailers))),
        ("size", Some(Value::size(bytes))),
        ("total_size", Some(Value::size(bytes + size(headers) + size(trailers)))),
        ("flags", Some(Value::Int(flags))),
        ("grpc_status", grpc_status(trailers).or_else(|| grpc_status(headers)).or(derived)),
        ("backend_latency", latency),
    ])
}

fn upstream(stream: &Stream) -> Value {
    let failure = if stream.refused { CONNECTION_REFUSED } else { "" };
    let known = stream.upstream.is_some();
    let when = |value: Value| Some(value).filter(|_| known);
    Value::lookup([
        ("address", when(Value::text(UPSTREAM.0))),
        ("port", when(Value::Int(UPSTREAM.1))),
        ("local_address", when(Value::text(UPSTREAM_LOCAL))),
        ("transport_failure_reason", Some(Value::text(failure)).filter(|_| known || stream.tcp.is_some())),
        ("cx_pool_ready_duration", when(Value::Duration(0))),
        ("locality", when(Value::Message(Vec::new(), Vec::new()))),
        ("num_endpoints", Some(Value::Uint(1))),
        ("request_attempt_count", Some(Value::Uint(u64::from(known)))),
    ])
}

fn connection_number(stream: &Stream) -> u64 {
    stream.link.map_or(1, |link| link.number)
}

fn connection(stream: &Stream) -> Value {
    Value::lookup([
        ("id", Some(Value::Uint(connection_number(stream)))),
        ("mtls", Some(Value::Bool(false))),
        ("requested_server_name", Some(Value::text(""))),
    ])
}

fn peer(address: SocketAddr) -> Value {
    let port = Value::Int(address.port().into());
    Value::lookup([("address", Some(Value::text(address.to_string()))), ("port", Some(port))])
}

/// Where the client is, or says that it is.
fn client(stream: &Stream) -> SocketAddr {
    let said = stream.tcp.as_ref().and_then(|tcp| tcp.source);
    said.or(stream.link.map(|link| link.client)).unwrap_or(CLIENT)
}

/// Where a stream goes.
struct Way {
    /// It has met an upstream host.
    met: bool,
    /// It is known no sooner than the host where nothing is routed.
    cluster: Option<Value>,
    /// The metadata of its route, if it has one, as HTTP does.
    route: Option<Value>,
}

impl Way {
    fn of(stream: &Stream, route: Value) -> Self {
        let met = stream.upstream.is_some();
        match &stream.tcp {
            None => Self { met, cluster: Some(Value::text("upstream")), route: Some(route) },
            Some(tcp) => Self { met, cluster: met.then(|| Value::text(tcp.cluster())), route: None },
        }
    }
}

/// What the configuration says of that way.
struct Around {
    route_name: Value,
    cluster_metadata: Value,
    /// Null for a host without.
    host_metadata: Value,
}

impl Around {
    fn of(setup: &Setup) -> Self {
        let host = &setup.host_metadata;
        Self {
            route_name: Value::text(&setup.route_name),
            cluster_metadata: metadata(&setup.cluster_metadata),
            host_metadata: if host.is_empty() { Value::Null } else { metadata(host) },
        }
    }
}

/// The root context knows the node only.
fn xds_attributes(node: Value, direction: Direction, way: Option<Way>, around: Around) -> Value {
    let stream = way.is_some();
    let Way { met, cluster, route } = way.unwrap_or(Way { met: false, cluster: None, route: None });
    let (clustered, has_route) = (cluster.is_some(), route.is_some());
    let when = |value: Value| Some(value).filter(|_| stream);
    let routed = |value: Value| Some(value).filter(|_| has_route);
    let empty = || metadata(&Metadata::new());
    Value::lookup([
        ("node", Some(node)),
        ("cluster_name", cluster),
        ("cluster_metadata", Some(around.cluster_metadata).filter(|_| clustered)),
        ("route_name", routed(around.route_name)),
        ("route_metadata", route),
        ("virtual_host_name", routed(Value::text("all"))),
        ("virtual_host_metadata", routed(empty())),
        ("upstream_host_metadata", Some(around.host_metadata).filter(|_| met)),
        ("upstream_host_locality_metadata", Some(Value::Null).filter(|_| met)),
        ("filter_chain_name", when(Value::text(""))),
        ("listener_metadata", when(empty())),
        ("listener_direction", when(Value::Int(number(direction)))),
    ])
}

fn number(direction: Direction) -> i64 {
    match direction {
        Direction::Unspecified => 0,
        Direction::Inbound => 1,
        Direction::Outbound => 2,
    }
}

fn visible(stream: &mut Stream, side: Side, logging: bool) -> Option<&Headers> {
    let reach = stream.gate(side).reach;
    stream.half(side).headers.as_ref().filter(|_| reach.headers || logging)
}

/// By name, with repeated fields joined. Envoy 1.40 gives such a map as a whole, too.
fn header_values(headers: Option<&Headers>) -> Value {
    let Some(headers) = headers else { return Value::Fields(Vec::new()) };
    let joined = |name: &Vec<u8>| headers.all(name).collect::<Vec<_>>().join(&b',');
    let names: BTreeSet<_> = headers.0.iter().map(|(name, _)| name).collect();
    Value::Fields(names.into_iter().map(|name| (name.clone(), Value::Text(joined(name)))).collect())
}

fn size(headers: Option<&Headers>) -> usize {
    let fields = headers.iter().flat_map(|headers| &headers.0);
    fields.map(|(name, value)| name.len() + value.len()).sum()
}

/// The number in `content-length`; inside, nothing when it is not a number; outside, nothing when there is no such field.
fn content_length(headers: Option<&Headers>) -> Option<Option<Value>> {
    let text = std::str::from_utf8(headers?.first("content-length")?).ok();
    Some(text.and_then(|text| text.parse().ok()).map(Value::Int))
}

fn grpc_status(headers: Option<&Headers>) -> Option<Value> {
    let text = std::str::from_utf8(headers?.first("grpc-status")?).ok()?;
    text.parse().ok().map(Value::Int)
}

/// Path and query; a fragment belongs to neither query nor, without a query, to anything but the path.
fn split_query(path: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = path.splitn(2, |byte| *byte == b'?');
    let (path, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    (path, rest.split(|byte| *byte == b'#').next().unwrap_or_default())
}
