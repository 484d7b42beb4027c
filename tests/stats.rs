//! Does the extension stats count in a real Envoy what the README says: certificates, metadata of clusters, gRPC, TCP, and
//! all of it as labels in Prometheus?
//!
//! Two sides of a mesh stand in one proxy (stats/envoy.yaml). The keys beside it are for this test and nothing else.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use proxy_wasm_kit_host::connection::{Act, Connection};
use proxy_wasm_kit_host::engine::Metric;
use proxy_wasm_kit_host::exchange::{Message, Random, Setup};
use proxy_wasm_kit_host::wasm::{Host, Limits, Module};
use proxy_wasm_kit_tests::proxy::{Proxy, in_time};
use proxy_wasm_kit_tests::{envoy, module, read, root};

/// A message of gRPC, of a byte.
const MESSAGE: &[u8] = b"\0\0\0\0\x01a";

/// Both sides of the mesh, and the page that Prometheus reads.
struct Mesh(Proxy);

impl Mesh {
    fn start(binary: &Path, module: &Path, stats_config: &str) -> Self {
        let configuration = read("tests/stats/envoy.yaml") + stats_config;
        let keys = root().join("tests/stats");
        let paths = [("MODULE", module), ("KEYS", &keys)];
        Self(Proxy::start(binary, &configuration, 1, &[("SERVICE", service())], &paths))
    }

    #[track_caller]
    fn wait_for(&self, mut holds: impl FnMut() -> bool) {
        if in_time(|| holds().then_some(())).is_some() {
            return;
        }
        let page = self.0.get("ADMIN", "/stats/prometheus", "");
        let counters: Vec<_> =
            page.lines().filter(|line| line.starts_with("istio_") && line.contains("_total{")).collect();
        panic!("it does not come to pass; the counters are:\n{}", counters.join("\n"));
    }

    /// What the series has whose labels these are; others it may have, too, but none of those behind a `!`.
    fn metric(&self, name: &str, labels: &str) -> Option<u64> {
        let page = self.0.get("ADMIN", "/stats/prometheus", "");
        let mut found = page.lines().filter_map(|line| {
            let (series, value) = line.trim_end().rsplit_once(' ')?;
            let (found, rest) = series.split_once('{')?;
            let labels_found = format!(",{}", rest.replace('}', ","));
            let has = |label: &str| match (label.strip_prefix('!'), label.split_once('=')) {
                (Some(absent), _) => !labels_found.contains(&format!(",{absent}=")),
                (None, Some((key, value))) => labels_found.contains(&format!(",{key}=\"{value}\",")),
                (None, None) => panic!("{label} is no NAME=VALUE"),
            };
            (found == name && labels.split_whitespace().all(has)).then(|| value.parse().expect("a number"))
        });
        let value = found.next();
        assert_eq!(found.next(), None, "{name} with {labels} is more than one series");
        value
    }

    #[track_caller]
    fn expect(&self, name: &str, labels: &str, value: u64) {
        self.wait_for(|| self.metric(name, labels) == Some(value));
    }
}

/// Answers requests, calls of gRPC as [`answer_call`] says, and what is neither with `hello world` for all that comes.
fn service() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = listener.local_addr().expect("it has an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let size = stream.read(&mut chunk)?;
        seen.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return Ok(());
        } else if !seen.starts_with(b"GET") && !seen.starts_with(b"POST") {
            stream.write_all(b"hello world\n")?;
        } else if seen.windows(16).any(|text| text == b"application/grpc") {
            answer_call(&mut stream, seen)?;
            return Ok(());
        } else if seen.ends_with(b"\r\n\r\n") {
            seen.clear();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
        }
    }
}

/// Has 13 messages for the first 3, 14 more when there are 8, and denies the call when it has ended.
fn answer_call(stream: &mut TcpStream, mut seen: Vec<u8>) -> std::io::Result<()> {
    let (mut chunk, mut answered) = ([0; 4096], 0);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 7\r\n")?;
    stream.write_all(b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n")?;
    loop {
        let messages = seen.windows(MESSAGE.len()).filter(|text| *text == MESSAGE).count();
        for (due, count) in [(3, 13), (8, 14)] {
            if messages >= due && answered < due {
                answered = due;
                send_messages(stream, count)?;
            }
        }
        if seen.ends_with(b"\r\n0\r\n\r\n") {
            return stream.write_all(b"0\r\n\r\n");
        }
        let size = stream.read(&mut chunk)?;
        if size == 0 {
            return Ok(());
        }
        seen.extend_from_slice(&chunk[..size]);
    }
}

/// As one chunk.
fn send_messages(stream: &mut TcpStream, count: usize) -> std::io::Result<()> {
    write!(stream, "{:x}\r\n", count * MESSAGE.len())?;
    stream.write_all(&MESSAGE.repeat(count))?;
    stream.write_all(b"\r\n")
}

/// What the deployment of the extension puts into the bootstrap, with the labels of this test.
fn as_deployed() -> String {
    let deployed = read("extensions/stats/deploy/envoy.yaml");
    let (_, tags) = deployed.split_once("\n  stats_tags:\n").expect("envoy.yaml has stats_tags");
    let (tags, _) = tags.split_once("\n\n").expect("something follows them");
    let own = "    - { tag_name: rules, regex: '[.;](rules=\\.=(.*?);\\.;)' }";
    let buckets =
        "  histogram_bucket_settings: [{ match: { suffix: istio_request_bytes }, buckets: [100, 1000] }]";
    format!("\nstats_config:\n{buckets}\n  stats_tags:\n{tags}\n{own}\n")
}

/// What Istio makes of `extraStatTags`, behind the tag `response_code` that it has anyway.
fn as_istio_does() -> String {
    let labels = read("extensions/stats/src/labels.txt");
    let labels = labels.lines().filter(|line| !line.is_empty() && !line.contains(['#', ' ', '[']));
    let tags: String = labels
        .map(|label| format!("    - {{ tag_name: {label}, regex: '({label}=\\.=(.*?);\\.;)' }}\n"))
        .collect();
    let owned = r"    - { tag_name: response_code, regex: '_rq(_(\d{3}))$' }
    - { tag_name: response_code_class, regex: '_rq(_(\dxx))$' }
    - { tag_name: cluster_name, regex: '^cluster\.((.+?(\..+?\.svc\.cluster\.local)?)\.)' }
";
    format!("\nstats_config:\n  use_all_default_tags: false\n  stats_tags:\n{owned}{tags}")
}

#[test]
fn the_deployments_name_all_labels() {
    let labels = read("extensions/stats/src/labels.txt");
    let [envoy, mesh] =
        ["envoy", "meshconfig"].map(|name| read(&format!("extensions/stats/deploy/{name}.yaml")));
    for line in labels.lines().filter(|line| !line.starts_with(['@', '<', '>'])) {
        let standing = format!(r"[.;]({line}=\.=(.*?);\.;)");
        let (name, expression) = line.split_once(' ').unwrap_or((line, &standing));
        assert!(
            envoy.contains(&format!("    - {{ tag_name: {name}, regex: '{expression}' }}\n")),
            "envoy.yaml: {name}"
        );
        assert!(
            line.contains(' ') || mesh.contains(&format!("\n      - {name}\n")),
            "meshconfig.yaml: {name}"
        );
    }
}

const CLIENT: &str = "spiffe://cluster.local/ns/client-ns/sa/client";
const SERVER: &str = "spiffe://cluster.local/ns/server-ns/sa/server";

#[test]
fn a_mesh_is_counted_on_both_sides() {
    let (Some(binary), Some(module)) = (envoy(), module("stats")) else { return };
    let proxy = Mesh::start(&binary, &module, &as_deployed());
    requests(&proxy);
    calls(&proxy);
    connections(&proxy);
}

/// Clients and servers know each other by certificates, and the client the server by metadata of cluster and endpoint.
fn requests(proxy: &Mesh) {
    for path in ["/", "/", "/blocked", "/any", "/drop", "/denied"] {
        assert!(proxy.0.get("OUT", path, "").starts_with("HTTP/1.1"), "{path}");
    }
    let client = format!(
        "reporter=source source_workload=shop-v1 source_workload_namespace=default source_app=shop source_version=v1 \
         source_canonical_service=shop source_canonical_revision=v1 source_cluster=Kubernetes source_principal={CLIENT} \
         destination_principal={SERVER} destination_workload=orders-v2 destination_workload_namespace=shop \
         destination_canonical_service=orders destination_canonical_revision=v2 destination_cluster=cluster-2 \
         destination_app=unknown destination_version=unknown destination_service=orders.shop.svc.cluster.local \
         destination_service_name=orders destination_service_namespace=shop request_protocol=http response_code=200 \
         response_flags=- connection_security_policy=unknown grpc_response_status="
    );
    proxy.expect("istio_requests_total", &client, 2);
    for (metric, count) in
        [("istio_request_duration_milliseconds", 2), ("istio_request_bytes", 2), ("istio_response_bytes", 2)]
    {
        proxy.expect(&format!("{metric}_count"), &client, count);
    }
    proxy.expect("istio_request_duration_milliseconds_bucket", &format!("{client} le=600000"), 2);
    proxy.expect("istio_request_bytes_bucket", &format!("{client} le=1000"), 2);
    assert_eq!(proxy.metric("istio_request_bytes_bucket", &format!("{client} le=0.5")), None);
    let to = |flags: &str, name: &str, code: u16| {
        let labels = format!(
            "reporter=source response_flags={flags} destination_service_name={name} response_code={code}"
        );
        proxy.expect("istio_requests_total", &labels, 1);
    };
    to("-", "BlackHoleCluster", 502);
    to("-", "PassthroughCluster", 200);
    to("UDO", "a.example", 503);
    // A filter before this one has answered, so that it has seen nothing of the request but its end.
    to("-", "orders", 403);
    let server = format!(
        "reporter=destination source_principal={CLIENT} destination_principal={SERVER} source_workload=unknown \
         destination_workload=shop-v1 connection_security_policy=mutual_tls response_code=200 request_protocol=http"
    );
    proxy.expect(
        "istio_requests_total",
        &format!("{server} source_workload_namespace=client-ns rules=native"),
        2,
    );
    proxy.expect("istio_requests_total", &format!("{server} source_workload_namespace=unknown !rules"), 2);
    proxy.expect("istio_build", "component=proxy tag=1.30.0", 1);
    assert!(
        proxy
            .metric("metric_cache_count", "wasm_filter=stats_filter cache=miss")
            .is_some_and(|misses| misses > 3)
    );
}

/// Messages are counted while a call is open, and the rest at its end: 3 and 13, then 8 and 27. They are all under the host
/// that the client asked for, where the call is counted under what a route has made of it.
fn calls(proxy: &Mesh) {
    // The other plugin's labels have expressions, so it reports calls at their end.
    let seen = |direction: &str| {
        let labels = "reporter=destination destination_service=renamed.example !request_protocol !rules";
        proxy.metric(&format!("istio_{direction}_messages_total"), labels)
    };
    let both = |counts: (u64, u64)| {
        proxy.wait_for(|| seen("request") == Some(counts.0) && seen("response") == Some(counts.1));
    };
    let mut stream = proxy.0.connect("OUT").expect("the proxy listens");
    let head = "POST /renamed HTTP/1.1\r\nhost: call.example\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("the proxy reads");
    send_messages(&mut stream, 3).expect("the proxy reads");
    both((3, 13));
    send_messages(&mut stream, 5).expect("the proxy reads");
    both((8, 27));
    stream.write_all(b"0\r\n\r\n").expect("the proxy reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the proxy answers");
    let denied = "request_protocol=grpc grpc_response_status=7 response_code=200";
    for side in [
        "reporter=source destination_service_name=orders",
        "reporter=destination destination_service=renamed.example rules=native",
        "reporter=destination destination_service=renamed.example !rules",
    ] {
        proxy.expect("istio_requests_total", &format!("{side} {denied}"), 1);
    }
    both((8, 27));
}

/// Nobody says who the peers are, so both sides wait for the end.
fn connections(proxy: &Mesh) {
    let exchange = || {
        let mut stream = proxy.0.connect("TCP_OUT").expect("the proxy listens");
        stream.write_all(b"world\n").expect("the proxy reads");
        let mut hello = [0; 12];
        stream.read_exact(&mut hello).expect("the proxy answers");
        stream
    };
    let open: Vec<_> = (0..10).map(|_| exchange()).collect();
    let client = format!(
        "reporter=source request_protocol=tcp source_principal={CLIENT} destination_principal={SERVER} \
         destination_workload=orders-v2 destination_service_name=orders connection_security_policy=unknown"
    );
    let server = format!(
        "reporter=destination request_protocol=tcp source_principal={CLIENT} destination_principal={SERVER} \
         source_workload=unknown source_canonical_revision=latest connection_security_policy=mutual_tls \
         destination_service=shop"
    );
    std::thread::sleep(Duration::from_millis(500));
    for side in [&client, &server] {
        assert_eq!(proxy.metric("istio_tcp_connections_opened_total", side), None);
    }
    drop(open);
    for side in [&client, &server] {
        for (metric, value) in [
            ("connections_opened", 10),
            ("connections_closed", 10),
            ("received_bytes", 60),
            ("sent_bytes", 120),
        ] {
            proxy.expect(&format!("istio_tcp_{metric}_total"), side, value);
        }
    }
}

/// A host may look like what other labels are made of: it stays whole, and in its place.
#[test]
fn a_host_makes_no_labels() {
    let (Some(binary), Some(module)) = (envoy(), module("stats")) else { return };
    let proxy = Mesh::start(&binary, &module, &as_deployed());
    for host in [
        "wasm_filter.a.cache.evil.com",
        "wasmcustom.wasm_filter.a.cache.evil.com",
        "wasmcustom.component.proxy.com",
        "component.a.tag.evil;.com",
    ] {
        let request = format!("GET /any HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        proxy.0.send("OUT", request.as_bytes());
        proxy.expect(
            "istio_requests_total",
            &format!(
                "reporter=source destination_service={host} destination_service_name=PassthroughCluster \
                 response_code=200 !cache !component !tag !wasm_filter"
            ),
            1,
        );
    }
}

/// One host has a place there, and it is not one that nobody but a client knows of.
#[test]
fn hosts_that_are_made_up_take_no_place() {
    let (Some(binary), Some(module)) = (envoy(), module("stats")) else { return };
    let proxy = Mesh::start(&binary, &module, &as_deployed());
    for (host, path) in [
        ("made.up.example", "/shop"),
        ("another.example", "/shop"),
        ("shop.example", "/no-route"),
        ("shop.example", "/shop"),
        ("SHOP.example", "/shop"),
        ("shop.example", "/no-route"),
        ("second.example", "/shop"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        proxy.0.send("DOOR", request.as_bytes());
    }
    for (labels, count) in [
        ("destination_service=other response_code=404 response_flags=NR", 3),
        ("destination_service=shop.example response_code=200", 2),
        ("destination_service=shop.example response_code=404 response_flags=NR", 1),
        ("destination_service=other response_code=200", 1),
    ] {
        proxy.expect("istio_requests_total", &format!("rules=door {labels}"), count);
    }
    proxy.expect("hosts_over_limit", "wasm_filter=stats_filter", 1);
}

#[test]
fn labels_and_tags_of_istio_go_together() {
    let (Some(binary), Some(module)) = (envoy(), module("stats")) else { return };
    let proxy = Mesh::start(&binary, &module, &as_istio_does());
    proxy.0.get("OUT", "/", "");
    proxy.expect(
        "istio_requests_total",
        "reporter=source response_code=200 destination_service_name=orders",
        1,
    );
    proxy.expect("envoy_cluster_upstream_rq", "response_code=200 cluster_name=mesh", 1);
}

/// The module in the embedded host; the configuration is as in the deployment for Envoy.
fn embedded(module: &Module, configuration: &str, root_id: &str) -> Host {
    let (configuration, root_id) = (configuration.into(), root_id.into());
    Host::start(module, Setup { configuration, root_id, random: Random::Seed(1), ..Setup::default() })
        .expect("it is accepted")
}

fn loaded() -> Option<Module> {
    Some(Module::load(&module("stats")?, &Limits::default()).unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn a_request_under_known_labels_costs_six_host_calls() {
    let Some(module) = loaded() else { return };
    let dimension = r#"{"metrics": [{"dimensions": {"team": "request.headers['x-team']"}}]}"#;
    let grpc = || Message::request("GET", "/").header("content-type", "application/grpc");
    let calls = |configuration: &str, root_id: &str, request: &dyn Fn() -> Message| {
        let host = embedded(&module, configuration, root_id);
        host.exchange(request(), &Message::response(200));
        let seen = host.exchange(request(), &Message::response(200));
        println!("{} instructions", seen.guest_instructions.expect("they are counted"));
        seen.host_calls
    };
    let six = [
        ("proxy_call_foreign_function", 1),
        ("proxy_get_property", 1),
        ("proxy_increment_metric", 1),
        ("proxy_record_metric", 3),
    ];
    let six: BTreeMap<String, u32> = six.map(|(name, count)| (name.to_owned(), count)).into();
    let get = || Message::request("GET", "/");
    assert_eq!(calls("", "stats_outbound", &get), six);
    assert_eq!(calls(dimension, "stats_outbound", &get), six);
    // The listener says the direction.
    assert_eq!(calls(dimension, "", &get), six);
    assert_eq!(calls(dimension, "", &grpc), six);
}

/// A connection is entered and left at each tick.
#[test]
fn what_is_open_is_looked_at_every_15_seconds_or_5_or_never() {
    let Some(module) = loaded() else { return };
    for (configuration, seconds, ticks) in [
        ("", 44, 2),
        (r#"{"label_rules": "native"}"#, 24, 4),
        (r#"{"tcp_reporting_duration": "7s"}"#, 27, 3),
        (r#"{"tcp_reporting_duration": "0s"}"#, 60, 0),
        (r#"{"tcp_reporting_duration": "1ns"}"#, 60, 0),
        (r#"{"tcp_reporting_duration": "often"}"#, 44, 2),
    ] {
        let host = embedded(&module, configuration, "stats_inbound");
        let acts = vec![Act::ClientSends(b"a".into()), Act::Wait(Duration::from_secs(seconds))];
        let seen = host.connect(Connection { acts, ..Connection::default() }).seen;
        let entered = seen.host_calls.get("proxy_set_effective_context").copied().unwrap_or_default();
        assert_eq!(entered, 2 * ticks, "{configuration}");
    }
}

/// One whose peer is not known is asked about twice (who it is, whether it will say) at the first, second, fourth, eighth and
/// sixteenth tick, and once at its end.
#[test]
fn an_idle_connection_costs_little() {
    let Some(module) = loaded() else { return };
    let host = embedded(&module, r#"{"tcp_reporting_duration": "1s"}"#, "stats_inbound");
    let wait = Act::Wait(Duration::from_millis(18_500));
    let seen = host.connect(Connection { acts: vec![wait], ..Connection::default() }).seen;
    assert_eq!(seen.host_calls["proxy_get_property"], 5 * 2 + 1);
    assert_eq!(seen.host_calls["proxy_call_foreign_function"], 1);
}

#[test]
fn a_limit_holds_for_all_starts_of_one_configuration() {
    let Some(module) = loaded() else { return };
    let configuration = |label: &str| {
        let removed = read("extensions/stats/src/labels.txt");
        let removed: Vec<_> = removed.lines().filter(|line| !line.contains([' ', '[', '@'])).collect();
        format!(
            r#"{{"max_series": 2, "metrics": [{{"tags_to_remove": {removed:?},
                "dimensions": {{"{label}": "request.headers['x-team']"}}}}]}}"#
        )
    };
    let setup = |label| Setup { configuration: configuration(label).into(), ..Setup::default() };
    let host = Host::start(&module, setup("team")).expect("it is accepted");
    let send = |team: &str| {
        host.exchange(Message::request("GET", "/").header("x-team", team), &Message::response(200));
    };
    let count = |labels: &str| match host.metrics().get(&format!("{labels};.;istio_requests_total")) {
        Some(Metric::Counter(count)) => *count,
        _ => 0,
    };
    send("a");
    send("b");
    host.reconfigure([(&module, setup("team"))]).expect("it is accepted");
    ["b", "c", "d"].into_iter().for_each(send);
    assert_eq!(["a", "b", "c", "other"].map(|team| count(&format!("team=.={team}"))), [1, 2, 0, 2]);
    // What an operator has changed counts anew.
    host.reconfigure([(&module, setup("group"))]).expect("it is accepted");
    ["c", "d", "e"].into_iter().for_each(send);
    assert_eq!(["c", "d", "e", "other"].map(|group| count(&format!("group=.={group}"))), [1, 1, 0, 1]);
}
