//! Labels of metrics, from the name in a module to the page that Prometheus reads, in a real Envoy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proxy_wasm_kit::{Bytes, Labels, stats_tags};
use proxy_wasm_kit_host as _; // The SDK's host functions, natively.
use proxy_wasm_kit_tests::running::free_port;
use proxy_wasm_kit_tests::{cargo, envoy};

/// As in sdk/examples/labelled_metrics.rs.
#[derive(Clone, PartialEq, Eq, Hash, Labels)]
struct Answer {
    #[label(name = "example_host")]
    host: Bytes,
    #[label(name = "example_class")]
    class: String,
}

/// An Envoy with the example as its only filter. It answers by itself.
struct Proxy {
    process: Child,
    port: u16,
    admin: u16,
}

impl Proxy {
    fn start(binary: &Path, module: &Path) -> Self {
        let [port, admin] = [free_port(), free_port()];
        let bootstrap = BOOTSTRAP
            .replace("ADMIN", &admin.to_string())
            .replace("PORT", &port.to_string())
            .replace("MODULE", &module.display().to_string());
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("metrics.yaml");
        std::fs::write(&file, bootstrap + &stats_tags::<Answer>())
            .expect("the target folder can be written to");
        let mut command = Command::new(binary);
        command
            .args(["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "error", "-c"])
            .arg(&file);
        let process = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().expect("Envoy starts");
        let proxy = Self { process, port, admin };
        for _ in 0..600 {
            if proxy.get(admin, "a", "/ready").starts_with("HTTP/1.1 200") {
                return proxy;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("Envoy is not ready after half a minute");
    }

    /// The whole answer; nothing while nobody listens.
    fn get(&self, port: u16, host: &str, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let mut answer = Vec::new();
        let whole = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut answer));
        whole.map(|_| String::from_utf8_lossy(&answer).into_owned()).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const BOOTSTRAP: &str = "\
admin: { address: { socket_address: { address: 127.0.0.1, port_value: ADMIN } } }
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: PORT } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            virtual_hosts:
            - { name: all, domains: ['*'], routes: [{ match: { prefix: / }, direct_response: { status: 200 } }] }
          http_filters:
          - name: wasm
            typed_config:
              '@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config: { vm_config: { runtime: envoy.wasm.runtime.v8, code: { local: { filename: MODULE } } } }
          - name: envoy.filters.http.router
            typed_config: { '@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
";

/// The example as a module, where tests/sdk_examples.rs builds it, too.
fn module() -> PathBuf {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sdk_examples");
    let folder = built.to_str().expect("the target folder has a name that is text");
    let what = ["build", "--package=proxy-wasm-kit", "--example=labelled_metrics"];
    let flags = ["--release", "--quiet", "--target=wasm32-wasip1", "--target-dir", folder];
    cargo(&[what.as_slice(), &flags].concat());
    built.join("wasm32-wasip1/release/examples/labelled_metrics.wasm")
}

#[test]
fn labels_reach_prometheus() {
    let Some(binary) = envoy() else { return };
    let module = module();
    let proxy = Proxy::start(&binary, &module);
    for host in ["a.example", "a.example", "b=c;d", "x-example_host=.=e", "f"] {
        proxy.get(proxy.port, host, "/");
    }
    let page = proxy.get(proxy.admin, "a", "/stats/prometheus");
    let mut found: Vec<&str> =
        page.lines().filter(|line| line.contains("example_")).map(str::trim_end).collect();
    found.sort_unstable();
    let expected = [
        "# TYPE example_answers counter",
        r#"example_answers{example_host="a.example",example_class="2xx"} 2"#,
        r#"example_answers{example_host="b_c_d",example_class="2xx"} 1"#,
        r#"example_answers{example_host="other",example_class="other"} 1"#,
        r#"example_answers{example_host="x-example_host_._e",example_class="2xx"} 1"#,
    ];
    assert_eq!(found, expected);
}
