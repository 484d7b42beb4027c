//! Attributes as values of CEL, and values of CEL as the guest reads them (row 46).
//!
//! Groups of attributes and messages are looked into on demand; all else is a value of CEL at once. Text that is not
//! UTF-8, as header values may be, is bytes to CEL.

use crate::engine::pairs::encode_pairs;
use crate::engine::status::Status;
use crate::engine::value::Value;
use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Iterable, Iterator as Items, Sizer};
use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelList, CelMap, CelNull, CelString, CelTimestamp,
    CelUInt, MAP_TYPE, Type,
};
use cel::common::value::{CowVal, StaticVal, Val};
use std::any::Any;

/// An attribute as CEL has it.
pub(super) fn bind(value: Value) -> Box<dyn Val> {
    match value {
        Value::Text(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Box::new(CelString::from(text)),
            Err(error) => Box::new(CelBytes::from(error.into_bytes())),
        },
        Value::Bytes(bytes) => Box::new(CelBytes::from(bytes)),
        Value::Int(number) => Box::new(CelInt::from(number)),
        Value::Uint(number) => Box::new(CelUInt::from(number)),
        Value::Double(number) => Box::new(CelDouble::from(number)),
        Value::Bool(truth) => Box::new(CelBool::from(truth)),
        Value::Null => Box::new(CelNull),
        Value::Duration(span) => Box::new(CelDuration::from(chrono::Duration::nanoseconds(span))),
        Value::Time(time) => {
            Box::new(CelTimestamp::from(chrono::DateTime::from_timestamp_nanos(time).fixed_offset()))
        }
        Value::List(items) => Box::new(CelList::from(items.into_iter().map(bind).collect::<Vec<_>>())),
        Value::Map(_) | Value::Fields(_) | Value::Message(..) | Value::Lookup(_) | Value::Flat(..) => {
            Box::new(Group::new(value))
        }
    }
}

/// Attributes or entries under names.
#[derive(Clone, Debug)]
struct Group {
    value: Value,
    /// The names as values, for comprehensions to lend out.
    names: Vec<CelString<'static>>,
}

impl Group {
    fn new(value: Value) -> Self {
        let names = value.names().into_iter().map(|name| String::from_utf8_lossy(name).into_owned());
        let names = names.map(CelString::from).collect();
        Self { value, names }
    }

    fn find(&self, name: &dyn Val) -> Option<Value> {
        let name = name.downcast_ref::<CelString>()?;
        self.value.clone().get(name.inner().as_bytes())
    }
}

impl Val for Group {
    fn get_type(&self) -> &Type {
        Self::cel_type()
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_container(&self) -> Option<&dyn Container> {
        self.value.is_map().then_some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        self.value.is_map().then_some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        self.value.is_map().then_some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        let same =
            |key: &CelString, value: &dyn Val| self.find(key).is_some_and(|own| bind(own).equals(value));
        let Some(other) = other.downcast_ref::<CelMap>() else { return false };
        other.inner().len() == self.names.len()
            && other.inner().iter().all(|(key, value)| {
                key.inner().downcast_ref::<CelString>().is_some_and(|key| same(key, value.as_ref()))
            })
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Group {}

impl Indexer for Group {
    fn get<'b, 'v>(&'b self, name: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        // What makes `has()` false rather than an error.
        let missing = || ExecutionError::no_such_key("attribute");
        self.find(name).map(bind).map(CowVal::Owned).ok_or_else(missing)
    }

    fn steal<'v>(self: Box<Self>, name: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(name).map(CowVal::into_owned)
    }
}

impl Container for Group {
    fn contains(&self, name: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.find(name).is_some())
    }
}

impl Sizer for Group {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.names.len()).unwrap_or(i64::MAX))
    }
}

impl Iterable for Group {
    fn iter<'b, 'v>(&'b self) -> Box<dyn Items<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Names(self.names.iter()))
    }
}

struct Names<'b>(std::slice::Iter<'b, CelString<'static>>);

impl<'b, 'v> Items<'b, 'v> for Names<'b> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        self.0.next().map(|name| name as &(dyn Val + 'v))
    }
}

/// A result as an access log shows it; what has several parts is not shown, nor is text that was joined.
pub(super) fn print(value: &dyn Val, joined: bool) -> Option<String> {
    let text = value.downcast_ref::<CelString>().filter(|_| !joined).map(|text| text.inner().to_owned());
    let int = || value.downcast_ref::<CelInt>().map(|number| number.inner().to_string());
    let uint = || value.downcast_ref::<CelUInt>().map(|number| number.inner().to_string());
    let truth = || value.downcast_ref::<CelBool>().map(|truth| truth.inner().to_string());
    text.or_else(int).or_else(uint).or_else(truth)
}

/// A result as the guest reads it. Null, types and groups of attributes have no form.
pub(super) fn serialize(value: &dyn Val) -> Result<Vec<u8>, Status> {
    if let Some(group) = value.downcast_ref::<Group>() {
        return group.value.serialize();
    }
    if let Some(list) = value.downcast_ref::<CelList>() {
        let items = list.inner().iter().map(|item| Ok((serialize(item.as_ref())?, Vec::new())));
        return Ok(encode_pairs(&items.collect::<Result<Vec<_>, _>>()?));
    }
    if let Some(map) = value.downcast_ref::<CelMap>() {
        let entries = map.inner().iter();
        let pairs = entries.map(|(key, value)| Ok((serialize(key.inner())?, serialize(value.as_ref())?)));
        let mut pairs = pairs.collect::<Result<Vec<_>, _>>()?;
        // The crate keeps no order.
        pairs.sort();
        return Ok(encode_pairs(&pairs));
    }
    scalar(value).ok_or(Status::SERIALIZATION_FAILURE)
}

fn scalar(value: &dyn Val) -> Option<Vec<u8>> {
    let text = value.downcast_ref::<CelString>().map(|text| text.inner().as_bytes().to_vec());
    let bytes = || value.downcast_ref::<CelBytes>().map(|bytes| bytes.inner().to_vec());
    let int = || value.downcast_ref::<CelInt>().map(|number| number.inner().to_le_bytes().to_vec());
    let uint = || value.downcast_ref::<CelUInt>().map(|number| number.inner().to_le_bytes().to_vec());
    let double = || value.downcast_ref::<CelDouble>().map(|number| number.inner().to_le_bytes().to_vec());
    let truth = || value.downcast_ref::<CelBool>().map(|truth| vec![u8::from(*truth.inner())]);
    let span = || value.downcast_ref::<CelDuration>()?.inner().num_nanoseconds();
    let time = || value.downcast_ref::<CelTimestamp>()?.inner().timestamp_nanos_opt();
    let moment = || span().or_else(time).map(|number| number.to_le_bytes().to_vec());
    text.or_else(bytes).or_else(int).or_else(uint).or_else(double).or_else(truth).or_else(moment)
}
