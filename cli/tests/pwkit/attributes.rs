//! `pwkit attributes from-openapi`: what names the operations of an API.

use crate::program::{Workshop, assert_on_record};
use serde_json::Value;
use std::path::Path;

const REVIEWS: &str = include_str!("../openapi/reviews.yaml");

fn workshop(name: &str, document: &str) -> Workshop {
    let workshop = Workshop::new(name);
    workshop.file("api.yaml", document);
    workshop
}

#[test]
fn a_document_becomes_a_configuration() {
    let workshop = workshop("openapi", REVIEWS);
    let end = workshop.run(&["attributes", "from-openapi", "api.yaml"]);
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
    assert_on_record("attributes-openapi.yaml", &end.stdout);
}

#[test]
fn yaml_and_json_are_the_same_configuration() {
    let workshop = workshop("openapi-json", REVIEWS);
    let text = |options: &[&str]| {
        let end = workshop.run(&[&["attributes", "from-openapi", "api.yaml"], options].concat());
        assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
        end.stdout
    };
    let json: Value = serde_json::from_str(&text(&["--json"])).unwrap();
    assert_eq!(serde_saphyr::from_str::<Value>(&text(&[])).unwrap(), json);
    // The cases of the extension run it on all hosts.
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../extensions/attribute-gen/cases/openapi.yaml");
    let cases: Value = serde_saphyr::from_str(&std::fs::read_to_string(cases).unwrap()).unwrap();
    assert_eq!(cases["config"], json);
    let chosen = text(&["--json", "--attribute", "x", "--base-path", "/"]);
    let chosen: Value = serde_json::from_str(&chosen).unwrap();
    assert_eq!(chosen["attributes"][0]["output_attribute"], "x");
    assert_eq!(chosen["attributes"][0]["match"][0]["path"], "/health");
    assert_eq!(chosen["attributes"][0]["match"].as_array().unwrap().len(), 7);
}

#[test]
fn a_large_document_is_read() {
    let paths: String = (0..5000)
        .map(|number| format!("  /a{number}/{{id}}:\n    get:\n      operationId: Get{number}\n      description: {}\n      responses: {{ 200: {{ description: x }} }}\n", "x".repeat(200)))
        .collect();
    // As many values as the descriptions of the largest public APIs.
    let values = "[x],".repeat(200_000);
    let workshop =
        workshop("openapi-large", &format!("openapi: 3.0.0\nx-values: [{values}]\npaths:\n{paths}"));
    let end = workshop.run(&["attributes", "from-openapi", "api.yaml"]);
    assert_eq!((end.code, end.stderr.as_str(), end.stdout.lines().count()), (Some(0), "", 5004));
}

#[test]
fn what_is_odd_is_a_warning_and_not_in_the_output() {
    let document = "openapi: 3.0.0\npaths:\n  /a/{x}: { get: {} }\n  /a/{y}: { get: {} }\n";
    let end = workshop("openapi-odd", document).run(&["attributes", "from-openapi", "api.yaml"]);
    let warning = "api.yaml:4:13: warning: `GET /a/{y}` has the same requests as line 3, and is left out\n";
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), warning));
    assert!(
        end.stdout.ends_with("      - { method: \"GET\", path: \"/a/{x}\", value: \"GET /a/{x}\" }\n"),
        "{}",
        end.stdout
    );
}

#[test]
fn mistakes_are_told_with_place_and_remedy() {
    let run = |document: &str, options: &[&str]| {
        workshop("openapi-bad", document)
            .run(&[&["attributes", "from-openapi", "api.yaml"], options].concat())
    };
    run("swagger: '2.0'\n", &[]).assert_refused(
        3,
        "api.yaml:1:1: error: this is OpenAPI 2 (Swagger); convert it to OpenAPI 3 first, as editor.swagger.io does",
    );
    let relative = "openapi: 3.0.0\nservers: [{ url: v1 }]\npaths: { /a: { get: {} } }\n";
    run(relative, &[]).assert_refused(
        3,
        "api.yaml:2:11: error: the URL `v1` is relative to where the document is served; give --base-path",
    );
    run(relative, &["--base-path", "v1"])
        .assert_refused(2, "--base-path v1: expected a path that begins with /");
    run("openapi: 3.0.0\npaths:\n  /a: { get: {} }\n  /a: { put: {} }\n", &[])
        .assert_refused(3, "api.yaml:4:3: error: the key `/a` is there twice; remove one");
    let missing = Workshop::new("openapi-none").run(&["attributes", "from-openapi", "api.yaml"]);
    missing.assert_refused(3, "api.yaml: there is no such file");
    let broken = run("openapi: [\n", &[]);
    assert_eq!(broken.code, Some(3));
    assert!(broken.stderr.starts_with("pwkit: api.yaml:"), "{}", broken.stderr);
}
