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

/// So many bytes tell what a connection begins with.
pub const REACH: usize = LONGEST.saturating_add(HEAD);

/// What the first bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// What more bytes may make a frame.
    Part,
    /// No frame: the other end does not exchange metadata.
    Other,
    /// The number, and behind it what is no frame.
    Broken(Malformed),
    /// A frame of so many bytes; what follows belongs to the application.
    Frame {
        /// The bytes of the frame.
        length: usize,
        /// What it says, if it can be believed.
        sender: Result<Sender, Malformed>,
    },
}

/// Who sent a frame. As with the native filter, either may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The workload.
    pub peer: Option<Box<Peer>>,
    /// The id of its proxy.
    pub id: Option<String>,
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
    match unpack(any) {
        Ok(message) => Start::Frame { length: length.saturating_add(HEAD), sender: sender(message) },
        Err(why) => Start::Broken(why),
    }
}

/// The bytes of the Struct in an Any.
fn unpack(mut any: &[u8]) -> Result<&[u8], Malformed> {
    let (mut kind, mut content) = (None, None);
    while let Some(field) = wire::take(&mut any)? {
        match field {
            (1, Field::Bytes(text)) if kind.is_none() => kind = Some(text),
            (2, Field::Bytes(message)) if content.is_none() => content = Some(message),
            _ => return Err(Malformed::Form),
        }
    }
    if kind == Some(TYPE.as_bytes()) { Ok(content.unwrap_or_default()) } else { Err(Malformed::Form) }
}

fn sender(message: &[u8]) -> Result<Sender, Malformed> {
    let message = Struct::decode(message)?;
    let metadata = message.get(METADATA).and_then(Value::as_struct);
    let id = message.text(ID).filter(|id| super::is_id(id.as_bytes()));
    let peer = metadata.map(Peer::from_struct).transpose()?;
    Ok(Sender { peer: peer.map(Box::new), id: id.map(str::to_owned) })
}
