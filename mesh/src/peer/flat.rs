//! The layout of `node_info.fbs`: written in one pass from front to back, read with every offset checked.
//!
//! A FlatBuffer begins with the place of its root table. A table begins with the distance back to its vtable, which tells
//! for each field where in the table it is. Texts and vectors begin with their length; what is not a number is told by its
//! distance ahead. All of it lies at multiples of four.

use super::Peer;
use crate::Malformed;
use std::collections::BTreeMap;

/// The fields of `FlatNode` by their numbers, to be read and to be written.
macro_rules! fields {
    ($(($number:literal, $name:ident, $read:ident, $write:ident),)*) => {
        pub(super) fn read(bytes: &[u8]) -> Result<Peer, Malformed> {
            let mut budget = bytes.len();
            let root = Table::root(bytes)?;
            Ok(Peer { $($name: $read(&root, $number, &mut budget)?),* })
        }

        pub(super) fn write(peer: &Peer) -> Vec<u8> {
            let mut buffer = Buffer(vec![0; WORD]);
            let present = [$($write(&peer.$name).is_some()),*];
            let at = buffer.table(&present);
            buffer.point(0, at);
            let mut place = at;
            $(if let Some(content) = $write(&peer.$name) {
                place = place.saturating_add(WORD);
                let target = buffer.content(content);
                buffer.point(place, target);
            })*
            buffer.0
        }

        #[cfg(test)]
        pub(super) const FIELDS: &[(&str, u64)] = &[$((stringify!($name), $number)),*];
    };
}

fields! {
    (0, name, text, some_text),
    (1, namespace, text, some_text),
    (2, labels, map, some_map),
    (3, owner, text, some_text),
    (4, workload_name, text, some_text),
    (5, platform_metadata, map, some_map),
    (6, istio_version, text, some_text),
    (7, mesh_id, text, some_text),
    (8, app_containers, list, some_list),
    (9, cluster_id, text, some_text),
    (10, instance_ips, list, some_list),
    (11, identity, text, some_text),
}

const WORD: usize = 4;

/// What a field of `FlatNode` points to.
enum Content<'a> {
    Text(&'a str),
    List(&'a [String]),
    Map(&'a BTreeMap<String, String>),
}

fn some_text(text: &Option<String>) -> Option<Content<'_>> {
    text.as_deref().map(Content::Text)
}

/// Lists and maps are there also when they are empty: expressions may then ask for what they hold.
#[allow(clippy::ptr_arg, reason = "the three functions look alike to the macro")]
fn some_list(list: &Vec<String>) -> Option<Content<'_>> {
    Some(Content::List(list))
}

fn some_map(map: &BTreeMap<String, String>) -> Option<Content<'_>> {
    Some(Content::Map(map))
}

/// A FlatBuffer that is being written. Its length is a multiple of four between any two steps.
struct Buffer(Vec<u8>);

impl Buffer {
    /// A vtable and behind it its table, whose fields are yet to point somewhere.
    fn table(&mut self, present: &[bool]) -> usize {
        let vtable = self.0.len();
        let count = present.iter().filter(|present| **present).count();
        self.half(present.len().saturating_add(2).saturating_mul(2));
        self.half(count.saturating_add(1).saturating_mul(WORD));
        let mut offset = 0_u16;
        for present in present {
            if *present {
                offset = offset.wrapping_add(WORD as u16);
            }
            self.half(if *present { offset.into() } else { 0 });
        }
        self.pad();
        self.table_of(vtable, count)
    }

    fn table_of(&mut self, vtable: usize, fields: usize) -> usize {
        let at = self.0.len();
        self.word(at.saturating_sub(vtable));
        self.room(fields);
        at
    }

    fn content(&mut self, content: Content<'_>) -> usize {
        match content {
            Content::Text(text) => self.text(text),
            Content::List(list) => self.vector(list.iter(), |buffer, item| buffer.text(item)),
            Content::Map(map) => {
                let mut vtable = None;
                self.vector(map.iter(), |buffer, (key, value)| buffer.pair(&mut vtable, key, value))
            }
        }
    }

    /// Pairs share a vtable. A vector of them is sorted by key, which is the order of the map.
    fn pair(&mut self, vtable: &mut Option<usize>, key: &str, value: &str) -> usize {
        let at = match *vtable {
            Some(vtable) => self.table_of(vtable, 2),
            None => {
                *vtable = Some(self.0.len());
                self.table(&[true, true])
            }
        };
        for (field, text) in [key, value].into_iter().enumerate() {
            let target = self.text(text);
            self.point(field.saturating_add(1).saturating_mul(WORD).saturating_add(at), target);
        }
        at
    }

    fn vector<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T) -> usize,
    ) -> usize {
        let at = self.0.len();
        self.word(items.len());
        self.room(items.len());
        let mut place = at;
        for item in items {
            place = place.saturating_add(WORD);
            let target = write(self, item);
            self.point(place, target);
        }
        at
    }

    fn text(&mut self, text: &str) -> usize {
        let at = self.0.len();
        self.word(text.len());
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        self.pad();
        at
    }

    fn half(&mut self, number: usize) {
        self.0.extend_from_slice(&(number as u16).to_le_bytes());
    }

    fn word(&mut self, number: usize) {
        self.0.extend_from_slice(&(number as u32).to_le_bytes());
    }

    fn room(&mut self, words: usize) {
        self.0.resize(self.0.len().saturating_add(words.saturating_mul(WORD)), 0);
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(WORD), 0);
    }

    /// Lets the word at `place` tell the distance to `target`, which lies ahead.
    fn point(&mut self, place: usize, target: usize) {
        let distance = target.saturating_sub(place) as u32;
        if let Some(word) = self.0.get_mut(place..).and_then(<[u8]>::first_chunk_mut) {
            *word = distance.to_le_bytes();
        }
    }
}

/// A table that is read.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: usize,
}

impl<'a> Table<'a> {
    pub(super) fn root(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::at(bytes, follow(bytes, 0)?)
    }

    fn at(bytes: &'a [u8], at: usize) -> Result<Self, Malformed> {
        // The distance is signed: a vtable that is shared may lie behind.
        let back = i32::from_le_bytes(*array(bytes, at)?);
        let vtable = i64::try_from(at).ok().and_then(|at| at.checked_sub(back.into()));
        let vtable = vtable.and_then(|vtable| usize::try_from(vtable).ok()).ok_or(Malformed::Form)?;
        Ok(Self { bytes, at, vtable })
    }

    /// Where the field is; `None` when the table does not have it.
    fn field(&self, number: usize) -> Result<Option<usize>, Malformed> {
        let entry = number.checked_add(2).and_then(|entry| entry.checked_mul(2)).ok_or(Malformed::Form)?;
        if entry >= half(self.bytes, self.vtable)? {
            return Ok(None);
        }
        let offset = half(self.bytes, ahead(self.vtable, entry)?)?;
        if offset == 0 { Ok(None) } else { ahead(self.at, offset).map(Some) }
    }

    /// The bytes of a text.
    pub(super) fn text(&self, number: usize) -> Result<Option<&'a [u8]>, Malformed> {
        let Some(place) = self.field(number)? else { return Ok(None) };
        text_at(self.bytes, follow(self.bytes, place)?).map(Some)
    }

    /// Where the items of a vector are: they point to the contents.
    fn vector(&self, number: usize) -> Result<Vec<usize>, Malformed> {
        let Some(place) = self.field(number)? else { return Ok(Vec::new()) };
        let at = follow(self.bytes, place)?;
        let count = word(self.bytes, at)?;
        let first = ahead(at, WORD)?;
        let size = count.checked_mul(WORD).ok_or(Malformed::Form)?;
        let end = ahead(first, size)?;
        self.bytes.get(first..end).ok_or(Malformed::Form)?;
        Ok((first..end).step_by(WORD).collect())
    }

    /// The tables of a vector.
    pub(super) fn tables(&self, number: usize) -> Result<Vec<Self>, Malformed> {
        let items = self.vector(number)?;
        items.into_iter().map(|place| Self::at(self.bytes, follow(self.bytes, place)?)).collect()
    }

    #[cfg(test)]
    pub(super) fn short(&self, number: usize) -> Result<usize, Malformed> {
        self.field(number)?.map_or(Ok(0), |place| half(self.bytes, place))
    }
}

/// Copies a text. Offsets may lead to the same bytes many times over; what is copied is never more than there is.
fn copy(text: &[u8], budget: &mut usize) -> Result<String, Malformed> {
    *budget = budget.checked_sub(text.len()).ok_or(Malformed::TooLarge)?;
    std::str::from_utf8(text).map(str::to_owned).map_err(|_| Malformed::Text)
}

fn text(table: &Table<'_>, number: usize, budget: &mut usize) -> Result<Option<String>, Malformed> {
    table.text(number)?.map(|text| copy(text, budget)).transpose()
}

fn list(table: &Table<'_>, number: usize, budget: &mut usize) -> Result<Vec<String>, Malformed> {
    let items = table.vector(number)?;
    let texts = items.into_iter().map(|place| text_at(table.bytes, follow(table.bytes, place)?));
    texts.map(|text| copy(text?, budget)).collect()
}

fn map(table: &Table<'_>, number: usize, budget: &mut usize) -> Result<BTreeMap<String, String>, Malformed> {
    let pairs = table.tables(number)?;
    let mut read = |pair: &Table<'_>, field| copy(pair.text(field)?.unwrap_or_default(), budget);
    pairs.iter().map(|pair| Ok((read(pair, 0)?, read(pair, 1)?))).collect()
}

fn text_at(bytes: &[u8], at: usize) -> Result<&[u8], Malformed> {
    let first = ahead(at, WORD)?;
    let end = ahead(first, word(bytes, at)?)?;
    bytes.get(first..end).ok_or(Malformed::Form)
}

fn follow(bytes: &[u8], place: usize) -> Result<usize, Malformed> {
    ahead(place, word(bytes, place)?)
}

fn ahead(at: usize, distance: usize) -> Result<usize, Malformed> {
    at.checked_add(distance).ok_or(Malformed::Form)
}

fn word(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    usize::try_from(u32::from_le_bytes(*array(bytes, at)?)).map_err(|_| Malformed::Form)
}

fn half(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    Ok(u16::from_le_bytes(*array(bytes, at)?).into())
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<&[u8; N], Malformed> {
    bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(Malformed::Form)
}
