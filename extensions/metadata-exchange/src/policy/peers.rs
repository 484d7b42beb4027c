//! What is known of peers: each is read once, and found again by all that it said.

use super::baggage;
use super::lru::Lru;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use proxy_wasm_kit_mesh::message::MAX_BYTES;
use proxy_wasm_kit_mesh::{Malformed, Peer};
use std::fmt;
use std::rc::Rc;

/// As the proxies of Istio: they send padding and do without it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The longest header that is looked at: base64 of the longest message.
const LONGEST_HEADER: usize = MAX_BYTES.div_ceil(3).saturating_mul(4);

/// Peers that were met, in the form in which filter state holds them.
#[derive(Debug)]
pub struct Peers(Lru);

/// What of a message a peer is known by: the same bytes mean something else in another header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `x-envoy-peer-metadata`.
    Header,
    /// Workloads in `baggage`.
    Baggage,
}

/// Why what a peer says of itself is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not base64.
    Base64,
    /// It is not a message of metadata.
    Message(Malformed),
    /// Baggage that says more of workloads than there is to say.
    Baggage,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base64 => f.write_str("x-envoy-peer-metadata is not base64"),
            Self::Message(why) => write!(f, "x-envoy-peer-metadata: {why}"),
            Self::Baggage => f.write_str("baggage says too much of workloads"),
        }
    }
}

impl Peers {
    /// Remembers up to `most` peers.
    pub fn new(most: usize) -> Self {
        Self(Lru::new(most))
    }

    /// The peer that sent this as `x-envoy-peer-metadata`.
    ///
    /// # Errors
    ///
    /// It is not metadata. What is refused is not remembered, so that it displaces nobody.
    pub fn by_header(&mut self, header: &[u8]) -> Result<Rc<[u8]>, Refusal> {
        if let Some(known) = self.0.get(Kind::Header, header) {
            return Ok(known);
        }
        let peer: Rc<[u8]> = decode(header)?.to_flat().into();
        self.0.insert(Kind::Header, header, peer.clone());
        Ok(peer)
    }

    /// The peer that sent this as `baggage`; `None` when it says nothing of a workload. It is known by what it says of
    /// that: other members may differ from request to request.
    ///
    /// # Errors
    ///
    /// It says too much.
    pub fn by_baggage(&mut self, text: &[u8]) -> Result<Option<Rc<[u8]>>, Refusal> {
        let members = baggage::workloads(text);
        if members.len() > baggage::LONGEST {
            return Err(Refusal::Baggage);
        }
        if let Some(known) = self.0.get(Kind::Baggage, &members) {
            return Ok(Some(known));
        }
        let Some(peer) = baggage::read(&members) else { return Ok(None) };
        let peer: Rc<[u8]> = peer.to_flat().into();
        self.0.insert(Kind::Baggage, &members, peer.clone());
        Ok(Some(peer))
    }
}

fn decode(header: &[u8]) -> Result<Peer, Refusal> {
    if header.len() > LONGEST_HEADER {
        return Err(Refusal::Message(Malformed::TooLarge));
    }
    let bytes = BASE64.decode(header).map_err(|_| Refusal::Base64)?;
    Peer::decode(&bytes).map_err(Refusal::Message)
}

/// Bytes as a header.
pub fn encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}
