//! Who is on the other side: what metadata_exchange has written into filter state, read once for each content.

use crate::policy::{LONGEST_VALUE, Workload};
use proxy_wasm_kit::attributes::node;
use proxy_wasm_kit::{Bytes, property};
use proxy_wasm_kit_mesh::Peer;
use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::rc::Rc;

/// How many peers are kept.
const KEPT: NonZeroUsize = NonZeroUsize::new(500).unwrap();

/// The bytes of a peer that is read at all.
const LARGEST: usize = 65536;

/// The labels of Istio's canonical services.
const CANONICAL_NAME: &str = "service.istio.io/canonical-name";
const CANONICAL_REVISION: &str = "service.istio.io/canonical-revision";

/// What metadata_exchange says where the other side takes no part in it.
const UNKNOWN_PEER: &str = "envoy.wasm.metadata_exchange.peer_unknown";

/// Whose filter state it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Downstream,
    Upstream,
}

/// Peers by a hash of what they were read from, whose key nobody knows. What cannot be read is nobody.
pub(crate) struct PeerCache {
    known: RefCell<Known>,
    hasher: RandomState,
}

type Known = lru::LruCache<u64, Option<Rc<Workload>>>;

impl PeerCache {
    pub(crate) fn new() -> Self {
        Self { known: RefCell::new(lru::LruCache::new(KEPT)), hasher: RandomState::new() }
    }

    /// What filter state says of an end of the stream. One host call.
    pub(crate) fn peer(&self, end: End) -> Option<Rc<Workload>> {
        let key = if end == End::Downstream { "downstream_peer" } else { "upstream_peer" };
        let bytes: Bytes = property(&[key]).ok().flatten()?;
        self.known(&bytes, || read(&bytes))
    }

    /// What an endpoint says of itself.
    pub(crate) fn endpoint(&self, text: &[u8]) -> Option<Rc<Workload>> {
        if text.is_empty() { None } else { self.known(text, || Workload::of_endpoint(text).map(cut)) }
    }

    fn known(&self, bytes: &[u8], read: impl FnOnce() -> Option<Workload>) -> Option<Rc<Workload>> {
        let key = self.hasher.hash_one(bytes);
        let mut known = self.known.borrow_mut();
        known.get_or_insert(key, || read().map(Rc::new)).clone()
    }
}

/// Whether nothing more will be said of an end of a connection.
pub(crate) fn takes_no_part(end: End) -> bool {
    let key = if end == End::Downstream { "downstream_peer_id" } else { "upstream_peer_id" };
    property(&[key]).ok().flatten().is_some_and(|id| id == *UNKNOWN_PEER)
}

/// The workload beside the proxy, by the metadata of its node.
pub(crate) fn own() -> Workload {
    let text = |value: Option<Bytes>| value.map(|text| String::from_utf8_lossy(&text).into_owned());
    let metadata = |key| text(node().metadata(key).ok().flatten()).unwrap_or_default();
    let label = |key| text(node().metadata_in("LABELS", key).ok().flatten()).unwrap_or_default();
    cut(Workload {
        name: metadata("WORKLOAD_NAME"),
        namespace: metadata("NAMESPACE"),
        app: label("app"),
        version: label("version"),
        canonical_service: label(CANONICAL_NAME),
        canonical_revision: label(CANONICAL_REVISION),
        cluster: metadata("CLUSTER_ID"),
        identity: String::new(),
        has_labels: true,
    })
}

/// What is too long is not even looked at.
fn read(bytes: &[u8]) -> Option<Workload> {
    if bytes.len() > LARGEST {
        return None;
    }
    Peer::from_flat(bytes).ok().map(|peer| of_peer(&peer))
}

fn of_peer(peer: &Peer) -> Workload {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let label = |name| peer.label(name).unwrap_or_default().to_owned();
    cut(Workload {
        name: text(&peer.workload_name),
        namespace: text(&peer.namespace),
        app: label("app"),
        version: label("version"),
        canonical_service: label(CANONICAL_NAME),
        canonical_revision: label(CANONICAL_REVISION),
        cluster: text(&peer.cluster_id),
        identity: text(&peer.identity),
        has_labels: !peer.labels.is_empty(),
    })
}

/// Each as far as a label can hold it.
fn cut(mut workload: Workload) -> Workload {
    for text in workload.parts_mut() {
        if text.len() > LONGEST_VALUE {
            *text = text.chars().take(LONGEST_VALUE).collect();
        }
    }
    workload
}

#[cfg(test)]
mod tests {
    //! What is read of a peer.

    use super::*;

    #[test]
    fn a_peer_is_read_up_to_its_largest_size() {
        let of = |length| {
            let peer = Peer { workload_name: Some("w".repeat(length)), ..Peer::default() };
            read(&peer.to_flat()).map(|workload| (workload.name.len(), workload.has_labels))
        };
        assert_eq!(of(LARGEST / 2), Some((LONGEST_VALUE, false)));
        assert_eq!(of(LARGEST), None);
    }
}
