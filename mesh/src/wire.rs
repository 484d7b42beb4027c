//! Protobuf on the wire, as far as `google.protobuf.Struct` and `Any` need it.

use crate::Malformed;

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'a> {
    /// Of wire type 0.
    Number(u64),
    /// Of wire type 1.
    Double(f64),
    /// Of wire type 2: text, bytes, a message.
    Bytes(&'a [u8]),
}

/// The next field of a message with its number, cut off from `wire`; `None` at the end.
///
/// # Errors
///
/// The message ends within the field, or the field has another wire type.
pub fn take<'a>(wire: &mut &'a [u8]) -> Result<Option<(u64, Field<'a>)>, Malformed> {
    if wire.is_empty() {
        return Ok(None);
    }
    let tag = take_varint(wire)?;
    let field = match tag & 7 {
        0 => Field::Number(take_varint(wire)?),
        1 => Field::Double(f64::from_le_bytes(*take_array(wire)?)),
        2 => {
            let size = usize::try_from(take_varint(wire)?).map_err(|_| Malformed::Form)?;
            Field::Bytes(take_bytes(wire, size)?)
        }
        _ => return Err(Malformed::Form),
    };
    Ok(Some((tag >> 3, field)))
}

fn take_bytes<'a>(wire: &mut &'a [u8], size: usize) -> Result<&'a [u8], Malformed> {
    let (bytes, rest) = wire.split_at_checked(size).ok_or(Malformed::Form)?;
    *wire = rest;
    Ok(bytes)
}

fn take_array<'a, const N: usize>(wire: &mut &'a [u8]) -> Result<&'a [u8; N], Malformed> {
    let (bytes, rest) = wire.split_first_chunk().ok_or(Malformed::Form)?;
    *wire = rest;
    Ok(bytes)
}

fn take_varint(wire: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = *take_array(wire)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed::Form)
}

/// Adds a field of text, bytes or a message. Fields here have numbers below 16.
pub fn put(wire: &mut Vec<u8>, field: u8, value: &[u8]) {
    wire.push(field << 3 | 2);
    put_varint(wire, value.len() as u64);
    wire.extend_from_slice(value);
}

/// Adds a field that holds a number.
pub fn put_number(wire: &mut Vec<u8>, field: u8, value: u64) {
    wire.push(field << 3);
    put_varint(wire, value);
}

/// Adds a field that holds a floating-point number.
pub fn put_double(wire: &mut Vec<u8>, field: u8, value: f64) {
    wire.push(field << 3 | 1);
    wire.extend_from_slice(&value.to_le_bytes());
}

fn put_varint(wire: &mut Vec<u8>, mut value: u64) {
    while let low @ 0x80.. = value {
        wire.push(low as u8 | 0x80);
        value >>= 7;
    }
    wire.push(value as u8);
}
