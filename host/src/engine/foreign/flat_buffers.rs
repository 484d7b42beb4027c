//! FlatBuffers as values, by a schema in binary (`reflection.fbs`), the way expressions of Envoy see them.
//!
//! A text that is absent is empty, a table that is absent null. A vector of tables is a map where the tables have a key,
//! and a list otherwise. Numbers are not known here. What is malformed gives nothing; Envoy believes it.

use crate::engine::value::Value;

/// The numbers of `reflection.BaseType` that are told apart.
const BOOL: u8 = 2;
const STRING: u8 = 13;
const VECTOR: u8 = 14;
const TABLE: u8 = 15;

/// How deep tables are looked into.
const DEPTH: u8 = 16;

/// The fields of the root table; `None` when bytes or schema are malformed.
pub(in crate::engine) fn fields(bytes: &[u8], schema: &[u8]) -> Option<Vec<(Vec<u8>, Value)>> {
    let schema = Table::root(schema)?;
    let objects = schema.tables(0)?;
    let root = schema.table(4)??;
    table_fields(&Table::root(bytes)?, &root, &objects, DEPTH)
}

fn table_fields(
    table: &Table<'_>,
    object: &Table<'_>,
    objects: &[Table<'_>],
    depth: u8,
) -> Option<Vec<(Vec<u8>, Value)>> {
    let depth = depth.checked_sub(1)?;
    let field = |field: &Table<'_>| {
        let number = usize::from(field.short(2)?);
        Some((field.text(0)??.to_vec(), value(table, number, &field.table(1)??, objects, depth)?))
    };
    object.tables(1)?.iter().map(field).collect()
}

fn value(
    table: &Table<'_>,
    number: usize,
    kind: &Table<'_>,
    objects: &[Table<'_>],
    depth: u8,
) -> Option<Value> {
    let object = || objects.get(usize::try_from(kind.word(2)?).ok()?);
    Some(match kind.byte(0)? {
        BOOL => Value::Bool(table.byte(number)? != 0),
        STRING => Value::text(table.text(number)?.unwrap_or_default()),
        TABLE => match table.table(number)? {
            Some(inner) => Value::Map(table_fields(&inner, object()?, objects, depth)?),
            None => Value::Null,
        },
        VECTOR => match kind.byte(1)? {
            STRING => Value::List(table.texts(number)?.into_iter().map(Value::text).collect()),
            TABLE => tables(&table.tables(number)?, object()?, objects, depth)?,
            _ => Value::Null,
        },
        _ => Value::Null,
    })
}

/// By their keys, where they have one.
fn tables(items: &[Table<'_>], object: &Table<'_>, objects: &[Table<'_>], depth: u8) -> Option<Value> {
    let maps = items.iter().map(|item| Some(Value::Map(table_fields(item, object, objects, depth)?)));
    let maps = maps.collect::<Option<Vec<_>>>()?;
    let fields = object.tables(1)?;
    let is_key = |field: &&Table<'_>| field.byte(8).is_some_and(|key| key != 0);
    let Some(key) = fields.iter().find(is_key) else { return Some(Value::List(maps)) };
    let number = usize::from(key.short(2)?);
    let keys = items.iter().map(|item| Some(item.text(number)??.to_vec())).collect::<Option<Vec<_>>>()?;
    Some(Value::Map(keys.into_iter().zip(maps).collect()))
}

/// A table of a FlatBuffer. `None` is malformed, `Some(None)` absent.
#[derive(Clone, Copy)]
struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    vtable: usize,
}

impl<'a> Table<'a> {
    fn root(bytes: &'a [u8]) -> Option<Self> {
        Self::at(bytes, follow(bytes, 0)?)
    }

    fn at(bytes: &'a [u8], at: usize) -> Option<Self> {
        let back = i64::from(i32::from_le_bytes(array(bytes, at)?));
        let vtable = i64::try_from(at).ok()?.checked_sub(back)?;
        Some(Self { bytes, at, vtable: usize::try_from(vtable).ok()? })
    }

    fn field(&self, number: usize) -> Option<Option<usize>> {
        let size = usize::from(u16::from_le_bytes(array(self.bytes, self.vtable)?));
        let entry = 2 * number + 4;
        if entry >= size {
            return Some(None);
        }
        let offset = u16::from_le_bytes(array(self.bytes, self.vtable + entry)?);
        Some((offset != 0).then(|| self.at + usize::from(offset)))
    }

    fn number<const N: usize>(&self, number: usize) -> Option<[u8; N]> {
        self.field(number)?.map_or(Some([0; N]), |place| array(self.bytes, place))
    }

    fn byte(&self, number: usize) -> Option<u8> {
        self.number::<1>(number).map(|[byte]| byte)
    }

    fn short(&self, number: usize) -> Option<u16> {
        self.number(number).map(u16::from_le_bytes)
    }

    fn word(&self, number: usize) -> Option<i32> {
        self.number(number).map(i32::from_le_bytes)
    }

    fn text(&self, number: usize) -> Option<Option<&'a [u8]>> {
        let Some(place) = self.field(number)? else { return Some(None) };
        text(self.bytes, place).map(Some)
    }

    fn table(&self, number: usize) -> Option<Option<Self>> {
        let Some(place) = self.field(number)? else { return Some(None) };
        Self::at(self.bytes, follow(self.bytes, place)?).map(Some)
    }

    /// Where the items of a vector are.
    fn items(&self, number: usize) -> Option<Vec<usize>> {
        let Some(place) = self.field(number)? else { return Some(Vec::new()) };
        let at = follow(self.bytes, place)?;
        let count = u32::from_le_bytes(array(self.bytes, at)?);
        let first = at + 4;
        let end = first.checked_add(usize::try_from(count).ok()?.checked_mul(4)?)?;
        self.bytes.get(first..end)?;
        Some((first..end).step_by(4).collect())
    }

    fn tables(&self, number: usize) -> Option<Vec<Self>> {
        let items = self.items(number)?;
        items.into_iter().map(|place| Self::at(self.bytes, follow(self.bytes, place)?)).collect()
    }

    fn texts(&self, number: usize) -> Option<Vec<&'a [u8]>> {
        self.items(number)?.into_iter().map(|place| text(self.bytes, place)).collect()
    }
}

fn text(bytes: &[u8], place: usize) -> Option<&[u8]> {
    let at = follow(bytes, place)?;
    let size = usize::try_from(u32::from_le_bytes(array(bytes, at)?)).ok()?;
    bytes.get(at + 4..)?.get(..size)
}

fn follow(bytes: &[u8], place: usize) -> Option<usize> {
    place.checked_add(usize::try_from(u32::from_le_bytes(array(bytes, place)?)).ok()?)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    //! On a buffer and a schema that `flatc` made.

    use super::*;

    const SCHEMA: &[u8] = include_bytes!("../../../../mesh/src/peer/node_info.bfbs");
    const NODE: &[u8] = include_bytes!("../../../../mesh/tests/vectors/node.bin");

    fn at(path: &[&str]) -> Option<Value> {
        let root = Value::Map(fields(NODE, SCHEMA).unwrap());
        path.iter().try_fold(root, |value, step| value.get(step.as_bytes()))
    }

    #[test]
    fn fields_are_found_by_their_names() {
        assert_eq!(at(&["workload_name"]), Some(Value::text("productpage-v1")));
        assert_eq!(at(&["labels", "app", "value"]), Some(Value::text("productpage")));
        assert_eq!(at(&["labels", "app", "key"]), Some(Value::text("app")));
        assert_eq!(at(&["app_containers", "1"]), Some(Value::text("bonzai")));
        assert_eq!(at(&["identity"]), Some(Value::text("")));
        assert_eq!((at(&["labels", "nothing"]), at(&["nothing"])), (None, None));
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        for end in 0..SCHEMA.len() - 4 {
            assert_eq!(fields(NODE, &SCHEMA[..end]), None, "schema cut at {end}");
        }
        for end in 0..NODE.len() - 4 {
            assert_eq!(fields(&NODE[..end], SCHEMA), None, "node cut at {end}");
        }
        assert_eq!(fields(NODE, &NODE[..100]), None);
    }
}
