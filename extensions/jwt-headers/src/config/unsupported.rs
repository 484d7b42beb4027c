//! What Envoy has and a module cannot: known by name, so that the refusal can say what to write instead.

use proxy_wasm_kit::{Schema, SchemaText};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

/// Any value of a key that is refused.
#[derive(Clone, Copy, Debug)]
pub struct Unsupported;

impl<'de> Deserialize<'de> for Unsupported {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(from).map(|_| Self)
    }
}

impl Schema for Unsupported {
    // Any: the module itself says why it refuses, and what would be right.
    const MEMBERS: &'static SchemaText =
        &SchemaText::Text(r#""type":["null","boolean","number","string","array","object"]"#);
}
