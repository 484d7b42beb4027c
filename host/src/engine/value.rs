//! Values of attributes, and the form in which a guest reads them (row 46).

use super::pairs::encode_pairs;
use super::status::Status;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Text; it need not be UTF-8.
    Text(Vec<u8>),
    Bytes(Vec<u8>),
    Int(i64),
    Uint(u64),
    Double(f64),
    Bool(bool),
    /// Nanoseconds.
    Duration(i64),
    /// Nanoseconds since 1970.
    Time(i64),
    Null,
    List(Vec<Self>),
    Map(Vec<(Vec<u8>, Self)>),
    /// A map of header fields: found in whatever case.
    Fields(Vec<(Vec<u8>, Self)>),
    /// A protobuf message: its bytes, and those of its fields that are known here.
    Message(Vec<u8>, Vec<(&'static str, Self)>),
    /// A FlatBuffer: its bytes, and its fields.
    Flat(Vec<u8>, Vec<(Vec<u8>, Self)>),
    /// A set of attributes that can be asked for by name only.
    Lookup(Vec<(Vec<u8>, Self)>),
}

impl Value {
    pub(super) fn text(text: impl AsRef<[u8]>) -> Self {
        Self::Text(text.as_ref().to_vec())
    }

    pub(super) fn size(size: usize) -> Self {
        Self::Int(i64::try_from(size).unwrap_or(i64::MAX))
    }

    /// Whatever of these there is.
    pub(super) fn lookup<const N: usize>(fields: [(&str, Option<Self>); N]) -> Self {
        let known = fields.into_iter().filter_map(|(name, value)| Some((name.into(), value?)));
        Self::Lookup(known.collect())
    }

    /// One step down a path.
    pub(super) fn get(self, name: &[u8]) -> Option<Self> {
        match self {
            Self::Map(entries) | Self::Lookup(entries) | Self::Flat(_, entries) => {
                entries.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            Self::Fields(entries) => {
                let name = if name.eq_ignore_ascii_case(b"host") { b":authority" } else { name };
                entries.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
            }
            Self::Message(_, fields) => {
                fields.into_iter().find(|(field, _)| field.as_bytes() == name).map(|(_, value)| value)
            }
            Self::List(items) => {
                let index: usize = std::str::from_utf8(name).ok()?.parse().ok()?;
                items.into_iter().nth(index)
            }
            _ => None,
        }
    }

    /// Whether it is a map of its own, and not a view of something else.
    pub(super) fn is_map(&self) -> bool {
        matches!(self, Self::Map(_) | Self::Fields(_) | Self::Lookup(_) | Self::Flat(..))
    }

    /// What can be asked of it by name.
    pub(super) fn names(&self) -> Vec<&[u8]> {
        match self {
            Self::Map(entries) | Self::Fields(entries) | Self::Lookup(entries) | Self::Flat(_, entries) => {
                entries.iter().map(|(name, _)| name.as_slice()).collect()
            }
            Self::Message(_, fields) => fields.iter().map(|(name, _)| name.as_bytes()).collect(),
            _ => Vec::new(),
        }
    }

    /// The bytes that the guest gets.
    pub(super) fn serialize(&self) -> Result<Vec<u8>, Status> {
        Ok(match self {
            Self::Text(bytes) | Self::Bytes(bytes) | Self::Message(bytes, _) | Self::Flat(bytes, _) => {
                bytes.clone()
            }
            Self::Int(number) | Self::Duration(number) | Self::Time(number) => number.to_le_bytes().to_vec(),
            Self::Uint(number) => number.to_le_bytes().to_vec(),
            Self::Double(number) => number.to_le_bytes().to_vec(),
            Self::Bool(truth) => vec![u8::from(*truth)],
            Self::Null | Self::Lookup(_) => return Err(Status::SERIALIZATION_FAILURE),
            Self::List(items) => {
                let pairs = items.iter().map(|item| Ok((item.serialize()?, Vec::new())));
                encode_pairs(&pairs.collect::<Result<Vec<_>, _>>()?)
            }
            Self::Map(entries) | Self::Fields(entries) => {
                let pairs = entries.iter().map(|(key, value)| Ok((key.clone(), value.serialize()?)));
                encode_pairs(&pairs.collect::<Result<Vec<_>, _>>()?)
            }
        })
    }
}

impl From<&serde_json::Value> for Value {
    /// As `google.protobuf.Value` has it: every number is a double.
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(truth) => Self::Bool(*truth),
            serde_json::Value::Number(number) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(text) => Self::text(text),
            serde_json::Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            serde_json::Value::Object(entries) => Self::Map(
                entries.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.into())).collect(),
            ),
        }
    }
}
