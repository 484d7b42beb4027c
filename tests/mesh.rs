//! The proof of the extensions for a mesh: two real Envoys as sidecars, traffic of all kinds between them, and what a real
//! Prometheus has scraped from both. Started by `scripts/run --mesh`, which shows the same to a person.

use std::collections::BTreeMap;
use std::io::{Read, Write, stderr};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use proxy_wasm_kit_tests::running::Running;
use proxy_wasm_kit_tests::{assert_none, envoy, root};
use regex_lite::Regex;
use serde_json::Value;

/// How long something may take to show in Prometheus, before it counts as absent.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of requests to the server, on both sides.
const OF_BOTH: &str = "source_workload=productpage-v1 source_workload_namespace=default \
    source_principal=spiffe://cluster.local/ns/default/sa/client source_app=productpage source_version=v1 \
    source_canonical_service=productpage-v1 source_canonical_revision=version-1 source_cluster=client-cluster \
    destination_workload=ratings-v1 destination_workload_namespace=default \
    destination_principal=spiffe://cluster.local/ns/default/sa/server destination_app=ratings destination_version=v1 \
    destination_service=server.default.svc.cluster.local destination_service_name=server \
    destination_service_namespace=default destination_canonical_service=ratings \
    destination_canonical_revision=version-1 destination_cluster=server-cluster";

/// The client's proxy answers by itself, since nobody listens there.
const OF_GONE: &str = "reporter=source source_workload=productpage-v1 source_workload_namespace=default \
    source_principal=unknown source_app=productpage source_version=v1 source_canonical_service=productpage-v1 \
    source_canonical_revision=version-1 source_cluster=client-cluster destination_workload=unknown \
    destination_workload_namespace=unknown destination_principal=unknown destination_app=unknown \
    destination_version=unknown destination_service=gone.default.svc.cluster.local destination_service_name=gone \
    destination_service_namespace=unknown destination_canonical_service=unknown destination_canonical_revision=latest \
    destination_cluster=unknown connection_security_policy=unknown request_protocol=http response_code=503 \
    response_flags=UF request_operation=ListReviews";

/// What differs between the two sides.
const SIDES: [&str; 2] = [
    "reporter=source connection_security_policy=unknown",
    "reporter=destination connection_security_policy=mutual_tls",
];

const REQUESTS: [&str; 6] = [
    "request_protocol=http response_flags=- response_code=200 request_operation=ListReviews",
    "request_protocol=http response_flags=- response_code=200 request_operation=GetReview",
    "request_protocol=http response_flags=- response_code=404 request_operation=other",
    "request_protocol=http response_flags=- response_code=503 request_operation=other",
    "request_protocol=grpc response_flags=- response_code=200 grpc_response_status=0 request_operation=GetRating",
    "request_protocol=grpc response_flags=- response_code=200 grpc_response_status=7 request_operation=DeniedRating",
];

/// What holds when Prometheus has scraped both proxies between two bursts of traffic.
const RELATIONS: [&str; 9] = [
    // 6 bytes from the client and 12 to it on each connection, all of which end.
    "istio_tcp_received_bytes_total == 6 * istio_tcp_connections_opened_total",
    "istio_tcp_sent_bytes_total == 12 * istio_tcp_connections_opened_total",
    "istio_tcp_connections_closed_total == istio_tcp_connections_opened_total",
    // A message from the client in each call, two to it in each that succeeds.
    "sum by (reporter) (istio_request_messages_total) == sum by (reporter) (istio_requests_total{request_protocol=\"grpc\"})",
    "sum by (reporter) (istio_response_messages_total) \
     == 2 * sum by (reporter) (istio_requests_total{grpc_response_status=\"0\"})",
    // Each request is in each histogram, once.
    "sum by (reporter) (istio_request_duration_milliseconds_count) == sum by (reporter) (istio_requests_total)",
    "sum by (reporter) (istio_request_bytes_count) == sum by (reporter) (istio_requests_total)",
    "sum by (reporter) (istio_response_bytes_count) == sum by (reporter) (istio_requests_total)",
    // And its size is in a bucket of sizes.
    "histogram_quantile(0.5, sum by (le, reporter) (istio_response_bytes_bucket)) > 50 < 2500",
];

const BUCKETS: &str =
    "0.5 1 5 10 25 50 100 250 500 1000 2500 5000 10000 30000 60000 300000 600000 1800000 3600000 +Inf";

/// What the panels of Istio's dashboards ask for: mesh, service, workload and performance.
const DASHBOARDS: [&str; 14] = [
    r#"round(sum(irate(istio_requests_total{reporter=~"source|waypoint"}[1m])), 0.01)"#,
    r#"sum(rate(istio_requests_total{reporter=~"source|waypoint", response_code!~"5.*"}[1m])) / sum(rate(istio_requests_total{reporter=~"source|waypoint"}[1m]))"#,
    r#"sum(irate(istio_requests_total{reporter=~"source|waypoint", response_code=~"5.*"}[1m]))"#,
    r#"label_join(sum(rate(istio_requests_total{reporter=~"source|waypoint"}[1m])) by (destination_workload, destination_workload_namespace, destination_service), "destination_workload_var", ".", "destination_workload", "destination_workload_namespace")"#,
    r#"label_join((histogram_quantile(0.90, sum(rate(istio_request_duration_milliseconds_bucket{reporter=~"source|waypoint"}[1m])) by (le, destination_workload, destination_workload_namespace)) / 1000), "destination_workload_var", ".", "destination_workload", "destination_workload_namespace")"#,
    r#"sum(irate(istio_requests_total{reporter="destination", destination_service=~"server.default.svc.cluster.local"}[5m]))"#,
    r#"histogram_quantile(0.99, sum(irate(istio_request_duration_milliseconds_bucket{reporter="destination", destination_service=~"server.default.svc.cluster.local"}[1m])) by (le)) / 1000"#,
    r#"round(sum(irate(istio_requests_total{connection_security_policy="mutual_tls", destination_service=~"server.default.svc.cluster.local", reporter="destination"}[5m])) by (source_workload, source_workload_namespace, response_code), 0.001)"#,
    r#"histogram_quantile(0.50, sum(irate(istio_request_bytes_bucket{reporter="destination", connection_security_policy="mutual_tls", destination_workload="ratings-v1"}[1m])) by (source_workload, source_workload_namespace, le))"#,
    r#"histogram_quantile(0.95, sum(irate(istio_response_bytes_bucket{reporter="source", source_workload="productpage-v1", source_workload_namespace="default"}[1m])) by (destination_service, le))"#,
    r#"sum(irate(istio_tcp_received_bytes_total{reporter="destination", destination_workload_namespace=~"default", destination_workload=~"ratings-v1"}[1m]))"#,
    r#"round(sum(irate(istio_tcp_sent_bytes_total{connection_security_policy="mutual_tls", reporter="destination", destination_service="server.default.svc.cluster.local"}[1m])) by (source_workload, source_workload_namespace), 0.001)"#,
    r#"label_join(sum(rate(istio_tcp_received_bytes_total{reporter=~"source|waypoint"}[1m])) by (destination_workload, destination_workload_namespace, destination_service), "destination_workload_var", ".", "destination_workload", "destination_workload_namespace")"#,
    r#"sum(istio_build{component="proxy"}) by (tag)"#,
];

type Labels = BTreeMap<String, String>;

#[test]
fn istios_metrics_are_right_on_both_sides() {
    let Some(envoy) = envoy() else { return };
    if !has_prometheus() {
        return;
    }
    let mut command = Command::new(root().join("scripts/run"));
    command.arg("--mesh").env("ENVOY", envoy);
    let running = Running::start(command);
    let prometheus = Prometheus::of(&running.introduction);
    for told in [
        "rate(istio_requests_total",
        "GET /reviews/7 200 operation=GetReview",
        "POST /ratings.Ratings/Get 200",
    ] {
        assert!(running.introduction.contains(told), "{}", running.introduction);
    }
    let mut wrong = prometheus.labels_that_are_wrong();
    let unheld = RELATIONS.iter().filter(|relation| !prometheus.gives(relation, SIDES.len()));
    wrong.extend(unheld.map(|relation| format!("does not hold on both sides: {relation}")));
    let unanswered = DASHBOARDS.iter().filter(|query| !prometheus.gives(query, 1));
    wrong.extend(unanswered.map(|query| format!("Prometheus gives nothing for {query}")));
    assert_none(&wrong);
    assert_eq!(running.end("-INT").code(), Some(0));
}

/// Whether there is a Prometheus. Where a real Envoy is asked for, its absence is a failure, too.
fn has_prometheus() -> bool {
    let found = Command::new(root().join("scripts/prometheus")).output().expect("scripts/prometheus starts");
    let why = String::from_utf8_lossy(&found.stderr).into_owned();
    if !found.status.success() {
        assert!(std::env::var_os("PWKIT_REQUIRE_ENVOY").is_none(), "there is no Prometheus: {why}");
        let _ = writeln!(stderr(), "SKIPPED: there is no Prometheus: {why}");
    }
    found.status.success()
}

struct Prometheus {
    address: String,
}

impl Prometheus {
    fn of(introduction: &str) -> Self {
        let address = Regex::new("Prometheus: http://([0-9.:]+)").expect("the pattern is right");
        let found = address.captures(introduction).expect("scripts/run --mesh tells the address");
        Self { address: found[1].to_owned() }
    }

    /// The series that a query gives: labels and value.
    fn query(&self, query: &str) -> Vec<(Labels, f64)> {
        let mut stream = TcpStream::connect(&self.address).expect("Prometheus listens");
        let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        write!(stream, "GET /api/v1/query?query={query} HTTP/1.0\r\n\r\n").expect("Prometheus reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("Prometheus answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a body");
        let body: Value = serde_json::from_str(body).expect("of JSON");
        let result = body["data"]["result"].as_array().unwrap_or_else(|| panic!("{query}: {body}"));
        result.iter().map(series).collect()
    }

    /// Whether a query gives as many numbers or more before patience ends.
    fn gives(&self, query: &str, least: usize) -> bool {
        self.waits_for(|| {
            let found = self.query(query);
            found.len() >= least && found.iter().all(|(_, value)| value.is_finite())
        })
    }

    fn waits_for(&self, holds: impl Fn() -> bool) -> bool {
        let end = Instant::now() + PATIENCE;
        while !holds() {
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        true
    }

    /// All series of a metric, without what Prometheus adds.
    fn labels(&self, metric: &str) -> Vec<Labels> {
        let series = self.query(metric).into_iter().map(|(mut labels, _)| {
            labels.retain(|name, _| !["__name__", "job", "instance"].contains(&name.as_str()));
            labels
        });
        series.collect()
    }

    fn labels_that_are_wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (metric, expected) in expectations() {
            let mut expected: Vec<Labels> = expected.iter().map(|text| labels(text)).collect();
            expected.sort();
            let found = || {
                let mut found = self.labels(metric);
                found.sort();
                found.dedup();
                found
            };
            if !self.waits_for(|| found() == expected) {
                wrong.push(format!("{metric} has {:#?}, expected {expected:#?}", found()));
            }
        }
        wrong
    }
}

/// All series that there are, by metric.
fn expectations() -> Vec<(&'static str, Vec<String>)> {
    let of_sides = |rest: &str| SIDES.map(|side| format!("{OF_BOTH} {side} {rest}")).to_vec();
    let mut requests: Vec<String> = REQUESTS.iter().flat_map(|rest| of_sides(rest)).collect();
    requests.push(OF_GONE.to_owned());
    let connections = of_sides("request_protocol=tcp response_flags=-");
    let messages =
        ["reporter=source", "reporter=destination"].map(|side| format!("{OF_BOTH} {side}")).to_vec();
    let buckets = BUCKETS.split(' ').map(|bucket| format!("le={bucket}")).collect();
    vec![
        ("istio_requests_total", requests),
        ("istio_tcp_connections_opened_total", connections.clone()),
        ("istio_tcp_connections_closed_total", connections.clone()),
        ("istio_tcp_sent_bytes_total", connections.clone()),
        ("istio_tcp_received_bytes_total", connections),
        ("istio_request_messages_total", messages.clone()),
        ("istio_response_messages_total", messages),
        ("istio_build", vec!["component=proxy tag=1.27.0".to_owned()]),
        ("count by (le) (istio_request_duration_milliseconds_bucket)", buckets),
    ]
}

fn labels(text: &str) -> Labels {
    let pairs = text.split_whitespace().map(|pair| pair.split_once('=').expect("a label has a value"));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn series(series: &Value) -> (Labels, f64) {
    let metric = series["metric"].as_object().expect("a series has labels");
    let text = |value: &Value| value.as_str().expect("which are texts").to_owned();
    let labels = metric.iter().map(|(name, value)| (name.clone(), text(value)));
    (labels.collect(), text(&series["value"][1]).parse().expect("and a number"))
}
