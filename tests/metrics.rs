//! Labels of metrics, from the name in a module to the page that Prometheus reads, in a real Envoy.

use std::path::{Path, PathBuf};

use proxy_wasm_kit::{Bytes, Labels, stats_tags};
use proxy_wasm_kit_host as _; // The SDK's host functions, natively.
use proxy_wasm_kit_tests::proxy::Proxy;
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
const CONFIGURATION: &str = "\
admin: { address: { socket_address: { address: 127.0.0.1, port_value: ADMIN } } }
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: MAIN } }
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
    let configuration = CONFIGURATION.to_owned() + &stats_tags::<Answer>();
    let proxy = Proxy::start(&binary, &configuration, 1, &[], &[("MODULE", &module())]);
    for host in ["a.example", "a.example", "b=c;d", "x-example_host=.=e", "f"] {
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        proxy.send("MAIN", request.as_bytes());
    }
    let page = proxy.get("ADMIN", "/stats/prometheus", "");
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
