//! Does `pwkit check-config` refuse keys that nobody knows, for every extension that ships? That proxies only warn of them
//! where the original ignored them is in the cases of the extensions.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use proxy_wasm_kit_tests::{Metadata, assert_none, cargo, files, modules, root};
use serde_json::Value;

/// Where a key stands, and which one was meant.
type Unknown = (&'static str, &'static str);

/// A module, a configuration, and the keys in it that nobody knows.
const UNKNOWN: [(&str, &str, &[Unknown]); 5] = [
    (
        "attribute_gen",
        r#"{"debugg": true, "attributes": [{"output_attribute": "a", "outputAtribute": "a", "match": [{"valeu": "b"}]}]}"#,
        &[
            ("debugg", "did you mean `debug`?"),
            ("attributes[0].outputAtribute", "did you mean `outputAttribute`?"),
            ("attributes[0].match[0].valeu", "did you mean `value`?"),
        ],
    ),
    (
        "basic_auth",
        r#"{"relam": "x", "basic_auth_rules": [{"prefix": "/", "method": [], "request_methods": ["GET"], "credentials": ["a:b"]}]}"#,
        &[("relam", "did you mean `realm`?"), ("basic_auth_rules[0].method", "known here: ")],
    ),
    (
        "jwt_headers",
        r#"{"provider": {}, "providers": {"p": {"isuer": "x"}}}"#,
        &[("provider", "did you mean `providers`?"), ("providers.p.isuer", "did you mean `issuer`?")],
    ),
    (
        "metadata_exchange",
        r#"{"max_peers": 1, "upstream_propagation": [{"istio_headers": {"skip_external_cluster": true}}]}"#,
        &[
            ("max_peers", "known here: "),
            (
                "upstream_propagation[0].istio_headers.skip_external_cluster",
                "did you mean `skip_external_clusters`?",
            ),
        ],
    ),
    (
        "stats",
        r#"{"definition": [], "metrics": [{"name": "requests_total", "dimension": {"x": "request.method"}}]}"#,
        &[
            ("definition", "did you mean `definitions`?"),
            ("metrics[0].dimension", "did you mean `dimensions`?"),
        ],
    ),
];

/// Keys that do nothing, in the order in which they stand in the text.
const NO_EFFECT: [(&str, &str, &[&str]); 2] = [
    (
        "stats",
        r#"{"debug": false, "max_peer_cache_size": 9, "stat_prefix": "istio", "rotation_interval": "1s", "graceful_deletion_interval": "1s"}"#,
        &["debug", "max_peer_cache_size", "stat_prefix", "rotation_interval", "graceful_deletion_interval"],
    ),
    (
        "metadata_exchange",
        r#"{"downstream_discovery": [{"workload_discovery": {}}], "shared_with_upstream": true, "protocol": "x"}"#,
        &["downstream_discovery[0]", "shared_with_upstream", "protocol"],
    ),
];

/// Where the modules are, and pwkit.
struct Tools {
    modules: PathBuf,
    pwkit: PathBuf,
}

impl Tools {
    fn new() -> Self {
        // All members are named, so that dependencies are those of the tests.
        cargo(&["build", "--workspace", "--bin=pwkit", "--quiet"]);
        Self { modules: modules(), pwkit: Metadata::read().target_directory.join("debug/pwkit") }
    }

    fn module(&self, name: &str) -> PathBuf {
        self.modules.join(name).with_extension("wasm")
    }

    /// What pwkit says of a file: whether it takes it, and the lines that it prints.
    fn check(&self, name: &str, file: &Path) -> (Option<i32>, Vec<String>) {
        let mut command = Command::new(&self.pwkit);
        let output = command.arg("check-config").arg(self.module(name)).arg(file).output();
        let Output { status, stdout, .. } = output.expect("pwkit starts");
        let printed = String::from_utf8_lossy(&stdout).replace(&file.display().to_string(), "FILE");
        (status.code(), printed.lines().map(str::to_owned).collect())
    }

    fn check_text(&self, name: &str, text: &str) -> (Option<i32>, Vec<String>) {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("check-{name}-{}.yaml", text.len()));
        std::fs::write(&file, text).expect("the target folder can be written to");
        self.check(name, &file)
    }
}

/// A manifest of Istio whose configuration has a line for each key.
fn manifest(config: &str) -> String {
    let config: Value = serde_json::from_str(config).expect("it is JSON");
    let entries =
        config.as_object().expect("an object").iter().map(|(key, value)| format!("    {key}: {value}\n"));
    format!("kind: WasmPlugin\nspec:\n  pluginConfig:\n{}", entries.collect::<String>())
}

#[test]
fn unknown_keys_are_refused() {
    let tools = Tools::new();
    for (name, config, keys) in UNKNOWN {
        let text = manifest(config);
        let (code, printed) = tools.check_text(name, &text);
        assert_eq!((code, printed.len()), (Some(4), keys.len()), "{name}: {printed:#?}");
        for (path, hint) in keys {
            let told = format!("{}error: {path}: unknown key; {hint}", place(&text, path));
            assert!(printed.iter().any(|line| line.starts_with(&told)), "no line is {told:?}: {printed:#?}");
        }
    }
}

/// How a line begins that is about the last key of a path.
fn place(text: &str, path: &str) -> String {
    let key = path.rsplit('.').next().unwrap_or_default();
    let quoted = [format!("\"{key}\""), format!("    {key}:")];
    let (line, found) = text
        .lines()
        .enumerate()
        .find_map(|(number, line)| {
            let at =
                quoted.iter().find_map(|form| Some(line.find(form)? + form.len() - form.trim_start().len()));
            Some((number + 1, at? + 1))
        })
        .expect("the key stands in the text");
    format!("FILE:{line}:{found}: ")
}

#[test]
fn keys_without_effect_are_told_and_taken() {
    let tools = Tools::new();
    for (name, config, keys) in NO_EFFECT {
        let (code, printed) = tools.check_text(name, config);
        assert_eq!((code, printed.len()), (Some(0), keys.len() + 1), "{name}: {printed:#?}");
        for (key, line) in keys.iter().zip(&printed) {
            let told = [format!(": note: {key}: "), format!(": warning: {key}: ")];
            assert!(told.iter().any(|told| line.contains(told)), "{name}: {line} is not about {key}");
        }
    }
}

#[test]
fn every_manifest_is_taken() {
    let tools = Tools::new();
    let manifests = files("yaml").into_iter().filter(|path| path.ends_with("deploy/wasmplugin.yaml"));
    let refused = manifests.filter_map(|path| {
        let name = path.split('/').nth(1)?.replace('-', "_");
        let (code, printed) = tools.check(&name, &root().join(&path));
        (code != Some(0) || printed.len() != 1).then(|| format!("{path}: {printed:?}"))
    });
    assert_none(&refused.collect::<Vec<_>>());
}
