//! Claims that a filter before this one has verified, and left in dynamic metadata: Envoy's jwt_authn does.

use crate::config::{Config, Metadata, Trust};
use proxy_wasm_kit::{Error, property};
use proxy_wasm_kit_mesh::message::{Struct, Value as Field};
use proxy_wasm_kit_mesh::wire;
use serde_json::{Map, Number, Value};

/// Where claims are, if they are trusted.
pub(crate) fn source(config: &Config) -> Option<Metadata> {
    (config.trust == Trust::Metadata).then(|| config.metadata.clone().unwrap_or_default())
}

/// The claims of this request; none if there are none.
pub(crate) fn claims(from: &Metadata) -> Result<Map<String, Value>, Error> {
    // As one message, in which numbers, flags and texts are told apart.
    let Some(all) = property(&["metadata"])? else { return Ok(Map::new()) };
    let payload = namespace(&all, &from.namespace).and_then(|space| match space {
        Some(space) => Ok(Struct::decode(space).map_err(Error::new)?),
        None => Ok(Struct::default()),
    })?;
    match payload.get(&from.key) {
        Some(Field::Struct(claims)) => Ok(object(claims)),
        _ => Ok(Map::new()),
    }
}

/// A namespace of `envoy.config.core.v3.Metadata`.
fn namespace<'a>(mut wire: &'a [u8], wanted: &str) -> Result<Option<&'a [u8]>, Error> {
    while let Some(field) = wire::take(&mut wire).map_err(Error::new)? {
        let (1, wire::Field::Bytes(mut entry)) = field else { continue };
        let (mut name, mut fields) = (&b""[..], &b""[..]);
        while let Some(part) = wire::take(&mut entry).map_err(Error::new)? {
            match part {
                (1, wire::Field::Bytes(text)) => name = text,
                (2, wire::Field::Bytes(message)) => fields = message,
                _ => {}
            }
        }
        if name == wanted.as_bytes() {
            return Ok(Some(fields));
        }
    }
    Ok(None)
}

fn object(fields: &Struct) -> Map<String, Value> {
    fields.iter().map(|(name, field)| (name.to_owned(), value(field))).collect()
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Number(number) => number_of(*number).map_or(Value::Null, Value::Number),
        Field::Text(text) => Value::String(text.clone()),
        Field::Flag(flag) => Value::Bool(*flag),
        Field::Struct(fields) => Value::Object(object(fields)),
        Field::List(list) => Value::Array(list.iter().map(value).collect()),
    }
}

/// A whole number as one, as far as a float tells them apart.
fn number_of(float: f64) -> Option<Number> {
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    let is_whole = float.fract() == 0.0 && float.abs() < LARGEST;
    if is_whole { Some((float as i64).into()) } else { Number::from_f64(float) }
}
