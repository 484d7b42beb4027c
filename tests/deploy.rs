//! The manifests that an extension ships with: envoy.yaml serves what it promises in the embedded host and in a real Envoy,
//! by scripts/run, and wasmplugin.yaml is what Istio accepts, with the same configuration.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use proxy_wasm_kit_tests::running::Running;
use proxy_wasm_kit_tests::{Metadata, assert_none, read, root};
use regex_lite::Regex;
use serde_json::Value;

/// `scripts/run`, serving extensions.
struct Run {
    running: Running,
    port: u16,
    /// Each curl line that it proposes, with what is said to come of it.
    proposals: Vec<(String, String)>,
}

impl Run {
    /// One extension in a real Envoy.
    fn start(extension: &str, envoy: &Path) -> Self {
        let mut command = Command::new(root().join("scripts/run"));
        command.args([extension, "--envoy"]).env("ENVOY", envoy);
        Self::of(command)
    }

    /// All extensions in the embedded host.
    fn embedded() -> Self {
        Self::of(Command::new(root().join("scripts/run")))
    }

    fn of(command: Command) -> Self {
        let running = Running::start(command);
        let proposal = Regex::new(r"(?m)^  (curl .*)\n      (.*)$").expect("the pattern is right");
        let proposals = proposal
            .captures_iter(&running.introduction)
            .map(|found| (found[1].to_owned(), found[2].to_owned()))
            .collect();
        Self { port: running.port, running, proposals }
    }
}

#[test]
fn a_deployment_serves_what_it_promises() {
    let Some(envoy) = proxy_wasm_kit_tests::envoy() else { return };
    let mut wrong = Vec::new();
    for extension in extensions() {
        let run = Run::start(&extension, &envoy);
        assert!(run.proposals.len() >= 3, "{extension}: scripts/run proposes less than three requests");
        for (command, promise) in &run.proposals {
            let status = Request::of(command, run.port).status(run.port);
            if !promise.starts_with(&status) {
                wrong.push(format!(
                    "{extension}: `{command}` promises {promise:?}, and is answered with {status}"
                ));
            }
        }
    }
    assert_none(&wrong);
}

#[test]
fn the_embedded_host_serves_what_every_deployment_promises() {
    let run = Run::embedded();
    let unserved = extensions().into_iter().filter(|extension| {
        let path = format!("/{extension}/");
        !run.proposals.iter().any(|(command, _)| command.contains(&path))
    });
    let mut wrong: Vec<String> = unserved.map(|extension| format!("{extension} is not served")).collect();
    for (command, promise) in &run.proposals {
        let status = Request::of(command, run.port).status(run.port);
        if !promise.starts_with(&status) {
            wrong.push(format!("`{command}` promises {promise:?}, and is answered with {status}"));
        }
    }
    assert_none(&wrong);
    assert_eq!(run.running.end("-INT").code(), Some(0));
}

#[test]
fn a_byte_that_is_no_text_leaves_the_module_serving() {
    let Some(envoy) = proxy_wasm_kit_tests::envoy() else { return };
    for extension in extensions() {
        let run = Run::start(&extension, &envoy);
        for (command, promise) in &run.proposals {
            // In the header that a filter reads, and in one that it does not.
            for header in [&b"authorization: Basic \xff"[..], b"authorization: \xff\xfe", b"x-other: \xff"] {
                let mut request = Request::of(command, run.port);
                request.headers.retain(|one| !header.starts_with(&one[..5]));
                request.headers.push(header.to_vec());
                let status = request.status(run.port);
                assert!(
                    !status.starts_with('5'),
                    "{extension}: {command} with {header:?} is answered with {status}"
                );
            }
            let after = Request::of(command, run.port).status(run.port);
            assert!(
                promise.starts_with(&after),
                "{extension}: after 0xff, {command} is answered with {after}"
            );
        }
    }
}

#[test]
fn run_leaves_nothing_behind() {
    let Some(envoy) = proxy_wasm_kit_tests::envoy() else { return };
    for (signal, expected) in [("-INT", 0), ("-TERM", 128 + 15)] {
        let run = Run::start("basic-auth", &envoy);
        let port = run.port;
        assert_eq!(run.running.end(signal).code(), Some(expected), "kill {signal}");
        let processes = Command::new("ps").args(["-A", "-o", "args="]).output().expect("ps starts");
        let left = String::from_utf8_lossy(&processes.stdout).contains(&format!("port_value: {port}"));
        assert!(!left, "Envoy is still there after kill {signal}");
        assert!(
            TcpStream::connect(("127.0.0.1", port)).is_err(),
            "port {port} still answers after kill {signal}"
        );
    }
}

#[test]
fn both_manifests_carry_the_same_configuration() {
    for extension in extensions() {
        let envoy = manifest(&extension, "envoy.yaml");
        let istio = manifest(&extension, "wasmplugin.yaml");
        let text = find(&envoy, "configuration").and_then(|any| any["value"].as_str());
        let in_envoy: Value =
            serde_json::from_str(text.expect("envoy.yaml configures the plugin")).expect("by JSON");
        assert_eq!(in_envoy, istio["spec"]["pluginConfig"], "{extension}");
    }
}

#[test]
fn wasmplugins_are_what_istio_accepts() {
    let found: Vec<String> = extensions()
        .iter()
        .flat_map(|name| {
            complaints(&manifest(name, "wasmplugin.yaml"))
                .into_iter()
                .map(move |text| format!("{name}: {text}"))
        })
        .collect();
    assert_none(&found);
}

/// The rules of Istio's custom resource for what is used here: names of fields, enumerations, what is required.
fn complaints(plugin: &Value) -> Vec<String> {
    const FIELDS: [&str; 15] = [
        "selector",
        "targetRefs",
        "url",
        "sha256",
        "imagePullPolicy",
        "imagePullSecret",
        "verificationKey",
        "pluginConfig",
        "pluginName",
        "phase",
        "priority",
        "failStrategy",
        "vmConfig",
        "match",
        "type",
    ];
    let spec = &plugin["spec"];
    let fields = spec.as_object().into_iter().flat_map(|spec| spec.keys());
    let unknown =
        fields.filter(|key| !FIELDS.contains(&key.as_str())).map(|key| format!("spec.{key} is no field"));
    let choices = [
        (&plugin["apiVersion"], "extensions.istio.io/v1alpha1"),
        (&plugin["kind"], "WasmPlugin"),
        (&spec["phase"], "AUTHN AUTHZ STATS UNSPECIFIED_PHASE"),
        (&spec["failStrategy"], "FAIL_CLOSE FAIL_OPEN FAIL_RELOAD"),
    ];
    let wrong = choices.into_iter().filter(|(value, allowed)| {
        !value.as_str().is_some_and(|text| allowed.split(' ').any(|one| one == text))
    });
    let mut found: Vec<String> =
        unknown.chain(wrong.map(|(value, allowed)| format!("{value} is none of {allowed}"))).collect();
    if !plugin["metadata"]["name"].is_string() {
        found.push("metadata.name is missing".to_owned());
    }
    let url = spec["url"].as_str().unwrap_or_default();
    if !["oci://", "https://", "http://", "file://"].iter().any(|scheme| url.starts_with(scheme)) {
        found.push(format!("spec.url {url:?} has no scheme that Istio fetches from"));
    }
    found
}

fn extensions() -> Vec<String> {
    let metadata = Metadata::read();
    let folders = metadata.members().filter(|member| member.is_extension()).map(|member| member.folder());
    folders.map(|folder| folder.trim_start_matches("extensions/").to_owned()).collect()
}

fn manifest(extension: &str, file: &str) -> Value {
    let path = format!("extensions/{extension}/deploy/{file}");
    serde_saphyr::from_str(&read(&path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The value of the first key of that name, at any depth.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(name).or_else(|| map.values().find_map(|value| find(value, name))),
        Value::Array(list) => list.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

/// What a curl line sends; a machine that runs tests need not have curl.
struct Request {
    method: String,
    path: String,
    headers: Vec<Vec<u8>>,
}

impl Request {
    fn of(curl: &str, port: u16) -> Self {
        let mut request = Self { method: "GET".to_owned(), path: "/".to_owned(), headers: Vec::new() };
        let mut words = curl.split_whitespace().skip(1);
        while let Some(word) = words.next() {
            match word {
                "-i" | "-s" => {}
                "-I" => "HEAD".clone_into(&mut request.method),
                "-X" => words.next().expect("-X names a method").clone_into(&mut request.method),
                "-u" => {
                    let credential = BASE64_STANDARD.encode(words.next().expect("-u names a credential"));
                    request.headers.push(format!("authorization: Basic {credential}").into_bytes());
                }
                "-H" => {
                    request.headers.push(words.next().expect("-H names a header").as_bytes().to_vec());
                }
                url => url
                    .strip_prefix(&format!("http://127.0.0.1:{port}"))
                    .expect("a curl line of a known form")
                    .clone_into(&mut request.path),
            }
        }
        request
    }

    /// The whole answer, or nothing when the proxy closes the connection without one.
    fn send(&self, port: u16) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout can be set");
        let line = format!("{} {} HTTP/1.1", self.method, self.path).into_bytes();
        let fixed = [line, b"host: 127.0.0.1".to_vec(), b"connection: close".to_vec()];
        let mut bytes = fixed.iter().chain(&self.headers).cloned().collect::<Vec<_>>().join(&b"\r\n"[..]);
        bytes.extend_from_slice(b"\r\n\r\n");
        stream.write_all(&bytes).expect("the proxy reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the proxy answers");
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn status(&self, port: u16) -> String {
        self.send(port).split(' ').nth(1).unwrap_or("none").to_owned()
    }
}
