//! What peers of a mesh say of themselves as bytes: the message, the FlatBuffer that consumers read, and the frame that a TCP
//! connection begins with. What is written of something that was read is read alike, always in the same bytes.
//!
//! An input is the bytes of any of these.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metadata_exchange::policy::frame::{self, Start};
use metadata_exchange::policy::local::{Local, Node};
use proxy_wasm_kit_mesh::Peer;
use proxy_wasm_kit_mesh::message::Struct;

fuzz_target!(|input: &[u8]| {
    if let Ok(message) = Struct::decode(input) {
        check_message(&message);
    }
    if let Ok(peer) = Peer::decode(input) {
        check_peer(&peer);
    }
    if let Ok(peer) = Peer::from_flat(input) {
        let flat = peer.to_flat();
        let again = Peer::from_flat(&flat).expect("what is written can be read");
        assert_eq!((&again, again.to_flat()), (&peer, flat));
    }
    check_frame(input);
});

/// NaN is not equal to itself, so bytes are compared.
fn check_message(message: &Struct) {
    let bytes = message.encode();
    if let Ok(again) = Struct::decode(&bytes) {
        assert_eq!(again.encode(), bytes);
    } else {
        // A message can be written shorter than it is written here, by as much as its parts.
        assert!(bytes.len() > proxy_wasm_kit_mesh::message::MAX_BYTES, "{message:?}");
    }
}

fn check_peer(peer: &Peer) {
    let flat = peer.to_flat();
    assert_eq!(Peer::from_flat(&flat).as_ref(), Ok(peer));
    assert_eq!(flat, peer.to_flat());
    let bytes = peer.encode();
    if bytes.len() <= proxy_wasm_kit_mesh::message::MAX_BYTES {
        assert_eq!(Peer::decode(&bytes).as_ref(), Ok(peer));
    }
    let node = Node { id: "sidecar~10.0.0.1~a.b~b.svc".into(), peer: peer.clone(), ..Node::default() };
    let written = frame::write(&Local::full(&node));
    if let Start::Frame { length, sender: Ok(sender) } = frame::read(&written) {
        assert_eq!((sender.id.as_deref(), length), (Some(&*node.id), written.len()));
        assert_eq!(sender.peer.as_deref(), Some(peer));
    } else {
        assert!(bytes.len() > proxy_wasm_kit_mesh::message::MAX_BYTES - 128, "{peer:?}");
    }
}

/// Bytes may come one by one: a frame is told as soon as it is whole, and nothing that follows changes what it is.
fn check_frame(bytes: &[u8]) {
    let whole = frame::read(bytes);
    for end in 0..bytes.len() {
        let part = frame::read(&bytes[..end]);
        assert!(part == Start::Part || part == whole, "{part:?}, {whole:?}");
        match &whole {
            Start::Frame { length, .. } => assert_eq!(part == Start::Part, end < *length),
            Start::Part => assert_eq!(part, Start::Part),
            Start::Other | Start::Broken(_) => {}
        }
    }
    if let Start::Frame { length, .. } = whole {
        assert!(length <= bytes.len() && length <= frame::LONGEST + 8);
    }
}
