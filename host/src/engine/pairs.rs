//! The wire format of header maps and lists: a count, the sizes, then each string with a NUL behind it (row 25).

use crate::exchange::Headers;

/// Envoy refuses more.
const MAX_BYTES: usize = 1024 * 1024;
/// Envoy refuses more.
const MAX_ENTRIES: usize = 1024;

/// Encodes pairs as the guest reads them.
pub fn encode_pairs(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut wire = word(pairs.len()).to_vec();
    for (name, value) in pairs {
        wire.extend(word(name.len()));
        wire.extend(word(value.len()));
    }
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        wire.extend(text);
        wire.push(0);
    }
    wire
}

/// Decodes pairs written by the guest. Whatever is malformed or too large counts as empty, as in Envoy.
pub fn decode_pairs(wire: &[u8]) -> Headers {
    Headers(decode(wire).unwrap_or_default())
}

fn word(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes()
}

fn decode(wire: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut rest = wire;
    let count = take_word(&mut rest)?;
    if wire.len() > MAX_BYTES || count > MAX_ENTRIES {
        return None;
    }
    let mut sizes = Vec::with_capacity(count);
    for _ in 0..count {
        sizes.push((take_word(&mut rest)?, take_word(&mut rest)?));
    }
    sizes
        .into_iter()
        .map(|(name, value)| Some((take_text(&mut rest, name)?, take_text(&mut rest, value)?)))
        .collect()
}

fn take_word(rest: &mut &[u8]) -> Option<usize> {
    let (word, after) = rest.split_first_chunk()?;
    *rest = after;
    usize::try_from(u32::from_le_bytes(*word)).ok()
}

fn take_text(rest: &mut &[u8], size: usize) -> Option<Vec<u8>> {
    let text = rest.get(..size)?;
    let after = rest.get(size..)?.strip_prefix(&[0])?;
    *rest = after;
    Some(text.to_vec())
}
