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

#[test]
fn labels_of_a_configuration_and_labels_that_stand_elsewhere() {
    let workshop = Workshop::new("tags-of-config");
    let labels =
        r#"(module (@custom "pwkit.labels" "rule\ncache (cache\\.(.*?)\\.)\n@metrics[].dimensions\n"))"#;
    workshop.module("one.wasm", labels);
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
