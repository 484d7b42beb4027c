//! What the documents say about case files is true: snippets are read as they stand, the schema is the current one.

use std::path::{Path, PathBuf};

use proxy_wasm_kit_host::case;

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

/// A snippet as a whole file: one that starts with a case is put into a file.
fn as_file(snippet: &str) -> String {
    if snippet.starts_with("- ") { format!("about: x\ncases:\n{snippet}") } else { snippet.to_owned() }
}

#[test]
fn every_snippet_is_a_case_file() {
    let path = docs("cases.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let snippets: Vec<_> =
        text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(snippets.len() >= 11, "{} snippets", snippets.len());
    for snippet in snippets {
        let cases = case::parse(&path, &as_file(snippet), "plugin");
        let cases = cases.unwrap_or_else(|error| panic!("{error}\n{snippet}"));
        assert_eq!(cases.len(), 1, "{snippet}");
    }
}

#[test]
fn the_schema_is_up_to_date() {
    let path = docs("case.schema.json");
    let schema = case::schema();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema,
        "docs/case.schema.json is stale; run this test with UPDATE=1 in the environment"
    );
}
