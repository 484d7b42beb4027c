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

/// What Istio's metrics have to agree on with each other and with what the proxies themselves have counted.
const COUNTS: [&str; 5] = [
    "sum(istio_requests_total{reporter=\"source\"}) \
     == sum(envoy_http_downstream_rq_completed{envoy_http_conn_manager_prefix=\"outbound\"})",
    "sum(istio_requests_total{reporter=\"destination\"}) \
     == sum(envoy_http_downstream_rq_completed{envoy_http_conn_manager_prefix=\"inbound\"})",
    "sum(istio_requests_total{reporter=\"source\",response_flags=\"-\"}) \
     == sum(istio_requests_total{reporter=\"destination\"})",
    "sum(istio_tcp_connections_opened_total{reporter=\"source\"}) \
     == sum(envoy_tcp_downstream_cx_total{envoy_tcp_prefix=\"outbound\"})",
    "sum(istio_tcp_connections_opened_total{reporter=\"destination\"}) \
     == sum(envoy_tcp_downstream_cx_total{envoy_tcp_prefix=\"inbound\"})",
];

const BUCKETS: &str =
    "0.5 1 5 10 25 50 100 250 500 1000 2500 5000 10000 30000 60000 300000 600000 1800000 3600000 +Inf";

/// How long, large or small something is that was sent (scripts/mesh), as histograms tell it on both sides: an answer 404 has
/// a body of 3000 bytes, and what is answered 503 one of 20,000 bytes and takes 120 ms.
const SIZES: [&str; 8] = [
    "istio_response_bytes_sum{response_code=\"404\"} / istio_response_bytes_count > 2900 < 5000",
    "istio_response_bytes_bucket{response_code=\"404\",le=\"2500\"} == 0",
    "istio_response_bytes_bucket{response_code=\"404\",le=\"5000\"} == ignoring(le) istio_response_bytes_count",
    "istio_request_bytes_sum{response_code=\"503\",response_flags=\"-\"} / istio_request_bytes_count > 19000 < 24000",
    "istio_request_bytes_bucket{response_code=\"503\",response_flags=\"-\",le=\"10000\"} == 0",
    "istio_request_bytes_bucket{response_code=\"503\",response_flags=\"-\",le=\"30000\"} == ignoring(le) istio_request_bytes_count",
    "istio_request_duration_milliseconds_sum{response_code=\"503\",response_flags=\"-\"} \
     / istio_request_duration_milliseconds_count > 110",
    "istio_request_duration_milliseconds_bucket{response_code=\"503\",response_flags=\"-\",le=\"100\"} == 0",
];

const HISTOGRAMS: [&str; 3] = ["request_duration_milliseconds", "request_bytes", "response_bytes"];

/// By how much a sum may be off: a histogram of Envoy keeps two digits of each value.
const DIGITS: f64 = 0.06;

/// The variables of the dashboards.
const VARIABLES: [(&str, &str); 10] = [
    ("$__rate_interval", "1m"),
    ("$qrep", "source|destination"),
    ("$service", "server.default.svc.cluster.local"),
    ("$srcwl", "productpage-v1"),
    ("$srcns", "default"),
    ("$dstwl", "ratings-v1"),
    ("$dstns", "default"),
    ("$workload", "productpage-v1|ratings-v1"),
    ("$namespace", "default"),
    ("$dstsvc", ".*"),
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
        "POST /fail 503 operation=other",
        "POST /ratings.Ratings/Get 200",
    ] {
        assert!(running.introduction.contains(told), "{}", running.introduction);
    }
    let mut wrong = prometheus.labels_that_are_wrong();
    let unheld = RELATIONS.iter().chain(&SIZES).filter(|relation| !prometheus.gives(relation, SIDES.len()));
    wrong.extend(unheld.map(|relation| format!("does not hold on both sides: {relation}")));
    let unheld = COUNTS.iter().filter(|relation| !prometheus.gives(relation, 1));
    wrong.extend(unheld.map(|relation| format!("does not hold: {relation}")));
    wrong.extend(HISTOGRAMS.iter().flat_map(|name| prometheus.buckets_that_are_wrong(name)));
    wrong.extend(prometheus.queries_without_answer());
    wrong.extend(prometheus.names_that_are_wrong());
    assert_none(&wrong);
    let shown = Regex::new(r"(?m)^    +([0-9.]+)  \w+=").expect("the pattern is right");
    let shown: Vec<&str> =
        shown.captures_iter(&running.introduction).map(|found| found.extract::<1>().1[0]).collect();
    assert!(shown.len() >= 9 && !shown.contains(&"0.00"), "{}", running.introduction);
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
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let body = get(&self.address, &format!("/api/v1/query?query={encoded}"));
        let body: Value = serde_json::from_str(&body).expect("Prometheus answers with JSON");
        let result = body["data"]["result"].as_array().unwrap_or_else(|| panic!("{query}: {body}"));
        result.iter().map(series).collect()
    }

    /// Istio's dashboards, with every query that has no answer, or one that it cannot have.
    fn queries_without_answer(&self) -> Vec<String> {
        let (mut empty, mut pending): (Vec<String>, Vec<String>) =
            dashboards().into_iter().partition(|query| is_empty(query));
        self.waits_for(|| {
            pending.retain(|query| !self.is_answered(query));
            pending.is_empty()
        });
        empty.retain(|query| !self.query(query).is_empty());
        let unanswered = pending.iter().map(|query| format!("Prometheus gives nothing for {query}"));
        let surprising = empty.iter().map(|query| format!("Prometheus gives something for {query}"));
        unanswered.chain(surprising).collect()
    }

    /// Whether there are numbers, and not all of them zero.
    fn is_answered(&self, query: &str) -> bool {
        let found = self.query(query);
        found.iter().all(|(_, value)| value.is_finite()) && found.iter().any(|(_, value)| *value > 0.0)
    }

    /// Histograms whose parts contradict each other, as they were scraped at one moment.
    fn buckets_that_are_wrong(&self, name: &str) -> Vec<String> {
        let mut histograms: BTreeMap<Labels, Histogram> = BTreeMap::new();
        for (mut labels, value) in self.query(&format!("{{__name__=~\"istio_{name}_(bucket|count|sum)\"}}")) {
            let part = labels.remove("__name__").unwrap_or_default();
            let bound = labels.remove("le");
            let histogram = histograms.entry(labels).or_default();
            match bound {
                Some(bound) => histogram.buckets.push((bound.parse().unwrap_or(f64::INFINITY), value)),
                None if part.ends_with("_sum") => histogram.sum = value,
                None => histogram.count = value,
            }
        }
        assert!(histograms.len() > SIDES.len(), "{name} has {} series", histograms.len());
        let wrong = histograms
            .into_iter()
            .filter_map(|(labels, histogram)| Some((labels, histogram.contradiction()?)));
        wrong.map(|(labels, why)| format!("istio_{name}{labels:?}: {why}")).collect()
    }

    /// Whether each proxy makes all labels of each count of requests, those without a value included, which Prometheus drops.
    fn names_that_are_wrong(&self) -> Vec<String> {
        let mut expected: Vec<&str> = include_str!("../extensions/stats/src/labels.txt")
            .lines()
            .filter(|line| !line.contains([' ', '@']))
            .chain(["request_operation"])
            .collect();
        expected.sort_unstable();
        assert_eq!(expected.len(), 26, "25 labels, and the one of the operator");
        let label = Regex::new("([a-z_]+)=\"").expect("the pattern is right");
        let targets: Value = serde_json::from_str(&get(&self.address, "/api/v1/targets")).expect("JSON");
        let targets = targets["data"]["activeTargets"].as_array().expect("there are targets");
        assert_eq!(targets.len(), SIDES.len());
        let pages = targets.iter().map(|target| {
            let url =
                target["scrapeUrl"].as_str().and_then(|url| url.strip_prefix("http://")).expect("a URL");
            let (address, path) = url.split_once('/').expect("with a path");
            get(address, &format!("/{path}"))
        });
        let mut wrong = Vec::new();
        for page in pages {
            let lines: Vec<&str> =
                page.lines().filter(|line| line.starts_with("istio_requests_total{")).collect();
            assert!(lines.len() >= REQUESTS.len(), "{lines:#?}");
            for line in lines {
                let mut names: Vec<&str> =
                    label.captures_iter(line).map(|found| found.extract::<1>().1[0]).collect();
                names.sort_unstable();
                if names != expected {
                    wrong.push(format!("has other labels: {line}"));
                }
            }
        }
        wrong
    }

    /// Whether a query gives as many numbers or more before patience ends.
    fn gives(&self, query: &str, least: usize) -> bool {
        self.waits_for(|| {
            let found = self.query(query);
            found.len() >= least && found.iter().all(|(_, value)| value.is_finite())
        })
    }

    fn waits_for(&self, mut holds: impl FnMut() -> bool) -> bool {
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

#[derive(Default)]
struct Histogram {
    /// Upper bound, and how many values are below it.
    buckets: Vec<(f64, f64)>,
    count: f64,
    sum: f64,
}

impl Histogram {
    fn contradiction(mut self) -> Option<String> {
        self.buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let bounds: Vec<f64> =
            BUCKETS.split(' ').map(|bound| bound.parse().unwrap_or(f64::INFINITY)).collect();
        let (mut least, mut most, mut below) = (0.0, 0.0, (0.0, 0.0));
        for (bound, values) in &self.buckets {
            let between = values - below.1;
            if between < 0.0 {
                return Some(format!("less values are below {bound} than below {}", below.0));
            }
            least += between * below.0;
            most += if between > 0.0 { between * bound } else { 0.0 };
            below = (*bound, *values);
        }
        let of_all = self.buckets.iter().map(|(bound, _)| *bound).eq(bounds);
        let of_sum = (least * (1.0 - DIGITS)..=most * (1.0 + DIGITS)).contains(&self.sum);
        match (of_all, below.1 == self.count, of_sum) {
            (true, true, true) => None,
            (false, ..) => Some(format!("has other buckets: {:?}", self.buckets)),
            (_, false, _) => Some(format!("counts {}, with {} values in buckets", self.count, below.1)),
            _ => Some(format!("sums up to {}, with values of {least} to {most} in buckets", self.sum)),
        }
    }
}

/// What the dashboards ask for, with all variables filled in.
fn dashboards() -> Vec<String> {
    let lines = include_str!("mesh/dashboards.txt").lines();
    let queries = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).flat_map(|line| {
        let quantiles = if line.contains("{q}") { &["0.50", "0.90", "0.95", "0.99"][..] } else { &[""] };
        let equal = if line.contains("{is}") { &[("=", "=~"), ("!=", "!~")][..] } else { &[("", "")] };
        let each = quantiles.iter().flat_map(move |quantile| equal.iter().map(move |is| (*quantile, *is)));
        each.map(|(quantile, (is, like))| {
            line.replace("{q}", quantile).replace("{is}~", like).replace("{is}", is)
        })
    });
    let filled =
        queries.map(|query| VARIABLES.iter().fold(query, |query, (name, value)| query.replace(name, value)));
    filled.collect()
}

/// Here all connections are secured, and clients do not say so of theirs, as in Istio: nothing can be the answer to these.
fn is_empty(query: &str) -> bool {
    let of_clients = query.contains(r#"reporter="source""#) && query.contains(r#"policy="mutual_tls""#);
    of_clients || (query.contains(r#"reporter="destination""#) && query.contains(r#"policy!="mutual_tls""#))
}

/// The body of an answer.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: mesh\r\nconnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers with text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a body");
    if head.to_lowercase().contains("transfer-encoding: chunked") { joined(body) } else { body.to_owned() }
}

fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk begins with its size");
        body.push_str(&rest[..size]);
        chunks = rest[size..].trim_start_matches("\r\n");
    }
    body
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
