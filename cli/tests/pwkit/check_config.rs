//! `pwkit check-config`: mistakes in a configuration, by the schema in the module and by the module itself.

use crate::program::Workshop;

/// A module with a schema; it takes every configuration that has less than 200 bytes, and speaks of others as the SDK does.
const MODULE: &str = r#"(module
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "[m] configuration rejected: rules[1].prefix (line 1, column 99): expected less")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (if (i32.lt_u (local.get 1) (i32.const 200)) (then (return (i32.const 1))))
        (drop (call $log (i32.const 4) (i32.const 16) (i32.const 78)))
        (i32.const 0))
    (@custom "pwkit.config" "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"port\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":65535},\"rules\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"prefix\":{\"type\":\"string\"},\"mode\":{\"enum\":[\"on\",\"off\"]},\"action\":{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"type\":{\"const\":\"deny\"},\"status\":{\"type\":\"integer\"}},\"required\":[\"type\",\"status\"]},{\"enum\":[\"pass\"]}]}},\"required\":[\"prefix\"],\"additionalProperties\":false}},\"note\":{\"type\":\"string\",\"nullable\":true},\"old\":{\"type\":[\"null\",\"boolean\"],\"x-no-effect\":\"it is new\"}},\"required\":[\"name\"],\"additionalProperties\":false"
    "}"))"#;

#[track_caller]
fn check(name: &str, config: &str, code: i32, expected: &[&str]) {
    let workshop = Workshop::new(name);
    workshop.module("m.wasm", MODULE);
    workshop.file("c.yaml", config);
    let end = workshop.run(&["check-config", "m.wasm", "c.yaml"]);
    let printed: Vec<&str> = end.stdout.lines().chain(end.stderr.lines()).collect();
    assert_eq!((end.code, printed.as_slice()), (Some(code), expected));
}

const TAKEN: &str = "c.yaml: is taken by m.wasm";
const REFUSED: &str = "pwkit: c.yaml: refused, for the mistake above";

#[test]
fn what_fits_is_taken() {
    check(
        "fits-yaml",
        "name: x\nport: 80\nnote: ~\nrules:\n- { prefix: /, mode: on, action: pass }\n",
        0,
        &[TAKEN],
    );
    check(
        "fits-json",
        r#"{"name": "x", "rules": [{"prefix": "/", "action": {"type": "deny", "status": 403}}]}"#,
        0,
        &[TAKEN],
    );
    check("fits-istio", "kind: WasmPlugin\nspec:\n  pluginConfig:\n    name: x\n", 0, &[TAKEN]);
}

#[test]
fn all_mistakes_are_told_with_their_places() {
    check(
        "mistakes",
        "nmae: x\nport: 70000\nrules:\n- prefix: 7\n  mode: \"yes\"\n- prefix: /\n  action: { type: deny }\n- action: nope\n",
        4,
        &[
            "c.yaml:1:1: error: nmae: unknown key; did you mean `name`?",
            "c.yaml:1:1: error: the key `name` is missing; add it",
            "c.yaml:2:7: error: port: expected a number from 0 to 65535",
            "c.yaml:4:11: error: rules[0].prefix: expected a text (in quotes, if it looks like something else), found a whole number",
            "c.yaml:5:9: error: rules[0].mode: expected one of: \"on\", \"off\"",
            "c.yaml:7:11: error: rules[1].action: the key `status` is missing; add it",
            "c.yaml:8:3: error: rules[2]: the key `prefix` is missing; add it",
            "c.yaml:8:11: error: rules[2].action: expected one of: \"deny\", \"pass\"",
            "pwkit: c.yaml: refused, for 8 mistakes",
        ],
    );
}

#[test]
fn an_empty_configuration_lacks_what_is_required() {
    let expected = ["c.yaml:1:1: error: the key `name` is missing; add it"];
    let end = REFUSED;
    check("empty", "", 4, &[expected[0], end]);
}

/// The module where proxies go on without unknown keys.
fn lenient() -> String {
    MODULE.replace(
        "\\\"additionalProperties\\\":false\"\n",
        "\\\"additionalProperties\\\":false,\\\"x-unknown-keys\\\":\\\"warn\\\"\"\n",
    )
}

/// What is printed about a configuration that is refused.
#[track_caller]
fn refused(name: &str, module: &str, config: &str) -> Vec<String> {
    let workshop = Workshop::new(name);
    workshop.module("m.wasm", module);
    workshop.file("c.yaml", config);
    let end = workshop.run(&["check-config", "m.wasm", "c.yaml"]);
    assert_eq!(end.code, Some(4), "{}", end.stdout);
    end.stdout.lines().chain(end.stderr.lines()).map(str::to_owned).collect()
}

#[test]
fn keys_that_a_proxy_only_warns_of_are_mistakes_too() {
    let config = "name: x\nrules:\n- prefix: /\n  mod: on\n- prefix: /\n  mod: on\n  other: 1\n";
    let pass = "(a proxy warns of it, and goes on without it)";
    assert_eq!(
        refused("lenient", &lenient(), config),
        [
            format!("c.yaml:4:3: error: rules[0].mod: unknown key; did you mean `mode`? {pass}"),
            format!("c.yaml:6:3: error: rules[1].mod: unknown key; did you mean `mode`? {pass}"),
            format!(
                "c.yaml:7:3: error: rules[1].other: unknown key; known here: action, mode, prefix {pass}"
            ),
            "pwkit: c.yaml: refused, for 3 mistakes".to_owned(),
        ]
    );
}

#[test]
fn without_a_schema_the_module_tells_of_unknown_keys() {
    let warning = lenient()
        .replace("pwkit.config", "other")
        .replace("(i32.const 4) (i32.const 16)", "(i32.const 3) (i32.const 16)")
        .replace("rejected: ", "key ignored: ")
        .replace("expected less", "unknown key")
        .replace("(i32.const 78)", "(i32.const 79)")
        .replace("(i32.const 0))\n    (@custom", "(i32.const 1))\n    (@custom");
    let expected = ["c.yaml:4:11: error: rules[1].prefix: unknown key", REFUSED];
    assert_eq!(refused("lenient-no-schema", &warning, &long()), expected);
}

#[test]
fn keys_without_effect_are_told_and_taken() {
    let note = "c.yaml:2:6: note: old: accepted, and without effect: it is new";
    check("no-effect", "name: x\nold: true\n", 0, &[note, TAKEN]);
}

#[test]
fn what_the_module_warns_of_is_told_and_taken() {
    let workshop = Workshop::new("warning");
    let module = MODULE
        .replace(
            "configuration rejected: rules[1].prefix (line 1, column 99): expected less",
            "configuration: rules[1].prefix: it is weak",
        )
        .replace("(i32.const 4) (i32.const 16) (i32.const 78)", "(i32.const 3) (i32.const 16) (i32.const 46)")
        .replace("(i32.const 0))\n    (@custom", "(i32.const 1))\n    (@custom");
    workshop.module("m.wasm", &module);
    workshop.file("c.yaml", long());
    let end = workshop.run(&["check-config", "m.wasm", "c.yaml"]);
    let expected = format!("c.yaml:4:11: warning: rules[1].prefix: it is weak\n{TAKEN}\n");
    assert_eq!((end.code, end.stdout, end.stderr.as_str()), (Some(0), expected, ""));
}

/// What the module has something to say of.
fn long() -> String {
    format!("name: {}\nrules:\n- prefix: a\n- prefix: b\n", "x".repeat(300))
}

#[test]
fn what_no_schema_says_the_module_says() {
    let said = "c.yaml:4:11: error: rules[1].prefix: expected less";
    check("by-module", &long(), 4, &[said, REFUSED]);
}

#[test]
fn what_the_module_goes_on_without_is_refused_all_the_same() {
    let going_on = MODULE.replace("(i32.const 0))\n    (@custom", "(i32.const 1))\n    (@custom");
    let complaining = going_on.replace("rejected: ", "error: ").replace("expected less", "expected nothing");
    let said = "c.yaml:4:11: error: rules[1].prefix: expected nothing";
    assert_eq!(refused("complaint", &complaining, &long()), [said, REFUSED]);
}

#[test]
fn a_manifest_of_istio_is_checked_where_the_configuration_stands() {
    let manifest = |rest: &str| format!("apiVersion: v1\nkind: WasmPlugin\nspec:\n  phase: AUTHN\n{rest}");
    let unknown = "c.yaml:6:5: error: nam: unknown key; did you mean `name`?";
    let missing = |line| format!("c.yaml:{line}: error: the key `name` is missing; add it");
    let found = refused("istio-unknown", MODULE, &manifest("  pluginConfig:\n    nam: x\n"));
    assert_eq!(
        found,
        [unknown.to_owned(), missing("6:5"), "pwkit: c.yaml: refused, for 2 mistakes".to_owned()]
    );
    // Istio gives the plugin nothing then.
    assert_eq!(refused("istio-none", MODULE, &manifest("")), [missing("4:3"), REFUSED.to_owned()]);
    assert_eq!(
        refused("istio-null", MODULE, &manifest("  pluginConfig:\n")),
        [missing("4:3"), REFUSED.to_owned()]
    );
    let slip = "pwkit: c.yaml:5:3: error: spec.pluginconfig: unknown key; did you mean `pluginConfig`?";
    assert_eq!(refused("istio-slip", MODULE, &manifest("  pluginconfig:\n    name: x\n")), [slip]);
    let others = "kind: Namespace\n---\n";
    let good = manifest("  pluginConfig: { name: x }\n");
    check("istio-others", &format!("{others}{good}"), 0, &[TAKEN]);
    let two = "pwkit: c.yaml: error: 3 documents, 2 of them a WasmPlugin; give each a file of its own";
    assert_eq!(refused("istio-two", MODULE, &format!("{others}{good}---\n{good}")), [two]);
}

#[test]
fn what_a_module_or_a_file_says_stays_in_its_line() {
    let shouting = MODULE.replace("expected less", "\\1b[2J\\0a\\07 less");
    let said = "c.yaml:4:11: error: rules[1].prefix: \\u{1b}[2J\\n\\u{7} less";
    assert_eq!(
        refused("terminal", &shouting.replace("(i32.const 78)", "(i32.const 76)"), &long()),
        [said, REFUSED]
    );
    let known = "unknown key; known here: name, note, old, port, rules";
    let said = format!("c.yaml:2:1: error: \\u{{1b}}[2J: {known}");
    assert_eq!(refused("terminal-key", MODULE, "name: x\n\"\\e[2J\": 1\n"), [said, REFUSED.to_owned()]);
}

#[test]
fn what_is_neither_yaml_nor_json_is_told_with_its_place() {
    let workshop = Workshop::new("no-yaml");
    workshop.module("m.wasm", MODULE);
    workshop.file("c.yaml", "name: x\nport: [1\n");
    let end = workshop.run(&["check-config", "m.wasm", "c.yaml"]);
    assert_eq!((end.code, end.stdout.as_str()), (Some(4), ""));
    assert!(end.stderr.contains("error: neither YAML nor JSON: "), "{}", end.stderr);
}

#[test]
fn a_module_without_a_schema_is_asked_alone() {
    let workshop = Workshop::new("no-schema");
    workshop.module("m.wasm", &MODULE.replace("pwkit.config", "other"));
    workshop.file("c.yaml", "nothing: fits\n");
    let end = workshop.run(&["check-config", "m.wasm", "c.yaml"]);
    let expected = "c.yaml: is taken by m.wasm; the module holds no schema, so it alone was asked\n";
    assert_eq!((end.code, end.stdout.as_str()), (Some(0), expected));
    let end = workshop.run(&["check-config", "m.wasm", "--schema"]);
    assert_eq!(end.code, Some(3));
}

#[test]
fn the_schema_is_printed_for_editors() {
    let workshop = Workshop::new("schema");
    workshop.module("m.wasm", MODULE);
    let end = workshop.run(&["check-config", "m.wasm", "--schema"]);
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
    assert!(end.stdout.starts_with("{\n  \"additionalProperties\": false,"), "{}", end.stdout);
}
