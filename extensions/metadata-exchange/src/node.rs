//! The own node, read once: what the proxy's bootstrap says of itself.

use crate::policy::local::Node;
use proxy_wasm_kit::attributes;
use proxy_wasm_kit::{HostError, property};
use proxy_wasm_kit_mesh::{Peer, peer::key};
use std::collections::BTreeMap;

/// Reads it. What is missing, or is not what it should be, is not told to anybody.
pub(crate) fn read() -> Result<Node, HostError> {
    let list = |key| Ok::<_, HostError>(text(key)?.map(|text| split(&text)).unwrap_or_default());
    let peer = Peer {
        name: text(key::NAME)?,
        namespace: text(key::NAMESPACE)?,
        labels: map(key::LABELS)?,
        owner: text(key::OWNER)?,
        workload_name: text(key::WORKLOAD_NAME)?,
        platform_metadata: map(key::PLATFORM_METADATA)?,
        istio_version: text(key::ISTIO_VERSION)?,
        mesh_id: text(key::MESH_ID)?,
        app_containers: list(key::APP_CONTAINERS)?,
        cluster_id: text(key::CLUSTER_ID)?,
        instance_ips: list(key::INSTANCE_IPS)?,
        identity: text(key::IDENTITY)?,
    };
    let id = attributes::node().id()?.and_then(|id| of(&id)).unwrap_or_default();
    Ok(Node { id, peer, region: locality("region")?, zone: locality("zone")? })
}

fn text(key: &str) -> Result<Option<String>, HostError> {
    Ok(attributes::node().metadata(key)?.and_then(|text| of(&text)))
}

fn of(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

fn split(list: &str) -> Vec<String> {
    if list.is_empty() { Vec::new() } else { list.split(',').map(str::to_owned).collect() }
}

fn map(key: &str) -> Result<BTreeMap<String, String>, HostError> {
    let pairs = attributes::node().values().map(key).ok().flatten();
    let pairs = pairs.iter().flat_map(|pairs| pairs.iter());
    Ok(pairs.filter_map(|(key, value)| Some((of(key)?, of(value)?))).collect())
}

fn locality(part: &str) -> Result<String, HostError> {
    Ok(property(&["xds", "node", "locality", part])?.and_then(|text| of(&text)).unwrap_or_default())
}
