//! What the scripts say: why they exist, and what to do when something is in their way.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use proxy_wasm_kit_tests::{read, root};

fn scripts() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("scripts")).expect("scripts/ can be read");
    entries.map(|entry| entry.expect("an entry of scripts/ can be read").path()).collect()
}

fn run(script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(root().join(script));
    let output = command.args(arguments).envs(variables.iter().copied()).output();
    output.unwrap_or_else(|error| panic!("{script} does not start: {error}"))
}

/// The script fails, and says why in one line that holds all these words.
#[track_caller]
fn assert_refuses(output: &Output, words: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "it did not fail");
    assert_eq!(message.lines().count(), 1, "{message}");
    for word in words {
        assert!(message.contains(word), "{message:?} does not hold {word:?}");
    }
}

#[test]
fn scripts_explain_themselves() {
    for path in scripts() {
        let help = Command::new(&path).arg("--help").output();
        let help = help.unwrap_or_else(|error| panic!("{} does not start: {error}", path.display()));
        assert!(help.status.success(), "{} --help fails", path.display());
        assert!(help.stdout.len() > 200, "{} --help does not tell why it exists", path.display());
    }
}

#[test]
fn scripts_are_executable() {
    for path in scripts().into_iter().chain([root().join(".ci/run")]) {
        let mode = path.metadata().expect("a script has a mode").permissions().mode();
        assert_ne!(mode & 0o111, 0, "{} is not executable", path.display());
    }
}

#[test]
fn continuous_integration_runs_what_a_person_runs() {
    let script = read(".ci/run");
    let commands: Vec<&str> = script.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(commands, [r#"exec "$(dirname "$0")/../scripts/test" "$@""#]);
}

#[test]
fn envoy_refuses_what_is_no_envoy() {
    assert_refuses(&run("scripts/envoy", &[], &[("ENVOY", "/bin/ls")]), &["/bin/ls", "ENVOY"]);
    assert_refuses(&run("scripts/envoy", &[], &[("ENVOY", "/nowhere/envoy")]), &["/nowhere/envoy", "ENVOY"]);
    assert_refuses(&run("scripts/envoy", &["../1.40.0"], &[]), &["../1.40.0", "version"]);
}

#[test]
fn prometheus_refuses_what_is_no_prometheus() {
    let refused = |path| run("scripts/prometheus", &[], &[("PROMETHEUS", path)]);
    assert_refuses(&refused("/bin/ls"), &["/bin/ls", "PROMETHEUS"]);
    assert_refuses(&refused("/nowhere/prometheus"), &["/nowhere/prometheus", "PROMETHEUS"]);
}

#[test]
fn run_refuses_what_is_no_extension() {
    assert_refuses(&run("scripts/run", &["nothing"], &[]), &["extensions/nothing/deploy/envoy.yaml"]);
}

#[test]
fn run_refuses_a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = taken.local_addr().expect("it has an address").port().to_string();
    assert_refuses(&run("scripts/run", &["--port", &port], &[]), &[&port, "--port"]);
    assert_refuses(&run("scripts/run", &["--mesh", "--port", &port], &[]), &[&port, "--port"]);
}
