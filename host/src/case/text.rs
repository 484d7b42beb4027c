//! Text in a case file, which is bytes: a plain string, or another spelling for what a string cannot carry.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// More than this in one value is a slip of the pen: no message of a test has to be larger.
const LIMIT: usize = 64 << 20;

/// Bytes, spelled as text, `{hex}`, `{base64}`, `{repeat, times}` or a list of those.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "text (write a number, true, false or null in quotes), {hex: ..}, {base64: ..}, \
             {repeat: .., times: ..} or a list of those",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.as_bytes().to_vec()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Text, A::Error> {
        let mut all = Vec::new();
        while let Some(Text(part)) = parts.next_element()? {
            all.extend(part);
        }
        Ok(Text(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
        let mut spelling = Spelling::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "hex" => spelling.hex = Some(map.next_value()?),
                "base64" => spelling.base64 = Some(map.next_value()?),
                "repeat" => spelling.repeat = Some(map.next_value()?),
                "times" => spelling.times = Some(map.next_value()?),
                other => return Err(A::Error::unknown_field(other, &["hex", "base64", "repeat", "times"])),
            }
        }
        spelling.bytes().map(Text).map_err(A::Error::custom)
    }
}

/// The keys of a mapping that stands for bytes.
#[derive(Default)]
struct Spelling {
    hex: Option<String>,
    base64: Option<String>,
    repeat: Option<Text>,
    times: Option<usize>,
}

impl Spelling {
    fn bytes(self) -> Result<Vec<u8>, String> {
        match (self.hex, self.base64, self.repeat, self.times) {
            (Some(digits), None, None, None) => from_hex(&digits),
            (None, Some(text), None, None) => {
                STANDARD.decode(text).map_err(|error| format!("not base64: {error}"))
            }
            (None, None, Some(Text(part)), Some(times)) => repeated(&part, times),
            _ => Err("write {hex: ..}, {base64: ..} or {repeat: .., times: ..}".into()),
        }
    }
}

fn repeated(part: &[u8], times: usize) -> Result<Vec<u8>, String> {
    match part.len().checked_mul(times) {
        Some(size) if size <= LIMIT => Ok(part.repeat(times)),
        _ => Err(format!("this makes more than {LIMIT} bytes; take a smaller `times`")),
    }
}

fn from_hex(digits: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = digits.bytes().filter(|byte| *byte != b' ').collect();
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect::<Option<_>>().ok_or_else(|| "not pairs of hexadecimal digits".into())
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let text = generator.subschema_for::<Text>();
        json_schema!({
            "description": "Bytes: text, or another spelling for what text cannot carry.",
            "oneOf": [
                {"type": "string"},
                {"type": "array", "items": text, "description": "These, one after the other."},
                {"type": "object", "required": ["hex"], "additionalProperties": false,
                 "properties": {"hex": {"type": "string", "pattern": "^([0-9a-fA-F]{2} *)*$"}}},
                {"type": "object", "required": ["base64"], "additionalProperties": false,
                 "properties": {"base64": {"type": "string"}}},
                {"type": "object", "required": ["repeat", "times"], "additionalProperties": false,
                 "properties": {"repeat": text, "times": {"type": "integer", "minimum": 0}}},
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Vec<u8>, String> {
        serde_saphyr::from_str::<Text>(yaml)
            .map(|text| text.0)
            .map_err(|error| error.without_snippet().to_string())
    }

    #[test]
    fn every_spelling_gives_bytes() {
        assert_eq!(read("plain").unwrap(), b"plain");
        assert_eq!(read("'12'").unwrap(), b"12");
        assert_eq!(read("{hex: 'ff 00'}").unwrap(), b"\xff\x00");
        assert_eq!(read("{base64: /w==}").unwrap(), b"\xff");
        assert_eq!(read("{repeat: ab, times: 3}").unwrap(), b"ababab");
        assert_eq!(read("{repeat: a, times: 0}").unwrap(), b"");
        assert_eq!(read("[a, {hex: '62'}, {repeat: c, times: 2}]").unwrap(), b"abcc");
    }

    #[test]
    fn what_is_not_text_says_what_to_write() {
        for yaml in ["12", "true", "1.5", "~"] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains("in quotes"), "{yaml}: {error}");
        }
        assert!(read("{hex: fff}").unwrap_err().contains("not pairs of hexadecimal digits"));
        assert!(read("{base64: '!'}").unwrap_err().contains("not base64"));
        assert!(read("{hax: ff}").unwrap_err().contains("unknown field `hax`"));
        assert!(read("{repeat: a}").unwrap_err().contains("{repeat: .., times: ..}"));
        assert!(read("{repeat: abcdefgh, times: 99999999}").unwrap_err().contains("smaller `times`"));
    }
}
