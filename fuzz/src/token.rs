//! A second reading of tokens, by other means than that of jwt_headers, to compare the two.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Takes what anybody may take for base64url, so that what is canonical is seen by writing it again.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_encode_padding(false),
);

/// How many lists and objects may lie in each other.
const DEPTH: usize = 32;

/// What a token says, if it is one.
pub struct Token {
    /// `alg`
    pub algorithm: String,
    /// `kid`
    pub key_id: Option<String>,
    /// The payload.
    pub claims: Value,
    /// What is signed.
    pub signed: Vec<u8>,
    /// The payload, as it was sent.
    pub payload: String,
    /// The bytes of the signature.
    pub signature: Vec<u8>,
}

impl Token {
    /// Reads a token by RFC 7515 and RFC 7519, strictly; times are not compared with any clock.
    pub fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= 65_536)?;
        let parts: Vec<&str> = text.split('.').collect();
        let [header, payload, signature] = parts[..] else { return None };
        let (fields, claims) = (object(&decode(header)?)?, object(&decode(payload)?)?);
        let is_plain = fields.get("crit").is_none() && fields.get("b64").is_none_or(|value| *value == true);
        let key_id = match fields.get("kid") {
            None => None,
            Some(id) => Some(id.as_str()?.to_owned()),
        };
        (is_plain && are_typed(&claims)).then_some(())?;
        Some(Self {
            algorithm: fields.get("alg")?.as_str()?.to_owned(),
            key_id,
            claims,
            signed: format!("{header}.{payload}").into_bytes(),
            payload: payload.to_owned(),
            signature: decode(signature)?,
        })
    }

    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }
}

/// Base64url in the one form in which it may be written.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text).ok().filter(|bytes| LENIENT.encode(bytes) == text)
}

/// Base64url.
pub fn encode(bytes: &[u8]) -> String {
    LENIENT.encode(bytes)
}

/// An object that names no member twice, and is not too deep.
fn object(text: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(text).ok()?;
    (value.is_object() && depth(&value) <= DEPTH && is_unambiguous(std::str::from_utf8(text).ok()?))
        .then_some(value)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Whether no object in the text names a member twice. A map keeps one of each name: the names that it writes again are then
/// fewer than those of the text, which are counted by the colons outside of its texts.
fn is_unambiguous(text: &str) -> bool {
    fn names(text: &str) -> usize {
        let text = text.trim_ascii();
        if text.starts_with('{') {
            let members: BTreeMap<String, &RawValue> =
                serde_json::from_str(text).expect("it was read before");
            members.len() + members.values().map(|value| names(value.get())).sum::<usize>()
        } else if text.starts_with('[') {
            let list: Vec<&RawValue> = serde_json::from_str(text).expect("it was read before");
            list.iter().map(|value| names(value.get())).sum()
        } else {
            0
        }
    }
    colons(text) == names(text)
}

fn colons(text: &str) -> usize {
    let (mut colons, mut in_text, mut is_escaped) = (0, false, false);
    for byte in text.bytes() {
        match (in_text, byte) {
            (true, b'\\') if !is_escaped => is_escaped = true,
            (true, b'"') if !is_escaped => in_text = false,
            (true, _) => is_escaped = false,
            (false, b'"') => in_text = true,
            (false, b':') => colons += 1,
            (false, _) => {}
        }
    }
    colons
}

fn are_typed(claims: &Value) -> bool {
    let is = |name: &str, kind: fn(&Value) -> bool| claims.get(name).is_none_or(kind);
    let is_audience = |value: &Value| {
        value.is_string() || value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
    };
    is("iss", Value::is_string)
        && is("sub", Value::is_string)
        && is("aud", is_audience)
        && ["exp", "nbf", "iat"].iter().all(|name| is(name, is_date))
}

/// A numeric date from 1970 on. Whole ones go as far as a signed number of 64 bits, others as far as they are exact.
fn is_date(value: &Value) -> bool {
    match value.as_i64() {
        Some(whole) => whole >= 0,
        None => {
            !value.is_u64()
                && value.as_f64().is_some_and(|date| (0.0..=9_007_199_254_740_992.0).contains(&date))
        }
    }
}
