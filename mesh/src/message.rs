//! `google.protobuf.Struct`, the form in which proxies send metadata to each other.

use crate::Malformed;
use crate::wire::{self, Field};

/// The most bytes that are read as one message. Metadata of a workload has about 2 KB.
pub const MAX_BYTES: usize = 16 * 1024;

/// How deep structs and lists may lie in each other. Metadata of a workload has two levels.
pub const MAX_DEPTH: u8 = 16;

/// A struct. Its fields keep the order in which they came or were added, so that what is read is written alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Struct(Vec<(String, Value)>);

/// A value in a struct or a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The null value.
    Null,
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
    /// A struct.
    Struct(Struct),
    /// A list.
    List(Vec<Value>),
}

impl Value {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The struct, if it is one.
    pub fn as_struct(&self) -> Option<&Struct> {
        if let Self::Struct(fields) = self { Some(fields) } else { None }
    }
}

impl Struct {
    /// Reads a struct from its bytes.
    ///
    /// # Errors
    ///
    /// They are too many, nest too deep, or are not such a message. Nothing is skipped: the message has had no other
    /// fields since it exists.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_BYTES {
            return Err(Malformed::TooLarge);
        }
        decode_struct(bytes, MAX_DEPTH)
    }

    /// The bytes, with the fields in the order that they have here.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, value) in &self.0 {
            let mut entry = Vec::new();
            wire::put(&mut entry, 1, key.as_bytes());
            wire::put(&mut entry, 2, &encode_value(value));
            wire::put(&mut bytes, 1, &entry);
        }
        bytes
    }

    /// Adds a field behind the others. Whoever wants the deterministic form adds them in the order of their names.
    pub fn push(&mut self, key: &str, value: Value) {
        self.0.push((key.to_owned(), value));
    }

    /// Adds a text.
    pub fn push_text(&mut self, key: &str, text: &str) {
        self.push(key, Value::Text(text.to_owned()));
    }

    /// All fields. A name may occur twice; the last one counts.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of a field.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.iter().rev().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// The text of a field; `None` also when it holds something else, as in the proxies of Istio.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_text)
    }
}

impl FromIterator<(String, Value)> for Struct {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

fn decode_struct(mut wire: &[u8], depth: u8) -> Result<Struct, Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed::TooDeep)?;
    let mut fields = Vec::new();
    while let Some(field) = wire::take(&mut wire)? {
        let (1, Field::Bytes(entry)) = field else { return Err(Malformed::Form) };
        fields.push(decode_entry(entry, depth)?);
    }
    Ok(Struct(fields))
}

fn decode_entry(mut wire: &[u8], depth: u8) -> Result<(String, Value), Malformed> {
    let (mut key, mut value) = (None, None);
    while let Some(field) = wire::take(&mut wire)? {
        match field {
            (1, Field::Bytes(text)) if key.is_none() => key = Some(decode_text(text)?),
            (2, Field::Bytes(message)) if value.is_none() => value = Some(decode_value(message, depth)?),
            _ => return Err(Malformed::Form),
        }
    }
    // As in all messages of this language, what is not there has the default of its type.
    Ok((key.unwrap_or_default(), value.unwrap_or(Value::Null)))
}

fn decode_value(mut wire: &[u8], depth: u8) -> Result<Value, Malformed> {
    // Unset, as C++ writes what nobody has filled in.
    let Some(field) = wire::take(&mut wire)? else { return Ok(Value::Null) };
    if !wire.is_empty() {
        return Err(Malformed::Form);
    }
    Ok(match field {
        (1, Field::Number(0)) => Value::Null,
        (2, Field::Double(number)) => Value::Number(number),
        (3, Field::Bytes(text)) => Value::Text(decode_text(text)?),
        (4, Field::Number(flag @ 0..=1)) => Value::Flag(flag == 1),
        (5, Field::Bytes(message)) => Value::Struct(decode_struct(message, depth)?),
        (6, Field::Bytes(message)) => Value::List(decode_list(message, depth)?),
        _ => return Err(Malformed::Form),
    })
}

fn decode_list(mut wire: &[u8], depth: u8) -> Result<Vec<Value>, Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed::TooDeep)?;
    let mut values = Vec::new();
    while let Some(field) = wire::take(&mut wire)? {
        let (1, Field::Bytes(message)) = field else { return Err(Malformed::Form) };
        values.push(decode_value(message, depth)?);
    }
    Ok(values)
}

fn decode_text(bytes: &[u8]) -> Result<String, Malformed> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed::Text)
}

fn encode_value(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    match value {
        Value::Null => wire::put_number(&mut bytes, 1, 0),
        Value::Number(number) => wire::put_double(&mut bytes, 2, *number),
        Value::Text(text) => wire::put(&mut bytes, 3, text.as_bytes()),
        Value::Flag(flag) => wire::put_number(&mut bytes, 4, (*flag).into()),
        Value::Struct(fields) => wire::put(&mut bytes, 5, &fields.encode()),
        Value::List(values) => {
            let mut list = Vec::new();
            values.iter().for_each(|value| wire::put(&mut list, 1, &encode_value(value)));
            wire::put(&mut bytes, 6, &list);
        }
    }
    bytes
}

#[cfg(test)]
mod tests;
