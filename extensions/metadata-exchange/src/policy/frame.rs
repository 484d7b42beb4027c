//! What a TCP connection of the mesh begins with, in each direction: who sends it.
//!
//! A magic number, a length, both big-endian, and a `google.protobuf.Any` with a Struct in it that holds metadata and id.

use super::local::Local;
use super::{ID, METADATA};
use proxy_wasm_kit_mesh::message::{MAX_BYTES, Struct, Value};
use proxy_wasm_kit_mesh::wire::{self, Field};
use proxy_wasm_kit_mesh::{Malformed, Peer};

const MAGIC: [u8; 4] = 0x3D23_0467_u32.to_be_bytes();
const TYPE: &str = "type.googleapis.com/google.protobuf.Struct";

/// Magic number and length.
const HEAD: usize = 8;

/// The longest frame that is waited for: the longest message, and what is around it.
pub const LONGEST: usize = MAX_BYTES.saturating_add(TYPE.len()).saturating_add(32);

/// What the first bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// What more bytes may make a frame.
    Part,
    /// No frame: the other end does not exchange metadata.
    Other,
    /// A frame that cannot be believed.
    Broken(Malformed),
    /// A frame of so many bytes.
    Frame {
        /// Who sent it.
        peer: Box<Peer>,
        /// The id of its proxy.
        id: Option<String>,
        /// The bytes of the frame; what follows belongs to the application.
        length: usize,
    },
}

/// The frame that tells who we are.
pub fn write(local: &Local) -> Vec<u8> {
    let mut content = Struct::default();
    content.push(METADATA, Value::Struct(local.message.clone()));
    content.push_text(ID, &local.id);
    let mut any = Vec::new();
    wire::put(&mut any, 1, TYPE.as_bytes());
    wire::put(&mut any, 2, &content.encode());
    let length = u32::try_from(any.len()).unwrap_or(u32::MAX);
    [&MAGIC[..], &length.to_be_bytes(), &any].concat()
}

/// Looks at the first bytes of a connection.
pub fn read(bytes: &[u8]) -> Start {
    let Some((magic, rest)) = bytes.split_first_chunk() else {
        return if MAGIC.starts_with(bytes) { Start::Part } else { Start::Other };
    };
    if *magic != MAGIC {
        return Start::Other;
    }
    let Some((length, rest)) = rest.split_first_chunk() else { return Start::Part };
    match usize::try_from(u32::from_be_bytes(*length)) {
        Ok(length) if length <= LONGEST => content(rest, length),
        _ => Start::Broken(Malformed::TooLarge),
    }
}

fn content(rest: &[u8], length: usize) -> Start {
    let Some(any) = rest.get(..length) else { return Start::Part };
    match decode(any) {
        Ok((peer, id)) => Start::Frame { peer: Box::new(peer), id, length: length.saturating_add(HEAD) },
        Err(why) => Start::Broken(why),
    }
}

fn decode(mut any: &[u8]) -> Result<(Peer, Option<String>), Malformed> {
    let (mut kind, mut content) = (None, None);
    while let Some(field) = wire::take(&mut any)? {
        match field {
            (1, Field::Bytes(text)) if kind.is_none() => kind = Some(text),
            (2, Field::Bytes(message)) if content.is_none() => content = Some(message),
            _ => return Err(Malformed::Form),
        }
    }
    if kind != Some(TYPE.as_bytes()) {
        return Err(Malformed::Form);
    }
    let content = Struct::decode(content.unwrap_or_default())?;
    let metadata = content.get(METADATA).and_then(Value::as_struct).ok_or(Malformed::Form)?;
    let id = content.text(ID).filter(|id| super::is_id(id.as_bytes()));
    Ok((Peer::from_struct(metadata)?, id.map(str::to_owned)))
}
