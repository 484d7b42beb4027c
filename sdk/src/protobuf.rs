//! Protobuf on the wire, as far as the arguments and results of foreign functions need it.

/// A message that is being written.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// With room for fields of so many bytes in all.
    pub(crate) fn with_room(bytes: usize) -> Self {
        // Tag and length of a field take 6 bytes at most, and there are no more than 5 fields.
        Self(Vec::with_capacity(bytes.saturating_add(30)))
    }

    pub(crate) fn bytes(mut self, field: u8, value: &[u8]) -> Self {
        self.tag(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn number(mut self, field: u8, value: u64) -> Self {
        self.tag(field, 0);
        self.varint(value);
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// All fields here have numbers below 16.
    fn tag(&mut self, field: u8, kind: u8) {
        self.0.push(field << 3 | kind);
    }

    fn varint(&mut self, mut value: u64) {
        while let low @ 0x80.. = value {
            self.0.push(low as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message in the order of the wire. Ends at what is malformed, or has another form.
pub(crate) fn fields(mut wire: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        let tag = take_varint(&mut wire)?;
        let value = match tag & 7 {
            0 => Field::Number(take_varint(&mut wire)?),
            2 => {
                let size = usize::try_from(take_varint(&mut wire)?).ok()?;
                let (value, rest) = wire.split_at_checked(size)?;
                wire = rest;
                Field::Bytes(value)
            }
            _ => return None,
        };
        Some((tag >> 3, value))
    })
}

fn take_varint(wire: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = wire.split_first()?;
        *wire = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    //! Round trips and malformed input.

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let long = [7; 300];
        let wire = Writer::default().bytes(1, b"a").number(3, 300).bytes(5, &long).finish();
        let expected = [(1, Field::Bytes(b"a")), (3, Field::Number(300)), (5, Field::Bytes(&long))];
        assert_eq!(fields(&wire).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_cut_short_ends() {
        let wire = Writer::default().bytes(1, b"abc").finish();
        for end in 0..wire.len() {
            assert_eq!(fields(&wire[..end]).count(), 0);
        }
        assert_eq!(fields(&[0xff; 20]).count(), 0);
    }
}
