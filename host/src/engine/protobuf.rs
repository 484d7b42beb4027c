//! Protobuf on the wire, as far as arguments and results of the ABI need it: reading a flat message, writing fields.

/// One field's value. Fixed-width numbers are kept as nothing: no message here has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The fields of a message in the order of the wire.
pub(super) struct Message<'a>(Vec<(u64, Field<'a>)>);

impl<'a> Message<'a> {
    /// None when this is no message.
    pub(super) fn parse(mut wire: &'a [u8]) -> Option<Self> {
        let mut fields = Vec::new();
        while !wire.is_empty() {
            let tag = take_number(&mut wire)?;
            let field = match tag & 7 {
                0 => Field::Number(take_number(&mut wire)?),
                1 => take(&mut wire, 8).map(|_| Field::Fixed)?,
                2 => {
                    let size = usize::try_from(take_number(&mut wire)?).ok()?;
                    Field::Bytes(take(&mut wire, size)?)
                }
                5 => take(&mut wire, 4).map(|_| Field::Fixed)?,
                _ => return None,
            };
            fields.push((Some(tag >> 3).filter(|number| *number > 0)?, field));
        }
        Some(Self(fields))
    }

    /// A number, a bool or an enumeration; 0 when it is not there. The last one of several counts.
    pub(super) fn number(&self, field: u64) -> u64 {
        let numbers = self.0.iter().rev().filter(|(number, _)| *number == field);
        let mut numbers = numbers.filter_map(|(_, value)| match value {
            Field::Number(number) => Some(*number),
            _ => None,
        });
        numbers.next().unwrap_or(0)
    }

    /// A field of type `bytes`; empty when it is not there.
    pub(super) fn bytes(&self, field: u64) -> &'a [u8] {
        let strings = self.0.iter().rev().filter(|(number, _)| *number == field);
        let mut strings = strings.filter_map(|(_, value)| match value {
            Field::Bytes(bytes) => Some(*bytes),
            _ => None,
        });
        strings.next().unwrap_or_default()
    }

    /// A field of type `string`; none when it is not UTF-8, which makes the whole message invalid.
    pub(super) fn text(&self, field: u64) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(field)).ok()
    }
}

/// Writes a length-delimited field.
pub(super) fn put_bytes(wire: &mut Vec<u8>, field: u8, content: &[u8]) {
    wire.push(field << 3 | 2);
    put_number(wire, content.len() as u64);
    wire.extend(content);
}

/// Writes a field of type `bool`.
pub(super) fn put_bool(wire: &mut Vec<u8>, field: u8, truth: bool) {
    wire.extend([field << 3, u8::from(truth)]);
}

fn put_number(wire: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        wire.push(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    wire.push(number as u8);
}

/// At most ten bytes, seven bits each; what does not fit into 64 bits is dropped.
fn take_number(wire: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..70).step_by(7) {
        let [byte] = *take(wire, 1)? else { return None };
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(wire: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (head, rest) = wire.split_at_checked(size)?;
    *wire = rest;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_back() {
        let mut wire = Vec::new();
        put_bytes(&mut wire, 1, b"first");
        put_bool(&mut wire, 2, true);
        put_bytes(&mut wire, 3, &[7; 200]);
        put_bytes(&mut wire, 1, b"last");
        wire.extend([9 << 3 | 1, 0, 0, 0, 0, 0, 0, 0, 0, 10 << 3 | 5, 0, 0, 0, 0]);
        let message = Message::parse(&wire).unwrap();
        assert_eq!((message.text(1), message.number(2), message.bytes(3)), (Some("last"), 1, &[7; 200][..]));
        assert_eq!((message.bytes(2), message.number(1), message.bytes(9)), (&[][..], 0, &[][..]));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let wires: [&[u8]; 8] = [
            b"\xff",
            b"\x0a\x05a",
            b"\x08",
            b"\x0b",
            b"\x00\x00",
            b"\x09\x00",
            b"\x0d\x00",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ];
        wires.iter().for_each(|wire| assert!(Message::parse(wire).is_none(), "{wire:?}"));
        assert_eq!(Message::parse(b"\x0a\x01\xff").unwrap().text(1), None);
        assert_eq!(
            Message::parse(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").unwrap().number(1),
            u64::MAX
        );
    }
}
