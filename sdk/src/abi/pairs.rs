//! The wire format of header maps: a count, a table of sizes, then every name and value with a NUL behind it.

use crate::bytes::Bytes;

/// Writes pairs in the wire format; `None` when a length does not fit into 32 bits.
pub(crate) fn encode<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Option<Vec<u8>> {
    let mut fields = Fields::default();
    for (name, value) in pairs {
        fields.push(name, value)?;
    }
    Some(if fields.count == 0 { vec![0; 4] } else { fields.wire })
}

/// Pairs that are being written. None at all have no bytes.
#[derive(Clone, Default)]
pub(crate) struct Fields {
    count: u32,
    wire: Vec<u8>,
}

impl Fields {
    /// `None`, and nothing is added, when a length does not fit into 32 bits.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let sizes =
            u64::from(u32::try_from(value.len()).ok()?) << 32 | u64::from(u32::try_from(name.len()).ok()?);
        // The table grows before the texts, which make room for it.
        let table = usize::try_from(self.count).ok()?.checked_mul(8)?.checked_add(4)?;
        let count = self.count.checked_add(1)?;
        let texts = name.len().checked_add(value.len())?.checked_add(2)?;
        self.wire.reserve(texts.checked_add(if self.wire.is_empty() { ROOM } else { 8 })?);
        let end = self.wire.len().max(4);
        self.wire.resize(end.checked_add(8)?, 0);
        self.wire.copy_within(table..end, table.checked_add(8)?);
        *self.wire.get_mut(table..)?.first_chunk_mut()? = sizes.to_le_bytes();
        *self.wire.first_chunk_mut()? = count.to_le_bytes();
        for text in [name, value] {
            self.wire.extend_from_slice(text);
            self.wire.push(0);
        }
        self.count = count;
        Some(())
    }

    pub(crate) fn wire(&self) -> &[u8] {
        &self.wire
    }
}

impl std::fmt::Debug for Fields {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names =
            Pairs::new(&self.wire).unwrap_or_default().map(|(name, _)| name.escape_ascii().to_string());
        f.debug_list().entries(names).finish()
    }
}

/// What the first of several pairs reserves beside its own texts.
const ROOM: usize = 96;

/// Pairs in the wire format, known to be whole.
#[derive(Clone, Default)]
pub(crate) struct Wire(Bytes);

impl Wire {
    /// `None` when the bytes are malformed. No bytes at all stand for no pairs.
    pub(crate) fn new(bytes: Bytes) -> Option<Self> {
        is_whole(parts(&bytes)?).then_some(Self(bytes))
    }

    #[inline]
    pub(crate) fn iter(&self) -> Pairs<'_> {
        let (sizes, text) = parts(&self.0).unwrap_or_default();
        Pairs { sizes: sizes.iter(), text }
    }
}

/// Reads pairs out of the wire format without copying them.
#[derive(Clone, Default)]
pub(crate) struct Pairs<'a> {
    /// The sizes of a name and its value, 32 bits each. With a NUL for each text they add up to no more than the text.
    sizes: std::slice::Iter<'a, [u8; 8]>,
    text: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// `None` when the bytes are malformed. No bytes at all stand for no pairs.
    pub(crate) fn new(wire: &'a [u8]) -> Option<Self> {
        let (sizes, text) = parts(wire)?;
        is_whole((sizes, text)).then(|| Self { sizes: sizes.iter(), text })
    }
}

/// The table of sizes and the text; `None` when the table is cut short.
#[inline]
fn parts(wire: &[u8]) -> Option<(&[[u8; 8]], &[u8])> {
    if wire.is_empty() {
        return Some(Default::default());
    }
    let (count, rest) = wire.split_first_chunk()?;
    let size = usize::try_from(u32::from_le_bytes(*count)).ok()?.checked_mul(8)?;
    let (sizes, text) = rest.split_at_checked(size)?;
    Some((sizes.as_chunks().0, text))
}

/// More pairs than a host hands over (Envoy: 1024); so many sizes add up to less than 64 bits can say.
const MOST: usize = 1 << 24;

/// Whether every pair lies within the text.
#[inline]
fn is_whole((sizes, text): (&[[u8; 8]], &[u8])) -> bool {
    let total = sizes.iter().fold(0, |total: u64, size| {
        let (name, value) = split(size);
        total.wrapping_add(u64::from(name)).wrapping_add(u64::from(value)).wrapping_add(2)
    });
    sizes.len() <= MOST && usize::try_from(total).is_ok_and(|total| total <= text.len())
}

/// The size of a name and that of its value.
#[inline]
fn split(sizes: &[u8; 8]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = *sizes;
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = split(self.sizes.next()?);
        let (name, value) = (usize::try_from(name).ok()?, usize::try_from(value).ok()?);
        // SAFETY: `is_whole` held for the table and the text that this was made of, so that the texts which are left,
        // each with a NUL, are not longer than what is left of the text.
        unsafe {
            let (name, rest) = self.text.split_at_unchecked(name);
            let (value, rest) = rest.get_unchecked(1..).split_at_unchecked(value);
            self.text = rest.get_unchecked(1..);
            Some((name, value))
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.sizes.size_hint()
    }
}

#[cfg(test)]
mod tests {
    //! Round trips and malformed input.

    use super::*;

    #[test]
    fn what_is_encoded_is_read_back() {
        let pairs: &[(&[u8], &[u8])] = &[(b"a", b"1"), (b"a", b""), (b"", b"\xff")];
        let wire = encode(pairs.iter().copied()).unwrap();
        assert_eq!(Pairs::new(&wire).unwrap().collect::<Vec<_>>(), pairs);
    }

    #[test]
    fn no_bytes_are_no_pairs() {
        assert_eq!(Pairs::new(&[]).unwrap().count(), 0);
        assert_eq!(encode([].into_iter()).unwrap(), [0, 0, 0, 0]);
    }

    #[test]
    fn every_truncation_is_noticed_and_none_panics() {
        let pairs: [(&[u8], &[u8]); 2] = [(b"name", b"value"), (b"x", b"")];
        let wire = encode(pairs.into_iter()).unwrap();
        for end in 1..wire.len() {
            assert!(Pairs::new(&wire[..end]).is_none(), "cut at {end}");
        }
    }

    #[test]
    fn a_huge_count_is_refused() {
        assert!(Pairs::new(&u32::MAX.to_le_bytes()).is_none());
    }

    #[test]
    fn a_text_that_is_too_short_is_noticed() {
        let mut wire = encode([(&b"a"[..], &b"b"[..])].into_iter()).unwrap();
        wire[4] = 2;
        assert!(Pairs::new(&wire).is_none());
        assert!(Wire::new(wire.into()).is_none());
    }

    #[test]
    fn fields_grow_one_by_one() {
        let mut fields = Fields::default();
        assert!(fields.wire().is_empty());
        let pairs: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"longer", b""), (b"", b"\xff\0")];
        for (index, (name, value)) in pairs.iter().enumerate() {
            fields.push(name, value).unwrap();
            assert_eq!(Pairs::new(fields.wire()).unwrap().collect::<Vec<_>>(), pairs[..=index]);
        }
        assert_eq!(format!("{fields:?}"), r#"["a", "longer", ""]"#);
    }
}
