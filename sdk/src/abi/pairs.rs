//! The wire format of header maps: a count, a table of sizes, then every name and value with a NUL behind it.

use crate::bytes::Bytes;

/// Writes pairs in the wire format; `None` when a length does not fit into 32 bits.
pub(crate) fn encode(pairs: &[(&[u8], &[u8])]) -> Option<Vec<u8>> {
    Fields::of(pairs, (0, 0)).map(|fields| fields.wire)
}

/// Pairs that are being written. None at all have no bytes.
///
/// Before what is sent there is room into which the table grows, so that the texts stay where they are.
#[derive(Clone, Default)]
pub(crate) struct Fields {
    count: u32,
    /// Where the count lies, the first of what is sent.
    start: usize,
    wire: Vec<u8>,
}

/// Room for more entries of the table and bytes of text than there are.
const ROOM: (usize, usize) = (3, 96);

impl Fields {
    /// Some from the beginning, which takes less than to add one by one.
    pub(crate) fn begin(pairs: &[(&[u8], &[u8])]) -> Option<Self> {
        Self::of(pairs, ROOM)
    }

    fn of(pairs: &[(&[u8], &[u8])], (entries, bytes): (usize, usize)) -> Option<Self> {
        // Lengths of what lies in memory do not overflow 64 bits, and all of them together have to fit into 32.
        let texts = pairs.iter().fold(0_u64, |texts, (name, value)| {
            texts.wrapping_add(name.len() as u64).wrapping_add(value.len() as u64).wrapping_add(2)
        });
        let texts = usize::try_from(u32::try_from(texts).ok()?).ok()?;
        let count = u32::try_from(pairs.len()).ok()?;
        let start = entries.checked_mul(8)?;
        let table = start.checked_add(4)?;
        let end = table.checked_add(pairs.len().checked_mul(8)?)?.checked_add(texts)?;
        let mut wire = Vec::<u8>::with_capacity(end.checked_add(bytes)?);
        // SAFETY: there is room up to `end`: for unused entries, the count, an entry for each pair, and its texts, each with
        // a NUL. All is written before it counts as bytes.
        unsafe {
            let head = wire.as_mut_ptr();
            head.write_bytes(0, start);
            head.add(start).cast::<u32>().write_unaligned(count.to_le());
            let mut entry = head.add(table).cast::<[u32; 2]>();
            let mut text = entry.add(pairs.len()).cast::<u8>();
            for (name, value) in pairs {
                entry.write_unaligned([(name.len() as u32).to_le(), (value.len() as u32).to_le()]);
                entry = entry.add(1);
                text = put(put(text, name), value);
            }
            wire.set_len(end);
        }
        Some(Self { count, start, wire })
    }

    /// `None`, and nothing is added, when a length does not fit into 32 bits.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let sizes = [u32::try_from(name.len()).ok()?.to_le(), u32::try_from(value.len()).ok()?.to_le()];
        let texts = name.len().checked_add(value.len())?.checked_add(2)?;
        let count = self.count.checked_add(1)?;
        let table = usize::try_from(self.count).ok()?.checked_mul(8)?;
        let start = match self.start.checked_sub(8) {
            Some(start) => start,
            None => self.make_room(table, texts)?,
        };
        self.wire.reserve(texts);
        let end = self.wire.len();
        // SAFETY: where the count was or would be, `start + 8`, it and the table lie within the bytes that there are
        // (`make_room`), so that after a move by 8 they and the new entry do, too. Behind the bytes there is room for the
        // texts, each with a NUL, all of which is written before it counts as bytes.
        unsafe {
            let head = self.wire.as_mut_ptr().add(start);
            head.add(12).copy_to(head.add(4), table);
            head.add(table).add(4).cast::<[u32; 2]>().write_unaligned(sizes);
            head.cast::<u32>().write_unaligned(count.to_le());
            put(put(self.wire.as_mut_ptr().add(end), name), value);
            self.wire.set_len(end.wrapping_add(texts));
        }
        (self.count, self.start) = (count, start);
        Some(())
    }

    /// Makes room for entries before the table, and for texts, and gives the place of the count with the first of those.
    #[cold]
    fn make_room(&mut self, table: usize, texts: usize) -> Option<usize> {
        let (entries, bytes) = ROOM;
        let room = entries.checked_mul(8)?.max(table);
        // Before the first of all there is no count yet.
        let new = if self.wire.is_empty() { room.checked_add(4)? } else { room };
        let size = new.checked_add(self.wire.len())?.checked_add(texts.max(bytes))?;
        let mut wire = Vec::<u8>::with_capacity(size);
        // SAFETY: there is room for so many bytes and more, and they are written before they count.
        unsafe {
            wire.as_mut_ptr().write_bytes(0, new);
            wire.set_len(new);
        }
        wire.extend_from_slice(&self.wire);
        self.wire = wire;
        room.checked_sub(8)
    }

    pub(crate) fn wire(&self) -> &[u8] {
        self.wire.get(self.start..).unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> Pairs<'_> {
        Pairs::new(self.wire()).unwrap_or_default()
    }
}

/// Writes a text with a NUL, and gives the place behind it.
///
/// # Safety
///
/// There are so many bytes to write to.
unsafe fn put(to: *mut u8, text: &[u8]) -> *mut u8 {
    // SAFETY: as the caller says; what is written to belongs to nobody else.
    unsafe {
        to.copy_from_nonoverlapping(text.as_ptr(), text.len());
        let end = to.add(text.len());
        end.write(0);
        end.add(1)
    }
}

impl std::fmt::Debug for Fields {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name.escape_ascii().to_string())).finish()
    }
}

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
        let wire = encode(pairs).unwrap();
        assert_eq!(Pairs::new(&wire).unwrap().collect::<Vec<_>>(), pairs);
    }

    #[test]
    fn no_bytes_are_no_pairs() {
        assert_eq!(Pairs::new(&[]).unwrap().count(), 0);
        assert_eq!(encode(&[]).unwrap(), [0, 0, 0, 0]);
    }

    #[test]
    fn every_truncation_is_noticed_and_none_panics() {
        let pairs: [(&[u8], &[u8]); 2] = [(b"name", b"value"), (b"x", b"")];
        let wire = encode(&pairs).unwrap();
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
        let mut wire = encode(&[(b"a", b"b")]).unwrap();
        wire[4] = 2;
        assert!(Pairs::new(&wire).is_none());
        assert!(Wire::new(wire.into()).is_none());
    }

    #[test]
    fn fields_grow_one_by_one() {
        assert!(Fields::default().wire().is_empty());
        assert_eq!(Fields::begin(&[]).unwrap().wire(), [0; 4]);
        grow(Fields::default());
        grow(Fields::begin(&[]).unwrap());
    }

    fn grow(mut fields: Fields) {
        let pairs: [(&[u8], &[u8]); 3] = [(b"a", b"1"), (b"longer", b""), (b"", b"\xff\0")];
        // More than there is room for in the beginning, and again.
        let pairs = pairs.repeat(10);
        for (index, (name, value)) in pairs.iter().enumerate() {
            fields.push(name, value).unwrap();
            assert_eq!(Pairs::new(fields.wire()).unwrap().collect::<Vec<_>>(), pairs[..=index]);
        }
        assert!(format!("{fields:?}").starts_with(r#"["a", "longer", "", "a""#));
    }
}
