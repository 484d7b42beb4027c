//! What plugins have measured, and the proxy has counted, as Prometheus reads it.

use std::collections::BTreeMap;
use std::fmt::Write;

use proxy_wasm_kit_host::engine::{Histogram, Metric};

/// What the proxy itself counts.
#[derive(Default)]
pub(super) struct Statistics {
    /// Requests by status; 0 stands for those without an answer.
    statuses: BTreeMap<u16, u64>,
    /// Reloads that were accepted, and those that were not.
    reloads: [u64; 2],
}

impl Statistics {
    /// A request is over.
    pub(super) fn count(&mut self, status: Option<u16>) {
        *self.statuses.entry(status.unwrap_or(0)).or_default() += 1;
    }

    /// Files have changed, and were accepted or not.
    pub(super) fn count_reload(&mut self, accepted: bool) {
        self.reloads[usize::from(!accepted)] += 1;
    }

    /// The text that `/stats/prometheus` answers.
    pub(super) fn render(&self, metrics: &BTreeMap<String, Metric>) -> String {
        let mut text = String::from("# TYPE pwkit_requests_total counter\n");
        for (status, count) in &self.statuses {
            let _ = writeln!(text, "pwkit_requests_total{{status=\"{status}\"}} {count}");
        }
        let [accepted, rejected] = self.reloads;
        let _ = writeln!(
            text,
            "# TYPE pwkit_reloads_total counter\npwkit_reloads_total{{outcome=\"accepted\"}} {accepted}\n\
             pwkit_reloads_total{{outcome=\"rejected\"}} {rejected}"
        );
        // One family has one head, whatever its labels.
        let mut families: BTreeMap<(String, &str), Vec<(String, &Metric)>> = BTreeMap::new();
        for (name, metric) in metrics {
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
        Metric::Histogram(Histogram { count, sum, buckets }) => {
            for (bound, reached) in Histogram::BOUNDS.iter().zip(buckets) {
                let _ = writeln!(text, "{family}_bucket{} {reached}", braces(&format!("le=\"{bound}\"")));
            }
            let _ = writeln!(text, "{family}_bucket{} {count}", braces("le=\"+Inf\""));
            let _ = writeln!(text, "{family}_sum{0} {sum}\n{family}_count{0} {count}", braces(""));
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
    fn everything_is_told_as_prometheus_reads_it() {
        let histogram = [1, 700, 4, 700].into_iter().collect();
        let metrics = BTreeMap::from([
            ("k=.=v;.;requests".to_owned(), Metric::Counter(5)),
            ("latency".to_owned(), Metric::Histogram(histogram)),
        ]);
        let mut statistics = Statistics::default();
        statistics.count(Some(200));
        statistics.count_reload(true);
        let text = statistics.render(&metrics);
        for line in [
            "pwkit_requests_total{status=\"200\"} 1",
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
