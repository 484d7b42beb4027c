//! JSON as a token may hold it: no member twice, not deep, an object. Two readers of a document that names a member twice may
//! take two different values, so neither is taken here.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// How many lists and objects may lie in each other.
const DEPTH: u8 = 32;

/// Reads an object; the error is without the text, which may be secret.
pub(super) fn object(text: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let read = Deserializer::deserialize_map(&mut json, Strict { depth: DEPTH })?;
    json.end()?;
    match read {
        Value::Object(members) => Ok(members),
        _ => Err(serde_json::Error::custom("expected an object")),
    }
}

/// A value of which nothing is known, at most so deep.
#[derive(Clone, Copy)]
struct Strict {
    depth: u8,
}

impl Strict {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("too deep"))?;
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let (inner, mut values) = (self.inner()?, Vec::new());
        while let Some(value) = list.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let (inner, mut members) = (self.inner()?, Map::new());
        while let Some(name) = object.next_key::<String>()? {
            let value = object.next_value_seed(inner)?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member occurs twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    //! What is read, and what is not.

    use super::*;

    #[test]
    fn members_occur_once_at_every_depth() {
        assert_eq!(object(br#"{"a": [1, -2, 3.5, "x", null, true], "b": {"a": 1}}"#).unwrap().len(), 2);
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[{"a":1,"a":2}]}"#,
            r#"{"a":1,"\u0061":1}"#,
        ] {
            object(text.as_bytes()).unwrap_err();
        }
    }

    #[test]
    fn only_one_whole_object_is_read() {
        for text in
            ["", "[]", "null", "1", "{}x", "{} {}", "{\"a\":1e999}", "{\"a\":NaN}", "{\"a\":01}", "{'a':1}"]
        {
            object(text.as_bytes()).unwrap_err();
        }
        object(b"{\"a\":\"\xff\"}").unwrap_err();
        object(b"\xef\xbb\xbf{}").unwrap_err();
        object(b"{\"a\":\"\\ud800\"}").unwrap_err();
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        object(nested(31).as_bytes()).unwrap();
        object(nested(32).as_bytes()).unwrap_err();
        object(nested(1_000_000).as_bytes()).unwrap_err();
    }
}
