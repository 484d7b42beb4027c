//! JSON as a token may hold it: no member twice, not deep, an object. Two readers of a document that names a member twice may
//! take two different values, so neither is taken here.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::fmt;

/// How many lists and objects may lie in each other.
const DEPTH: u8 = 32;

/// Which members of an object are kept. The others are checked as well, but take no memory.
#[derive(Clone, Copy)]
pub(super) enum Keep<'k> {
    Everything,
    Nothing,
    Only(&'k dyn Fn(&str) -> bool),
}

impl Keep<'_> {
    /// What is kept within a member: all or nothing.
    fn within(self, name: &str) -> Self {
        match self {
            Self::Only(is_wanted) if is_wanted(name) => Self::Everything,
            Self::Only(_) => Self::Nothing,
            whole => whole,
        }
    }

    fn is_nothing(self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// Reads an object; the error is without the text, which may be secret.
pub(super) fn object(text: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    members(text, Keep::Everything)
}

/// Reads an object, and keeps some of its members.
pub(super) fn members(text: &[u8], keep: Keep<'_>) -> Result<Map<String, Value>, serde_json::Error> {
    let text = std::str::from_utf8(text).map_err(|_| serde_json::Error::custom("not UTF-8"))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let read = Deserializer::deserialize_map(&mut json, Strict { depth: DEPTH, keep })?;
    json.end()?;
    match read {
        Value::Object(members) => Ok(members),
        _ => Err(serde_json::Error::custom("expected an object")),
    }
}

/// A value of which nothing is known, at most so deep. What is not kept is null.
#[derive(Clone, Copy)]
struct Strict<'k> {
    depth: u8,
    keep: Keep<'k>,
}

impl Strict<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("too deep"))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
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
        Ok(if self.keep.is_nothing() { Value::Null } else { Value::String(text.to_owned()) })
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let (inner, mut values) = (self.inner()?, Vec::new());
        while let Some(value) = list.next_element_seed(inner)? {
            if !self.keep.is_nothing() {
                values.push(value);
            }
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let (inner, mut names, mut members) = (self.inner()?, Vec::new(), Map::new());
        while let Some(name) = object.next_key_seed(Name)? {
            let inner = Strict { keep: self.keep.within(&name), ..inner };
            let value = object.next_value_seed(inner)?;
            if !inner.keep.is_nothing() {
                members.insert(name.clone().into_owned(), value);
            }
            names.push(name);
        }
        if all_differ(&mut names) {
            Ok(Value::Object(members))
        } else {
            Err(A::Error::custom("a member occurs twice"))
        }
    }
}

/// The same names side by side would be found. Most differ in length, which is quickly told.
fn all_differ(names: &mut [Cow<'_, str>]) -> bool {
    names.sort_unstable_by(|one, other| one.len().cmp(&other.len()).then_with(|| one.cmp(other)));
    !names.array_windows().any(|[one, other]| one == other)
}

/// The name of a member, copied only if something in it is escaped.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(name.into())
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(name.to_owned().into())
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
    fn what_is_not_wanted_is_checked_and_not_kept() {
        let wanted = Keep::Only(&|name| name == "sub");
        let read = |text: &str| members(text.as_bytes(), wanted).map(Value::Object);
        let text = r#"{"a": ["x", {"b": [1]}], "sub": {"a": [1, "x"]}, "c": "x"}"#;
        assert_eq!(read(text).unwrap(), serde_json::json!({"sub": {"a": [1, "x"]}}));
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"sub":2,"\u0061":1}"#,
            r#"{"sub":1,"\u0073ub":1}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"a":[{"b":1,"c":2,"b":1}]}"#,
            r#"{"a":1e999}"#,
            r#"{"a":"\ud800"}"#,
        ] {
            read(text).unwrap_err();
        }
        let nested = |depth| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        read(&nested(31)).unwrap();
        read(&nested(32)).unwrap_err();
    }

    #[test]
    fn many_members_are_told_apart() {
        let mut text: String = (0..10_000).map(|number| format!("\"a{number}\":0,")).collect();
        let nothing = Keep::Only(&|_| false);
        members(format!("{{{text}\"b\":0}}").as_bytes(), nothing).unwrap();
        text.push_str("\"a5000\":0");
        members(format!("{{{text}}}").as_bytes(), nothing).unwrap_err();
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
