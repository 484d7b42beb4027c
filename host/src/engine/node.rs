//! The proxy's own description, `xds.node`: a protobuf message whose fields are attributes too.

use super::protobuf::put_bytes as bytes;
use super::value::Value;
use crate::exchange::{Metadata, Setup};
use serde_json::{Map, Value as Json};

/// `envoy.config.core.v3.Node`.
pub(super) fn node(setup: &Setup) -> Value {
    let mut wire = Vec::new();
    bytes(&mut wire, 1, setup.node_id.as_bytes());
    bytes(&mut wire, 2, setup.node_cluster.as_bytes());
    let nothing_known = Map::new();
    let metadata = setup.node_metadata.as_object().unwrap_or(&nothing_known);
    bytes(&mut wire, 3, &structure(metadata));
    let metadata = fields_of(metadata);
    let fields = vec![
        ("id", Value::text(&setup.node_id)),
        ("cluster", Value::text(&setup.node_cluster)),
        ("metadata", metadata),
        ("locality", Value::Message(Vec::new(), ["region", "zone", "sub_zone"].map(nothing).into())),
        ("user_agent_name", Value::text("envoy")),
    ];
    Value::Message(wire, fields)
}

fn nothing(name: &'static str) -> (&'static str, Value) {
    (name, Value::text(""))
}

/// `envoy.config.core.v3.Metadata`.
pub(super) fn metadata(metadata: &Metadata) -> Value {
    let mut wire = Vec::new();
    for (filter, object) in metadata {
        let mut entry = Vec::new();
        bytes(&mut entry, 1, filter.as_bytes());
        bytes(&mut entry, 2, &structure(object));
        bytes(&mut wire, 1, &entry);
    }
    let filters = metadata.iter().map(|(filter, object)| (filter.clone().into(), fields_of(object)));
    Value::Message(wire, vec![("filter_metadata", Value::Map(filters.collect()))])
}

fn fields_of(object: &Map<String, Json>) -> Value {
    Value::Map(object.iter().map(|(key, value)| (key.clone().into(), value.into())).collect())
}

/// `google.protobuf.Struct`.
fn structure(object: &Map<String, Json>) -> Vec<u8> {
    let mut wire = Vec::new();
    for (key, value) in object {
        let mut entry = Vec::new();
        bytes(&mut entry, 1, key.as_bytes());
        bytes(&mut entry, 2, &value_message(value));
        bytes(&mut wire, 1, &entry);
    }
    wire
}

/// `google.protobuf.Value`.
fn value_message(json: &Json) -> Vec<u8> {
    let mut wire = Vec::new();
    match json {
        Json::Null => wire.extend([1 << 3, 0]),
        Json::Number(number) => {
            wire.push(2 << 3 | 1);
            wire.extend(number.as_f64().unwrap_or(f64::NAN).to_le_bytes());
        }
        Json::String(text) => bytes(&mut wire, 3, text.as_bytes()),
        Json::Bool(truth) => wire.extend([4 << 3, u8::from(*truth)]),
        Json::Object(object) => bytes(&mut wire, 5, &structure(object)),
        Json::Array(items) => {
            let mut list = Vec::new();
            items.iter().for_each(|item| bytes(&mut list, 1, &value_message(item)));
            bytes(&mut wire, 6, &list);
        }
    }
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_written_as_protobuf() {
        let setup = Setup {
            node_id: "n".into(),
            node_cluster: String::new(),
            node_metadata: serde_json::json!({ "A": [true, null], "B": { "C": "x" } }),
            ..Setup::default()
        };
        let Value::Message(wire, _) = node(&setup) else { panic!("a message") };
        let metadata = b"\x0a\x0f\x0a\x01A\x12\x0a\x32\x08\x0a\x02\x20\x01\x0a\x02\x08\x00\x0a\x11\x0a\x01B\x12\x0c\x2a\x0a\x0a\x08\x0a\x01C\x12\x03\x1a\x01x";
        assert_eq!(wire, [b"\x0a\x01n\x12\x00\x1a\x24".as_slice(), metadata].concat());
    }
}
