//! What is told of the own workload, made once.

use super::peers::{self, Peers};
use super::{LONGEST_ID, baggage, is_id, plan};
use crate::config::{Config, Metadata};
use proxy_wasm_kit_mesh::message::{Struct, Value};
use proxy_wasm_kit_mesh::{Peer, peer::key};

/// The own proxy, as its bootstrap names it.
#[derive(Debug, Default)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// The workload beside it.
    pub peer: Peer,
    /// The region that it runs in.
    pub region: String,
    /// The zone that it runs in.
    pub zone: String,
}

/// What is told, ready to be sent.
#[derive(Debug, Default, PartialEq)]
pub struct Local {
    /// The value of `x-envoy-peer-metadata-id`.
    pub id: String,
    /// The value of `x-envoy-peer-metadata`.
    pub metadata: String,
    /// Members of `baggage`.
    pub baggage: String,
    /// The same as a message, for what a TCP connection begins with.
    pub message: Struct,
}

/// Labels that are told of every workload.
const LABELS: [&str; 4] =
    ["app", "service.istio.io/canonical-name", "service.istio.io/canonical-revision", "version"];

impl Local {
    /// What the configuration wants to be told.
    pub fn new(config: &Config, node: &Node) -> Self {
        let usual = if plan::has_lists(config) { Metadata::Reduced } else { Metadata::Full };
        match config.metadata.unwrap_or(usual) {
            Metadata::Full => Self::full(node),
            Metadata::Reduced => Self::reduced(node, &config.additional_labels),
        }
    }

    /// With all metadata, as the original told it.
    pub fn full(node: &Node) -> Self {
        Self::telling(node, node.peer.to_struct())
    }

    /// With the metadata that Istio's native filter tells, and these labels.
    pub fn reduced(node: &Node, additional_labels: &[String]) -> Self {
        Self::telling(node, reduced(node, additional_labels))
    }

    /// Why peers with this plugin do not believe it, if they do not: each of them refuses it in silence.
    pub fn complaint(&self) -> Option<String> {
        if !self.id.is_empty() && !is_id(self.id.as_bytes()) {
            let found = self.id.len();
            return Some(format!(
                "peers do not believe the id of this proxy's node ({found} bytes): at most {LONGEST_ID} bytes without control \
                 characters can be one"
            ));
        }
        let why = Peers::new(0).by_header(self.metadata.as_bytes()).err()?;
        let remedy = "write \"metadata\": \"reduced\", which tells less, or mend the metadata of the node";
        Some(format!(
            "peers do not believe the metadata of this proxy ({} bytes): {why}; {remedy}",
            self.metadata.len()
        ))
    }

    fn telling(node: &Node, message: Struct) -> Self {
        let metadata = peers::encode(&message.encode());
        let baggage = baggage::write(&node.peer, &node.region, &node.zone);
        Self { id: node.id.clone(), metadata, baggage, message }
    }
}

/// Empty texts are not told; the fields come in the order of their names.
fn reduced(node: &Node, additional_labels: &[String]) -> Struct {
    let peer = &node.peer;
    let owner = baggage::kind(peer).zip(peer.namespace.as_deref()).zip(peer.workload_name.as_deref());
    let owner = owner.map(|((kind, namespace), name)| baggage::owner(namespace, kind, name));
    let text =
        |text: Option<&str>| text.filter(|text| !text.is_empty()).map(|text| Value::Text(text.to_owned()));
    let fields = [
        ("AVAILABILITY_ZONE", text(Some(&node.zone))),
        (key::CLUSTER_ID, text(peer.cluster_id.as_deref())),
        (key::IDENTITY, text(peer.identity.as_deref())),
        (key::LABELS, Some(Value::Struct(labels(peer, additional_labels)))),
        (key::NAME, text(peer.name.as_deref())),
        (key::NAMESPACE, text(peer.namespace.as_deref())),
        (key::OWNER, text(owner.as_deref())),
        ("REGION", text(Some(&node.region))),
        (key::WORKLOAD_NAME, text(peer.workload_name.as_deref())),
    ];
    fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

fn labels(peer: &Peer, additional: &[String]) -> Struct {
    let told = |name: &str| LABELS.contains(&name) || additional.iter().any(|label| label == name);
    let labels = peer.labels.iter().filter(|(name, value)| told(name) && !value.is_empty());
    labels.map(|(name, value)| (name.clone(), Value::Text(value.clone()))).collect()
}
