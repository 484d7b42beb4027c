//! A workload of the mesh, as the proxy beside it describes it.

mod flat;

use crate::Malformed;
use crate::message::{Struct, Value};
use std::collections::BTreeMap;

/// The most labels, containers and so on that a peer can have. A short text in a list takes twelve times its bytes in a
/// FlatBuffer, and as much in a map of labels.
pub const MAX_ITEMS: usize = 256;

/// A workload and the proxy beside it. What is `None` was not said; an empty text was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its name: in Kubernetes that of the pod.
    pub name: Option<String>,
    /// The namespace that it runs in.
    pub namespace: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What created it, as a path.
    pub owner: Option<String>,
    /// What it is an instance of: in Kubernetes the name of the deployment or the like.
    pub workload_name: Option<String>,
    /// What the platform says of it, for example `gcp_location`.
    pub platform_metadata: BTreeMap<String, String>,
    /// The version of its proxy.
    pub istio_version: Option<String>,
    /// The mesh that it belongs to.
    pub mesh_id: Option<String>,
    /// The containers beside the proxy.
    pub app_containers: Vec<String>,
    /// The Kubernetes cluster that it runs in.
    pub cluster_id: Option<String>,
    /// Its addresses.
    pub instance_ips: Vec<String>,
    /// The SPIFFE identity that it claims. Proxies before Istio 1.25 do not say it.
    pub identity: Option<String>,
}

/// The names of the fields in metadata.
pub mod key {
    /// [`Peer::name`](super::Peer::name).
    pub const NAME: &str = "NAME";
    /// [`Peer::namespace`](super::Peer::namespace).
    pub const NAMESPACE: &str = "NAMESPACE";
    /// [`Peer::labels`](super::Peer::labels).
    pub const LABELS: &str = "LABELS";
    /// [`Peer::owner`](super::Peer::owner).
    pub const OWNER: &str = "OWNER";
    /// [`Peer::workload_name`](super::Peer::workload_name).
    pub const WORKLOAD_NAME: &str = "WORKLOAD_NAME";
    /// [`Peer::platform_metadata`](super::Peer::platform_metadata).
    pub const PLATFORM_METADATA: &str = "PLATFORM_METADATA";
    /// [`Peer::istio_version`](super::Peer::istio_version).
    pub const ISTIO_VERSION: &str = "ISTIO_VERSION";
    /// [`Peer::mesh_id`](super::Peer::mesh_id).
    pub const MESH_ID: &str = "MESH_ID";
    /// [`Peer::app_containers`](super::Peer::app_containers).
    pub const APP_CONTAINERS: &str = "APP_CONTAINERS";
    /// [`Peer::cluster_id`](super::Peer::cluster_id).
    pub const CLUSTER_ID: &str = "CLUSTER_ID";
    /// [`Peer::instance_ips`](super::Peer::instance_ips).
    pub const INSTANCE_IPS: &str = "INSTANCE_IPS";
    /// [`Peer::identity`](super::Peer::identity).
    pub const IDENTITY: &str = "IDENTITY";
}

impl Peer {
    /// The schema of [`to_flat`](Self::to_flat), in the binary form of FlatBuffers (`node_info.fbs`, by
    /// `flatc --binary --schema`).
    pub const FLAT_SCHEMA: &[u8] = include_bytes!("peer/node_info.bfbs");

    /// Reads the bytes of a `google.protobuf.Struct`.
    ///
    /// # Errors
    ///
    /// They are not one, or more or deeper than can be honest, a list or map has more than [`MAX_ITEMS`], or a text that is
    /// kept holds control characters.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::from_struct(&Struct::decode(bytes)?)
    }

    /// Takes what is known out of metadata. A value of another kind than it should have counts as absent.
    ///
    /// # Errors
    ///
    /// A list or map has more than [`MAX_ITEMS`], or a text holds control characters.
    pub fn from_struct(metadata: &Struct) -> Result<Self, Malformed> {
        let text = |key| metadata.text(key).map(clean).transpose();
        let list = |key| metadata.text(key).map_or(Ok(Vec::new()), split);
        let map = |key| metadata.get(key).and_then(Value::as_struct).map_or(Ok(BTreeMap::new()), texts);
        Ok(Self {
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
        })
    }

    /// The bytes of a `google.protobuf.Struct` as the Wasm plugin of Istio 1.17 sends them: the fields in the order of
    /// their names, and the maps and lists also when they are empty.
    pub fn encode(&self) -> Vec<u8> {
        self.to_struct().encode()
    }

    /// The metadata that [`encode`](Self::encode) writes.
    pub fn to_struct(&self) -> Struct {
        let text = |text: &Option<String>| text.clone().map(Value::Text);
        let list = |list: &Vec<String>| Some(Value::Text(list.join(",")));
        let map = |map: &BTreeMap<String, String>| {
            Some(Value::Struct(
                map.iter().map(|(key, text)| (key.clone(), Value::Text(text.clone()))).collect(),
            ))
        };
        let fields = [
            (key::APP_CONTAINERS, list(&self.app_containers)),
            (key::CLUSTER_ID, text(&self.cluster_id)),
            (key::IDENTITY, text(&self.identity)),
            (key::INSTANCE_IPS, list(&self.instance_ips)),
            (key::ISTIO_VERSION, text(&self.istio_version)),
            (key::LABELS, map(&self.labels)),
            (key::MESH_ID, text(&self.mesh_id)),
            (key::NAME, text(&self.name)),
            (key::NAMESPACE, text(&self.namespace)),
            (key::OWNER, text(&self.owner)),
            (key::PLATFORM_METADATA, map(&self.platform_metadata)),
            (key::WORKLOAD_NAME, text(&self.workload_name)),
        ];
        fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }

    /// The value that extensions and expressions read from filter state: a FlatBuffer of the table `FlatNode`.
    pub fn to_flat(&self) -> Vec<u8> {
        flat::write(self)
    }

    /// Reads what [`to_flat`](Self::to_flat), or the original plugin, has written.
    ///
    /// # Errors
    ///
    /// It is no such FlatBuffer, or points outside of itself.
    pub fn from_flat(bytes: &[u8]) -> Result<Self, Malformed> {
        flat::read(bytes)
    }

    /// A label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }
}

fn clean(text: &str) -> Result<String, Malformed> {
    if text.contains(|letter: char| letter.is_control()) { Err(Malformed::Text) } else { Ok(text.to_owned()) }
}

fn split(list: &str) -> Result<Vec<String>, Malformed> {
    few(list.split(',').count())?;
    if list.is_empty() { Ok(Vec::new()) } else { list.split(',').map(clean).collect() }
}

fn few(items: usize) -> Result<(), Malformed> {
    if items > MAX_ITEMS { Err(Malformed::TooLarge) } else { Ok(()) }
}

fn texts(map: &Struct) -> Result<BTreeMap<String, String>, Malformed> {
    few(map.iter().count())?;
    let texts = map.iter().filter_map(|(key, value)| Some((key, value.as_text()?)));
    texts.map(|(key, text)| Ok((clean(key)?, clean(text)?))).collect()
}

#[cfg(test)]
mod published;
#[cfg(test)]
mod tests;
