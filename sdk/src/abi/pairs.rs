//! The wire format of header maps: a count, a table of sizes, then every name and value with a NUL behind it.

/// Writes pairs in the wire format; `None` when a length does not fit into 32 bits.
pub(crate) fn encode(pairs: &[(&[u8], &[u8])]) -> Option<Vec<u8>> {
    let size = pairs.iter().map(|(name, value)| name.len().saturating_add(value.len()).saturating_add(10));
    let mut out = Vec::with_capacity(size.fold(4, usize::saturating_add));
    out.extend(u32::try_from(pairs.len()).ok()?.to_le_bytes());
    for (name, value) in pairs {
        out.extend(u32::try_from(name.len()).ok()?.to_le_bytes());
        out.extend(u32::try_from(value.len()).ok()?.to_le_bytes());
    }
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        out.extend_from_slice(text);
        out.push(0);
    }
    Some(out)
}

/// Reads pairs out of the wire format without copying them. Ends early when the bytes are malformed: see [`Pairs::ok`].
#[derive(Clone)]
pub(crate) struct Pairs<'a> {
    left: usize,
    sizes: &'a [u8],
    text: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// `None` when the table of sizes is cut short. No bytes at all stand for no pairs.
    pub(crate) fn new(wire: &'a [u8]) -> Option<Self> {
        if wire.is_empty() {
            return Some(Self { left: 0, sizes: &[], text: &[] });
        }
        let (count, rest) = wire.split_at_checked(4)?;
        let left = usize::try_from(u32::from_le_bytes(count.try_into().ok()?)).ok()?;
        let (sizes, text) = rest.split_at_checked(left.checked_mul(8)?)?;
        Some(Self { left, sizes, text })
    }

    /// Whether every pair can be read.
    pub(crate) fn ok(mut self) -> bool {
        while self.left > 0 {
            if self.read().is_none() {
                return false;
            }
        }
        true
    }

    fn read(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let name = self.size()?;
        let value = self.size()?;
        let pair = (self.take(name)?, self.take(value)?);
        self.left = self.left.checked_sub(1)?;
        Some(pair)
    }

    fn size(&mut self) -> Option<usize> {
        let (size, rest) = self.sizes.split_at_checked(4)?;
        self.sizes = rest;
        usize::try_from(u32::from_le_bytes(size.try_into().ok()?)).ok()
    }

    fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let (text, rest) = self.text.split_at_checked(size)?;
        let (nul, rest) = rest.split_first()?;
        self.text = rest;
        (*nul == 0).then_some(text)
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 { None } else { self.read() }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

#[cfg(test)]
mod tests {
    //! Round trips and malformed input.

    use super::*;

    #[test]
    fn what_is_encoded_is_read_back() {
        let pairs: &[(&[u8], &[u8])] = &[(b"a", b"1"), (b"a", b""), (b"", b"\xff")];
        let wire = encode(pairs).unwrap();
        assert!(Pairs::new(&wire).unwrap().ok());
        assert_eq!(Pairs::new(&wire).unwrap().collect::<Vec<_>>(), pairs);
    }

    #[test]
    fn no_bytes_are_no_pairs() {
        assert_eq!(Pairs::new(&[]).unwrap().count(), 0);
        assert_eq!(encode(&[]).unwrap(), [0, 0, 0, 0]);
    }

    #[test]
    fn every_truncation_is_noticed_and_none_panics() {
        let wire = encode(&[(b"name", b"value"), (b"x", b"")]).unwrap();
        for end in 1..wire.len() {
            let whole = Pairs::new(&wire[..end]).is_some_and(Pairs::ok);
            assert!(!whole, "cut at {end}");
        }
    }

    #[test]
    fn a_huge_count_is_refused() {
        assert!(Pairs::new(&u32::MAX.to_le_bytes()).is_none());
    }

    #[test]
    fn a_missing_nul_is_noticed() {
        let mut wire = encode(&[(b"a", b"b")]).unwrap();
        *wire.last_mut().unwrap() = b'x';
        assert!(!Pairs::new(&wire).unwrap().ok());
    }
}
