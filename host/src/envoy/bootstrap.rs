//! The configuration that Envoy is started with, and the listener of a plugin.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Error;
use crate::exchange::{Direction, FailurePolicy, Metadata, Setup};

/// The proxy that an Envoy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Node id.
    pub id: String,
    /// Node cluster.
    pub cluster: String,
    /// Node metadata, an object.
    pub metadata: Value,
    /// The metadata of the upstream's cluster.
    pub cluster_metadata: Metadata,
    /// The metadata of the upstream's host.
    pub host_metadata: Metadata,
}

impl Node {
    /// The node that a test asks for.
    pub fn of(setup: &Setup) -> Self {
        let (id, cluster) = (setup.node_id.clone(), setup.node_cluster.clone());
        let (cluster_metadata, host_metadata) = (setup.cluster_metadata.clone(), setup.host_metadata.clone());
        Self { id, cluster, metadata: setup.node_metadata.clone(), cluster_metadata, host_metadata }
    }
}

/// Names of files in Envoy's folder.
pub(super) const BOOTSTRAP: &str = "bootstrap.json";
pub(super) const ACCESS_LOG: &str = "access.log";
const LISTENERS: &str = "listeners.json";
const CLUSTERS: &str = "clusters.json";
/// The name of the cluster behind the proxy.
pub(super) const CLUSTER: &str = "upstream";

/// Writes the bootstrap.
pub(super) fn write(folder: &Path, node: &Node) -> Result<(), Error> {
    let bootstrap = json!({
        "node": {"id": node.id, "cluster": node.cluster, "metadata": node.metadata},
        "admin": {"address": address("127.0.0.1:0".parse().map_err(super::during("address"))?)},
        "stats_flush_on_admin": true,
        "dynamic_resources": {"lds_config": watched(folder, LISTENERS), "cds_config": watched(folder, CLUSTERS)},
        "static_resources": {"clusters": [upstream_cluster(folder, node), tcp_cluster(folder, node)], "listeners": [barrier()]},
    });
    Ok(std::fs::write(folder.join(BOOTSTRAP), bootstrap.to_string())?)
}

fn watched(folder: &Path, name: &str) -> Value {
    json!({"path_config_source": {"path": folder.join(name)}, "resource_api_version": "V3"})
}

/// Replaces the listeners.
pub(super) fn write_listeners(folder: &Path, listeners: &[Value]) -> Result<(), Error> {
    replace(folder, LISTENERS, listeners)
}

/// Replaces the clusters that a plugin can call; one without an address has no host.
pub(super) fn write_clusters(
    folder: &Path,
    addresses: &BTreeMap<String, Option<SocketAddr>>,
) -> Result<(), Error> {
    let cluster = |(name, address): (&String, &Option<SocketAddr>)| {
        any("envoy.config.cluster.v3", "Cluster", cluster(name, *address))
    };
    replace(folder, CLUSTERS, &addresses.iter().map(cluster).collect::<Vec<_>>())
}

/// Envoy sees the file that is moved into place.
fn replace(folder: &Path, name: &str, resources: &[Value]) -> Result<(), Error> {
    let new = folder.join(format!("{name}.new"));
    std::fs::write(&new, json!({"resources": resources}).to_string())?;
    Ok(std::fs::rename(new, folder.join(name))?)
}

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

pub(super) fn any(package: &str, message: &str, mut fields: Value) -> Value {
    fields["@type"] = json!(format!("type.googleapis.com/{package}.{message}"));
    fields
}

fn bytes(bytes: &[u8]) -> Value {
    any("google.protobuf", "BytesValue", json!({"value": STANDARD.encode(bytes)}))
}

/// A cluster that a plugin can call. A fresh connection for each request keeps apart what a scripted server does to them.
fn cluster(name: &str, server: Option<SocketAddr>) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": assignment(name, server),
        "typed_extension_protocol_options": protocol(&json!({
            "max_headers_count": 2000, "max_requests_per_connection": 1,
        })),
    })
}

fn upstream_cluster(folder: &Path, node: &Node) -> Value {
    let mut cluster = moving_cluster(folder, CLUSTER, node);
    cluster["typed_extension_protocol_options"] = protocol(&json!({"max_headers_count": 2000}));
    cluster
}

fn tcp_cluster(folder: &Path, node: &Node) -> Value {
    moving_cluster(folder, super::tcp::CLUSTER, node)
}

/// A cluster whose host [`write_host`] names.
fn moving_cluster(folder: &Path, name: &str, node: &Node) -> Value {
    json!({
        "name": name,
        "type": "EDS",
        "metadata": {"filter_metadata": node.cluster_metadata},
        "connect_timeout": "5s",
        "eds_cluster_config": {"eds_config": watched(folder, &host_file(name))},
    })
}

fn host_file(cluster: &str) -> String {
    format!("{cluster}.json")
}

/// Names the host of a cluster of the proxy's own, if it has one.
pub(super) fn write_host(
    folder: &Path,
    cluster: &str,
    host: Option<SocketAddr>,
    metadata: &Metadata,
) -> Result<(), Error> {
    let mut assignment = any("envoy.config.endpoint.v3", "ClusterLoadAssignment", assignment(cluster, host));
    if host.is_some() && !metadata.is_empty() {
        assignment["endpoints"][0]["lb_endpoints"][0]["metadata"] = json!({"filter_metadata": metadata});
    }
    replace(folder, &host_file(cluster), &[assignment])
}

fn assignment(cluster: &str, host: Option<SocketAddr>) -> Value {
    let endpoints: Vec<_> =
        host.map(|host| json!({"endpoint": {"address": address(host)}})).into_iter().collect();
    json!({"cluster_name": cluster, "endpoints": [{"lb_endpoints": endpoints}]})
}

fn protocol(common: &Value) -> Value {
    let kind = "envoy.extensions.upstreams.http.v3";
    let options = json!({
        "common_http_protocol_options": common,
        "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
    });
    json!({format!("{kind}.HttpProtocolOptions"): any(kind, "HttpProtocolOptions", options)})
}

/// A listener on the same worker that answers by itself.
fn barrier() -> Value {
    let route = json!({"match": {"prefix": ""}, "direct_response": {"status": 200}});
    let manager = connection_manager(route, vec![], json!([]));
    listener_of("barrier", manager)
}

/// The listener that puts plugins, at least one, before the upstream.
pub(super) fn listener(
    folder: &Path,
    vm_id: &str,
    plugins: &[(PathBuf, &Setup)],
    filter_state: &[&str],
) -> Value {
    // An empty prefix takes every path, also one that does not start with a slash.
    let first = plugins[0].1;
    let (name, routed) = (&first.route_name, &first.route_metadata);
    let route = json!({
        "name": name,
        "match": {"prefix": ""},
        "route": {"cluster": "upstream", "timeout": "0s"},
        "metadata": {"filter_metadata": routed},
    });
    let filter = |(module, setup): &(PathBuf, &Setup)| {
        let config = json!({"config": plugin(vm_id, module, setup)});
        let filter = any("envoy.extensions.filters.http.wasm.v3", "Wasm", config);
        json!({"name": setup.name, "typed_config": filter})
    };
    let before =
        metadata_filter(&first.dynamic_metadata).into_iter().chain(state_filter(&first.filter_state));
    let filters = before.chain(plugins.iter().map(filter)).collect();
    let log = access_log(folder, vm_id, filter_state, first);
    let manager = connection_manager(route, filters, log);
    discovered(listener_of(vm_id, manager), first)
}

/// A filter that says something in the metadata of each request, for later ones to read.
fn metadata_filter(metadata: &Metadata) -> Option<Value> {
    let said = metadata.iter().map(|(name, value)| json!({"metadata_namespace": name, "value": value}));
    let config = json!({"metadata": said.collect::<Vec<_>>()});
    let filter = any("envoy.extensions.filters.http.set_metadata.v3", "Config", config);
    (!metadata.is_empty()).then(|| json!({"name": "set_metadata", "typed_config": filter}))
}

/// A filter that notes something in the filter state of each request.
fn state_filter(noted: &BTreeMap<String, String>) -> Option<Value> {
    let objects = noted.iter().map(|(name, text)| {
        let text = json!({"text_format_source": {"inline_string": text.replace('%', "%%")}});
        json!({"object_key": name, "factory_key": "envoy.string", "format_string": text})
    });
    let config = json!({"on_request_headers": objects.collect::<Vec<_>>()});
    let filter = any("envoy.extensions.filters.http.set_filter_state.v3", "Config", config);
    (!noted.is_empty()).then(|| json!({"name": "set_filter_state", "typed_config": filter}))
}

/// A listener that is brought by the discovery, with what concerns all of it in the settings of its first plugin.
pub(super) fn discovered(listener: Value, setup: &Setup) -> Value {
    let mut listener = any("envoy.config.listener.v3", "Listener", listener);
    listener["per_connection_buffer_limit_bytes"] = json!(setup.buffer_limit);
    listener["traffic_direction"] = json!(match setup.direction {
        Direction::Unspecified => "UNSPECIFIED",
        Direction::Inbound => "INBOUND",
        Direction::Outbound => "OUTBOUND",
    });
    listener
}

fn listener_of(name: &str, manager: Value) -> Value {
    listener_with(name, &json!([{"name": "http", "typed_config": manager}]))
}

pub(super) fn listener_with(name: &str, filters: &Value) -> Value {
    json!({
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": filters}],
    })
}

fn connection_manager(route: Value, mut filters: Vec<Value>, access_log: Value) -> Value {
    let router = any("envoy.extensions.filters.http.router.v3", "Router", json!({}));
    filters.push(json!({"name": "envoy.filters.http.router", "typed_config": router}));
    any(
        "envoy.extensions.filters.network.http_connection_manager.v3",
        "HttpConnectionManager",
        json!({
            "stat_prefix": "cases",
            "max_request_headers_kb": 96,
            "common_http_protocol_options": {"max_headers_count": 2000},
            "http_protocol_options": {"enable_trailers": true},
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
            "http_filters": filters,
            "access_log": access_log,
        }),
    )
}

pub(super) fn plugin(vm_id: &str, module: &Path, setup: &Setup) -> Value {
    // Measured on 1.40: with `failure_policy: FAIL_OPEN` the request that fails the VM is still answered 503; only the
    // older `fail_open` lets it through too, which is what the word promises.
    let (policy, value) = match setup.failure_policy {
        _ if setup.fail_open => ("fail_open", json!(true)),
        FailurePolicy::Closed => ("failure_policy", json!("FAIL_CLOSED")),
        FailurePolicy::Open => ("failure_policy", json!("FAIL_OPEN")),
        FailurePolicy::Reload => ("failure_policy", json!("FAIL_RELOAD")),
    };
    let allowed = setup.allowed_capabilities.iter().flatten();
    let allowed: Map<_, _> = allowed.map(|name| (name.clone(), json!({}))).collect();
    json!({
        "capability_restriction_config": {"allowed_capabilities": allowed},
        "name": setup.name,
        "root_id": setup.root_id,
        policy: value,
        "allow_on_headers_stop_iteration": setup.allow_on_headers_stop_iteration,
        "configuration": bytes(&setup.configuration),
        "vm_config": {
            "vm_id": vm_id,
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": module}},
            "configuration": bytes(&setup.vm_configuration),
            "environment_variables": {"key_values": setup.environment},
        },
    })
}

/// One line of JSON for each stream; [`super::access`] reads it.
pub(super) fn access_log(folder: &Path, vm_id: &str, filter_state: &[&str], setup: &Setup) -> Value {
    let state: Map<_, _> = filter_state
        .iter()
        .map(|name| (name.to_string(), format!("%FILTER_STATE({name}:TYPED)%").into()))
        .collect();
    let mut fields =
        json!({"vm_id": vm_id, "details": "%RESPONSE_CODE_DETAILS%", "cluster": "%UPSTREAM_CLUSTER%"});
    if !state.is_empty() {
        fields["filter_state"] = state.into();
    }
    let shown: Map<_, _> =
        setup.expressions.iter().map(|source| (source.clone(), format!("%CEL({source})%").into())).collect();
    if !shown.is_empty() {
        fields["expressions"] = shown.into();
    }
    let cel = any("envoy.extensions.formatter.cel.v3", "Cel", json!({}));
    let formatters = json!([{"name": "envoy.formatter.cel", "typed_config": cel}]);
    let format = json!({"json_format": fields, "formatters": formatters});
    let log = json!({"path": folder.join(ACCESS_LOG), "log_format": format});
    let kind = any("envoy.extensions.access_loggers.file.v3", "FileAccessLog", log);
    json!([{"name": "file", "typed_config": kind}])
}
