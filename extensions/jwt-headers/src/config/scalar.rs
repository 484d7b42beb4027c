//! Flags, numbers and times in the forms in which templates, Istio and Envoy write them.

use proxy_wasm_kit::lenient::whole_number;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// A key that is there counts, whatever its value: `null` is a mistake and not an absence.
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

pub(super) fn present_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    whole_number(from).map(Some)
}

/// One, or a list of them.
pub(super) fn one_or_more<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    struct OneOrMore<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMore<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object, or a list of objects")
        }

        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Vec<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members)).map(|one| vec![one])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }

    from.deserialize_any(OneOrMore(PhantomData))
}

/// Members of an object by name. Of two with one name, readers take the first, the last, or both: it is a mistake.
pub(super) fn named<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    struct Named<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Named<T> {
        type Value = BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut all = BTreeMap::new();
            while let Some(name) = members.next_key::<String>()? {
                if all.contains_key(&name) {
                    return Err(A::Error::custom(format!("expected {name:?} once, found it twice")));
                }
                let member = members.next_value()?;
                all.insert(name, member);
            }
            Ok(all)
        }
    }

    from.deserialize_map(Named(PhantomData))
}

/// A time, as Envoy writes it in YAML: `5s`, `0.25s`, `{seconds: 5}`; or a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    fn of<E: Error>(seconds: f64) -> Result<Self, E> {
        // A century: more is a mistake.
        let fits = (0.0..=3_155_760_000.0).contains(&seconds);
        let span = Duration::try_from_secs_f64(seconds).ok().filter(|_| fits);
        span.map(Self).ok_or_else(|| E::invalid_value(Unexpected::Float(seconds), &SpanVisitor))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SpanVisitor)
    }
}

struct SpanVisitor;

impl<'de> Visitor<'de> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as \"5s\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
        let seconds = text.strip_suffix('s').and_then(|number| number.parse().ok());
        Span::of(seconds.ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))?)
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Span, E> {
        Span::of(seconds)
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Span, E> {
        Span::of(seconds as f64)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Span, A::Error> {
        let mut sum = 0.0;
        while let Some(name) = members.next_key::<String>()? {
            let number: f64 = members.next_value()?;
            sum += match name.as_str() {
                "seconds" => number,
                "nanos" => number / 1e9,
                other => return Err(A::Error::unknown_field(other, &["seconds", "nanos"])),
            };
        }
        Span::of(sum)
    }
}

#[cfg(test)]
mod tests {
    //! The forms of a time.

    use super::*;

    #[test]
    fn times_as_envoy_writes_them() {
        let read = |text: &str| serde_json::from_str::<Span>(text).map(|span| span.0.as_millis());
        for (text, milliseconds) in [
            ("\"5s\"", 5000),
            ("\"0.25s\"", 250),
            ("{\"seconds\": 1, \"nanos\": 5e8}", 1500),
            ("2", 2000),
            ("0.5", 500),
        ] {
            assert_eq!(read(text).unwrap(), milliseconds, "{text}");
        }
        for text in [
            "\"5\"",
            "\"-1s\"",
            "-1",
            "\"1m\"",
            "\"infs\"",
            "\"nans\"",
            "1e99",
            "{\"minutes\":1}",
            "null",
            "[]",
        ] {
            read(text).unwrap_err();
        }
    }
}
