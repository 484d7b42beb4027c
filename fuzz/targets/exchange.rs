//! The headers by which peers of a mesh tell who they are: what one says of another's members, of its own, and what is left
//! when it is taken away.
//!
//! An input is headers, `name: value` a line.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use metadata_exchange::policy::peers::Peers;
use metadata_exchange::policy::{Said, baggage};
use proxy_wasm_kit_mesh::Peer;
use std::cell::RefCell;

thread_local! {
    /// Remembers few, so that some are forgotten.
    static PEERS: RefCell<Peers> = RefCell::new(Peers::new(3));
}

const OWN: &str = "k8s.deployment.name=mine,service.name=own";

fuzz_target!(|input: &[u8]| {
    let headers: Vec<(&[u8], &[u8])> = input.split(|byte| *byte == b'\n').filter_map(header).collect();
    let said = Said::in_headers(headers.iter().copied());
    if let Some(id) = said.id() {
        assert!(std::str::from_utf8(id).is_ok_and(|id| !id.chars().any(|letter| letter.is_ascii_control())));
        assert_eq!(headers.iter().filter(|(name, _)| *name == b"x-envoy-peer-metadata-id").count(), 1);
    }
    if let Some(metadata) = said.metadata() {
        check_metadata(metadata);
    }
    if let Some(text) = &said.baggage {
        check_baggage(text);
    }
});

fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.windows(2).position(|pair| pair == b": ")?;
    Some((&line[..colon], &line[colon + 2..]))
}

/// What is remembered is what the message says.
fn check_metadata(metadata: &[u8]) {
    let remembered = PEERS.with_borrow_mut(|peers| peers.by_header(metadata));
    let Ok(flat) = remembered else { return };
    let peer = Peer::from_flat(&flat).expect("what is written can be read");
    let text: Vec<u8> = metadata.iter().copied().filter(|byte| *byte != b'=').collect();
    let padding = "=".repeat((4 - text.len() % 4) % 4);
    let bytes = STANDARD.decode([&text, padding.as_bytes()].concat()).expect("it was decoded before");
    assert_eq!(Peer::decode(&bytes), Ok(peer));
}

fn check_baggage(text: &[u8]) {
    let known = PEERS.with_borrow_mut(|peers| peers.by_baggage(text));
    let workloads = baggage::workloads(text);
    assert_eq!(known.is_err(), workloads.len() > baggage::LONGEST);
    if let Ok(known) = known {
        let peer = known.map(|flat| Peer::from_flat(&flat).expect("what is written can be read"));
        assert_eq!(peer, baggage::read(&workloads));
    }
    // Nothing of a workload is left, and of the rest all.
    let left = baggage::stripped(text).unwrap_or_else(|| text.to_vec());
    assert_eq!((baggage::workloads(&left), baggage::stripped(&left)), (Vec::new(), None));
    let rest: Vec<&[u8]> = members(text).filter(|member| baggage::workloads(member).is_empty()).collect();
    assert!(members(&left).eq(rest.iter().copied()), "{}", left.escape_ascii());
    let merged = baggage::merged(Some(text), OWN);
    assert_eq!(baggage::workloads(&merged), OWN.as_bytes());
    assert!(members(&merged).skip(members(OWN.as_bytes()).count()).eq(rest));
}

fn members(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}
