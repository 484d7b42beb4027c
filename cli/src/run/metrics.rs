//! What plugins have measured, put together over all workers, as Prometheus reads it.

use std::collections::BTreeMap;
use std::fmt::Write;

use proxy_wasm_kit_host::engine::Metric;

/// Envoy's buckets of a histogram.
const BUCKETS: [f64; 19] = [
    0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 3e5, 6e5, 1.8e6,
    3.6e6,
];

/// What one worker, or all together, have counted.
#[derive(Default)]
pub(super) struct Snapshot {
    pub(super) metrics: BTreeMap<String, Metric>,
    /// Requests by status; 0 stands for those without an answer.
    pub(super) statuses: BTreeMap<u16, u64>,
}

impl Snapshot {
    pub(super) fn add(&mut self, metrics: BTreeMap<String, Metric>) {
        for (name, metric) in metrics {
            match (self.metrics.get_mut(&name), metric) {
                (Some(Metric::Counter(sum)), Metric::Counter(more))
                | (Some(Metric::Gauge(sum)), Metric::Gauge(more)) => *sum = sum.wrapping_add(more),
                (Some(Metric::Histogram(samples)), Metric::Histogram(more)) => samples.extend(more),
                (_, metric) => drop(self.metrics.insert(name, metric)),
            }
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.add(other.metrics);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
    }

    /// The text that `/stats/prometheus` answers.
    pub(super) fn render(&self, reloads: [u64; 2]) -> String {
        let mut text = String::from("# TYPE pwkit_requests_total counter\n");
        for (status, count) in &self.statuses {
            let _ = writeln!(text, "pwkit_requests_total{{status=\"{status}\"}} {count}");
        }
        let [accepted, rejected] = reloads;
        let _ = writeln!(
            text,
            "# TYPE pwkit_reloads_total counter\npwkit_reloads_total{{outcome=\"accepted\"}} {accepted}\n\
             pwkit_reloads_total{{outcome=\"rejected\"}} {rejected}"
        );
        // One family has one head, whatever its labels.
        let mut families: BTreeMap<(String, &str), Vec<(String, &Metric)>> = BTreeMap::new();
        for (name, metric) in &self.metrics {
            let (family, labels) = labelled(name);
            families.entry((family, kind(metric))).or_default().push((labels, metric));
        }
        for ((family, kind), members) in families {
            let _ = writeln!(text, "# TYPE {family} {kind}");
            members.iter().for_each(|(labels, metric)| member(&mut text, &family, labels, metric));
        }
        text
    }
}

fn kind(metric: &Metric) -> &'static str {
    match metric {
        Metric::Counter(_) => "counter",
        Metric::Gauge(_) => "gauge",
        Metric::Histogram(_) => "histogram",
    }
}

fn member(text: &mut String, family: &str, labels: &str, metric: &Metric) {
    let braces = |more: &str| match (labels, more) {
        ("", "") => String::new(),
        ("", one) | (one, "") => format!("{{{one}}}"),
        (labels, more) => format!("{{{labels},{more}}}"),
    };
    match metric {
        Metric::Counter(value) | Metric::Gauge(value) => {
            let _ = writeln!(text, "{family}{} {value}", braces(""));
        }
        Metric::Histogram(samples) => {
            for bound in BUCKETS {
                let count = samples.iter().filter(|sample| **sample as f64 <= bound).count();
                let _ = writeln!(text, "{family}_bucket{} {count}", braces(&format!("le=\"{bound}\"")));
            }
            let _ = writeln!(text, "{family}_bucket{} {}", braces("le=\"+Inf\""), samples.len());
            let sum: u64 = samples.iter().fold(0, |sum, sample| sum.wrapping_add(*sample));
            let _ = writeln!(text, "{family}_sum{0} {sum}\n{family}_count{0} {1}", braces(""), samples.len());
        }
    }
}

/// The name of a metric without the parts `KEY=.=VALUE;.;` that stand for labels, and these labels.
fn labelled(name: &str) -> (String, String) {
    let (mut family, mut labels) = (String::new(), Vec::new());
    let mut rest = name;
    while let Some((key, behind)) = rest.split_once("=.=") {
        let Some((value, after)) = behind.split_once(";.;") else { break };
        // What stands before the first key without a separator of labels belongs to the name.
        let (before, key) = key.rsplit_once('.').map_or(("", key), |(before, key)| (before, key));
        family.push_str(before);
        labels.push(format!(
            "{}=\"{}\"",
            word(key),
            value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
        ));
        rest = after;
    }
    family.push_str(rest);
    (word(&family), labels.join(","))
}

/// As Envoy writes names for Prometheus.
fn word(name: &str) -> String {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let word: String = name.chars().map(|letter| if allowed(letter) { letter } else { '_' }).collect();
    if word.starts_with(|letter: char| letter.is_ascii_digit()) { format!("_{word}") } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_taken_out_of_names() {
        let name = "basic_auth_rule=.=ad\"min;.;basic_auth_denied";
        assert_eq!(labelled(name), ("basic_auth_denied".into(), r#"basic_auth_rule="ad\"min""#.into()));
        assert_eq!(labelled("plain.name-x"), ("plain_name_x".into(), String::new()));
        let two = labelled("a=.=1;.;b=.=2;.;total");
        assert_eq!(two, ("total".into(), r#"a="1",b="2""#.into()));
    }

    #[test]
    fn workers_are_added_up() {
        let metrics = |count: u64| {
            BTreeMap::from([
                ("k=.=v;.;requests".to_owned(), Metric::Counter(count)),
                ("latency".to_owned(), Metric::Histogram(vec![count, 700])),
            ])
        };
        let mut all = Snapshot::default();
        for count in [1, 4] {
            let statuses = BTreeMap::from([(200, count)]);
            all.merge(Snapshot { metrics: metrics(count), statuses });
        }
        let text = all.render([1, 0]);
        for line in [
            "pwkit_requests_total{status=\"200\"} 5",
            "pwkit_reloads_total{outcome=\"accepted\"} 1",
            "# TYPE requests counter\nrequests{k=\"v\"} 5",
            "latency_bucket{le=\"1\"} 1",
            "latency_bucket{le=\"1000\"} 4",
            "latency_bucket{le=\"+Inf\"} 4",
            "latency_sum 1405",
            "latency_count 4",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
    }
}
