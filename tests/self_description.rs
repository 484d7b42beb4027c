//! What a module says of itself in custom sections: the schema of its configuration, the labels of its metrics. `pwkit
//! check-config` and `pwkit stats-tags` read them, whose tests write such sections by hand.

use std::path::Path;

use proxy_wasm_kit_tests::cargo;
use wasmparser::{Parser, Payload};

/// The bytes of a custom section of an example of the SDK.
fn section(example: &str, name: &str) -> Option<Vec<u8>> {
    // Where tests/sdk_examples.rs builds them, too.
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk_examples");
    let folder = built.to_str().expect("the target folder has a name that is text");
    let what = ["build", "--package=proxy-wasm-kit", "--example", example];
    let flags = ["--release", "--quiet", "--target=wasm32-wasip1", "--target-dir", folder];
    cargo(&[what.as_slice(), &flags].concat());
    let module = built.join("wasm32-wasip1/release/examples").join(example).with_extension("wasm");
    let code = std::fs::read(module).expect("the example has been built");
    Parser::new(0).parse_all(&code).find_map(|payload| match payload.expect("it is a module") {
        Payload::CustomSection(section) if section.name() == name => Some(section.data().to_vec()),
        _ => None,
    })
}

#[test]
fn a_module_holds_the_schema_of_its_configuration() {
    let text = section("cel_gate", "pwkit.config").expect("its configuration derives a schema");
    let schema: serde_json::Value = serde_json::from_slice(&text).expect("it is JSON");
    let expected = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "A condition, and what to say about requests that fulfil it.",
        "type": "object",
        "properties": {
            "allow": { "description": "CEL: whether a request may pass.", "type": "string" },
            "size": { "description": "CEL: the header `x-size`.", "type": "string" },
            "labels": { "description": "CEL: a list of texts for the header `x-labels`.", "type": "string" },
        },
        "required": ["allow", "size", "labels"],
        "additionalProperties": false,
    });
    assert_eq!(schema, expected);
    assert_eq!(section("work_queue", "pwkit.config"), None);
}

#[test]
fn a_module_names_the_labels_of_its_metrics() {
    let names = section("labelled_metrics", "pwkit.labels").expect("it derives labels");
    assert_eq!(String::from_utf8_lossy(&names), "example_host\nexample_class\n");
    assert_eq!(section("work_queue", "pwkit.labels"), None);
}
