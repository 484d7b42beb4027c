//! `pwkit stats-tags`: what a module's labels ask of Envoy's bootstrap.

use crate::program::Workshop;

#[test]
fn the_labels_of_all_modules_are_named_once() {
    let workshop = Workshop::new("tags");
    // The linker joins sections, a tool may leave them apart.
    let one = r#"(module (@custom "pwkit.labels" "rule\n") (@custom "pwkit.labels" "reason\nrule\n"))"#;
    workshop.module("one.wasm", one);
    workshop.module("two.wasm", r#"(module (@custom "pwkit.labels" "tenant\n"))"#);
    let end = workshop.run(&["stats-tags", "one.wasm", "two.wasm"]);
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
    let expected = r"# In Istio: sidecar.istio.io/extraStatTags: reason,rule,tenant
stats_config:
  stats_tags:
  - tag_name: reason
    regex: '[.;](reason=\.=(.*?);\.;)'
  - tag_name: rule
    regex: '[.;](rule=\.=(.*?);\.;)'
  - tag_name: tenant
    regex: '[.;](tenant=\.=(.*?);\.;)'
";
    assert_eq!(end.stdout, expected);
}

#[test]
fn a_module_without_labels_is_told_so() {
    let workshop = Workshop::new("no-tags");
    workshop.module("none.wasm", "(module)");
    let end = workshop.run(&["stats-tags", "none.wasm"]);
    assert_eq!((end.code, end.stdout.as_str()), (Some(3), ""));
    assert!(end.stderr.starts_with("pwkit: none.wasm: names no labels of metrics"), "{}", end.stderr);
}

/// A module that takes configurations, and names its labels.
const MODULE: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
    (@custom "pwkit.config" "{\"type\":\"object\",\"properties\":{\"metrics\":{\"type\":\"array\"},\"before\":{\"type\":\"string\"},\"behind\":{\"type\":\"string\"}},\"additionalProperties\":false}")
    (@custom "pwkit.labels" "rule\ncache (cache\\.(.*?)\\.)\n@metrics[].dimensions\n< before\n> behind\n"))"#;

#[test]
fn labels_of_a_configuration_and_labels_that_stand_elsewhere() {
    let workshop = Workshop::new("tags-of-config");
    workshop.module("one.wasm", MODULE);
    workshop
        .file("config.yaml", "{ metrics: [{ dimensions: { team: a } }, {}, { dimensions: { rule: b } }] }");
    let end = workshop.run(&["stats-tags", "one.wasm", "--config", "config.yaml"]);
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
    let expected = r"# In Istio: sidecar.istio.io/extraStatTags: rule,team
stats_config:
  stats_tags:
  - tag_name: cache
    regex: '(cache\.(.*?)\.)'
  - tag_name: rule
    regex: '[.;](rule=\.=(.*?);\.;)'
  - tag_name: team
    regex: '[.;](team=\.=(.*?);\.;)'
";
    assert_eq!(end.stdout, expected);
    let end = workshop.run(&["stats-tags", "one.wasm"]);
    assert!(end.stdout.contains(
        "\n# The keys of metrics[].dimensions are labels, too: name the configuration with --config\n"
    ));
}

#[test]
fn separators_of_a_configuration_stand_in_the_expressions_of_its_module() {
    let workshop = Workshop::new("tags-separators");
    workshop.module("one.wasm", MODULE);
    workshop.module("two.wasm", r#"(module (@custom "pwkit.labels" "tenant\n"))"#);
    workshop.file("config.yaml", r#"{ before: "^'", behind: "|]", metrics: [{ dimensions: { team: a } }] }"#);
    let end = workshop.run(&["stats-tags", "one.wasm", "two.wasm", "--config", "config.yaml"]);
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
    let expected = r"# In Istio: sidecar.istio.io/extraStatTags: tenant
# Istio's extraStatTags find no label behind separators of one's own
stats_config:
  stats_tags:
  - tag_name: cache
    regex: '(cache\.(.*?)\.)'
  - tag_name: rule
    regex: '[.\]](rule\^''(.*?)\|\])'
  - tag_name: team
    regex: '[.\]](team\^''(.*?)\|\])'
  - tag_name: tenant
    regex: '[.;](tenant=\.=(.*?);\.;)'
";
    assert_eq!(end.stdout, expected);
    let end = workshop.run(&["stats-tags", "one.wasm", "--config", "config.yaml"]);
    assert!(end.stdout.starts_with("# Istio's extraStatTags find no label"), "{}", end.stdout);
}

#[test]
fn a_configuration_that_the_module_does_not_take_is_refused() {
    let workshop = Workshop::new("tags-refused");
    workshop.module("one.wasm", MODULE);
    workshop.file("config.yaml", "metric:\n- dimensions: { team: a }\n");
    let end = workshop.run(&["stats-tags", "one.wasm", "--config", "config.yaml"]);
    assert_eq!((end.code, end.stdout.as_str()), (Some(4), ""));
    let said = "pwkit: config.yaml:1:1: error: metric: unknown key; did you mean `metrics`?; one.wasm does not take it, see pwkit check-config\n";
    assert_eq!(end.stderr, said);
}
