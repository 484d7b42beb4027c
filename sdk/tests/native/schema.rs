//! The schema that is made of a configuration's type.

use proxy_wasm_kit::Config;
use serde_json::json;
use std::collections::BTreeMap;

/// All that there is.
#[derive(serde::Deserialize, Config)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(unknown_keys = "warn")]
#[allow(dead_code, reason = "only its schema is looked at")]
struct Everything {
    /// The name,
    /// in "quotes".
    first_name: String,
    #[serde(rename = "limit", alias = "max")]
    limits: u16,
    #[serde(default)]
    parts: Vec<Part>,
    optional: Option<bool>,
    #[serde(default, deserialize_with = "either")]
    #[schema(json = r#""type":["boolean","string"]"#)]
    lenient: bool,
    #[serde(skip)]
    own: u64,
    by_name: BTreeMap<String, f64>,
    mode: Mode,
    action: Action,
    way: Way,
    /// Of old.
    #[serde(default)]
    #[schema(no_effect = "the \"new\" one counts")]
    old: serde::de::IgnoredAny,
}

#[derive(serde::Deserialize, proxy_wasm_kit::Schema)]
#[allow(dead_code, reason = "only its schema is looked at")]
struct Part {
    id: Id,
    #[serde(default, deserialize_with = "present")]
    label: Option<String>,
}

#[derive(serde::Deserialize, proxy_wasm_kit::Schema)]
#[allow(dead_code, reason = "only its schema is looked at")]
struct Id(u8);

#[derive(serde::Deserialize, proxy_wasm_kit::Schema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    FailOpen,
    #[serde(rename = "closed")]
    FailClosed,
}

#[derive(serde::Deserialize, proxy_wasm_kit::Schema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
#[allow(dead_code, reason = "only its schema is looked at")]
enum Action {
    Deny { status: u16 },
    Pass,
}

#[derive(serde::Deserialize, proxy_wasm_kit::Schema)]
#[allow(dead_code, reason = "only its schema is looked at")]
enum Way {
    None,
    Header(String),
}

fn either<'de, D: serde::Deserializer<'de>>(_: D) -> Result<bool, D::Error> {
    Ok(true)
}

fn present<'de, D: serde::Deserializer<'de>>(_: D) -> Result<Option<String>, D::Error> {
    Ok(None)
}

#[test]
fn a_schema_follows_the_type_and_serdes_attributes() {
    const TEXT: &str = proxy_wasm_kit::config_schema!(Everything);
    let schema: serde_json::Value = serde_json::from_str(TEXT).unwrap();
    let part = json!({
        "type": "object",
        "properties": {
            "id": {"type": "integer", "minimum": 0, "maximum": 255},
            "label": {"type": "string"},
        },
        "required": ["id"],
    });
    let limit = json!({"type": "integer", "minimum": 0, "maximum": 65535});
    let expected = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "All that there is.",
        "type": "object",
        "properties": {
            "firstName": {"description": "The name, in \"quotes\".", "type": "string"},
            "limit": limit,
            "max": limit,
            "parts": {"type": "array", "items": part},
            "optional": {"type": "boolean", "nullable": true},
            "lenient": {"type": ["boolean", "string"]},
            "byName": {"type": "object", "additionalProperties": {"type": "number"}},
            "mode": {"enum": ["fail_open", "closed"]},
            "action": {"oneOf": [
                {
                    "type": "object",
                    "properties": {"type": {"const": "deny"}, "status": limit},
                    "required": ["type", "status"],
                    "additionalProperties": false,
                },
                {
                    "type": "object",
                    "properties": {"type": {"const": "pass"}},
                    "required": ["type"],
                    "additionalProperties": false,
                },
            ]},
            "way": {"oneOf": [
                {"enum": ["None"]},
                {
                    "type": "object",
                    "properties": {"Header": {"type": "string"}},
                    "required": ["Header"],
                    "additionalProperties": false,
                },
            ]},
            "old": {
                "description": "Of old.",
                "type": ["null", "boolean", "number", "string", "array", "object"],
                "x-no-effect": "the \"new\" one counts",
            },
        },
        "required": ["firstName", "byName", "mode", "action", "way"],
        "additionalProperties": false,
        "x-unknown-keys": "warn",
    });
    assert_eq!(schema, expected);
}
