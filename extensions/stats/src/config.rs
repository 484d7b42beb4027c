//! The configuration as an operator writes it: names, defaults and types, nothing decided yet.

use proxy_wasm_kit::lenient::flag;
use proxy_wasm_kit::{Config, Schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// The plugin configuration.
#[derive(Debug, Deserialize, Config)]
#[serde(deny_unknown_fields)]
#[schema(unknown_keys = "warn")]
pub struct Config {
    /// Names no destination after the host that a client asked for. For inbound traffic and gateways.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub disable_host_header_fallback: bool,
    /// How often connections and gRPC streams that are open are reported, as in `15s`; `0s` only at their end.
    #[serde(default)]
    pub tcp_reporting_duration: Option<String>,
    /// What ends a label in the name of a metric.
    #[serde(default = "field_separator")]
    pub field_separator: String,
    /// What stands between the name of a label and its value.
    #[serde(default = "value_separator")]
    pub value_separator: String,
    /// Metrics beside the standard ones.
    #[serde(default)]
    pub definitions: Vec<Definition>,
    /// What is changed about metrics, one after the other.
    #[serde(default)]
    pub metrics: Vec<Override>,
    /// Whose rules say what a label holds: those of the Wasm plugin up to Istio 1.17, or of the filter since.
    #[serde(default)]
    pub label_rules: LabelRules,
    /// Which side of the traffic the proxy is on; by default the root id says it, and then the listener.
    #[serde(default)]
    pub direction: DirectionChoice,
    /// What the proxy is for.
    #[serde(default)]
    pub reporter: Reporter,
    /// The most series that a metric may have; what is over it is counted in one whose labels are `other`.
    #[serde(default = "max_series", deserialize_with = "up_to_a_million")]
    #[schema(json = r#""type":["number","string"],"minimum":1,"maximum":1000000"#)]
    pub max_series: u32,
    /// How many combinations of labels a worker remembers.
    #[serde(default = "max_cached_vectors", deserialize_with = "up_to_a_hundred_thousand")]
    #[schema(json = r#""type":["number","string"],"minimum":1,"maximum":100000"#)]
    pub max_cached_vectors: u32,
    /// Accepted, as by the original.
    #[serde(default)]
    #[schema(no_effect = "the log level of the proxy says what is logged")]
    pub debug: Option<Ignored>,
    /// Accepted, as by the original.
    #[serde(default)]
    #[schema(no_effect = "peers are not cached here; max_cached_vectors bounds what is")]
    pub max_peer_cache_size: Option<Ignored>,
    /// Accepted, as by the original.
    #[serde(default)]
    #[schema(no_effect = "names begin with `istio_`")]
    pub stat_prefix: Option<Ignored>,
    /// Of the native filter.
    #[serde(default)]
    #[schema(no_effect = "a plugin cannot take a series away; max_series bounds how many there are")]
    pub rotation_interval: Option<Ignored>,
    /// Of the native filter.
    #[serde(default)]
    #[schema(no_effect = "a plugin cannot take a series away; max_series bounds how many there are")]
    pub graceful_deletion_interval: Option<Ignored>,
}

/// A value that is not looked at.
pub type Ignored = serde::de::IgnoredAny;

/// A metric beside the standard ones.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name, without `istio_`.
    #[serde(default)]
    pub name: String,
    /// Its value: an expression in CEL that gives a whole number.
    #[serde(default)]
    pub value: String,
    /// What it is.
    #[serde(default, rename = "type")]
    pub kind: Kind,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Schema)]
pub enum Kind {
    /// It adds up.
    #[default]
    #[serde(rename = "COUNTER")]
    Counter,
    /// It is what it was last.
    #[serde(rename = "GAUGE")]
    Gauge,
    /// It is distributed.
    #[serde(rename = "HISTOGRAM")]
    Histogram,
}

/// A change to one metric or all.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The metric, without `istio_`; all by default.
    #[serde(default)]
    pub name: String,
    /// Labels, each with an expression in CEL that gives its value.
    #[serde(default)]
    pub dimensions: BTreeMap<String, String>,
    /// Labels to leave out.
    #[serde(default)]
    pub tags_to_remove: Vec<String>,
    /// An expression in CEL: the change applies to requests and connections for which it is true.
    #[serde(default, rename = "match")]
    pub when: String,
    /// Leaves the metric out.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub drop: bool,
}

/// Whose rules say what a label holds.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Schema)]
#[serde(rename_all = "snake_case")]
pub enum LabelRules {
    /// Those of the Wasm plugin, up to Istio 1.17.
    #[default]
    Original,
    /// Those of the filter that Istio's proxies have since.
    Native,
}

/// Which side of the traffic the proxy is on.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Schema)]
#[serde(rename_all = "snake_case")]
pub enum DirectionChoice {
    /// By the root id `stats_inbound` or `stats_outbound`; with another one, by the listener.
    #[default]
    Auto,
    /// Traffic to the workload beside the proxy.
    Inbound,
    /// Traffic from the workload beside the proxy, or through a gateway.
    Outbound,
}

/// What the proxy is for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Schema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reporter {
    /// A sidecar, or a gateway at the edge.
    #[default]
    Unspecified,
    /// A gateway in front of workloads: a waypoint.
    ServerGateway,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            disable_host_header_fallback: false,
            tcp_reporting_duration: None,
            field_separator: field_separator(),
            value_separator: value_separator(),
            definitions: Vec::new(),
            metrics: Vec::new(),
            label_rules: LabelRules::default(),
            direction: DirectionChoice::default(),
            reporter: Reporter::default(),
            max_series: max_series(),
            max_cached_vectors: max_cached_vectors(),
            debug: None,
            max_peer_cache_size: None,
            stat_prefix: None,
            rotation_interval: None,
            graceful_deletion_interval: None,
        }
    }
}

fn field_separator() -> String {
    ";.;".to_owned()
}

fn value_separator() -> String {
    "=.=".to_owned()
}

fn max_series() -> u32 {
    5000
}

fn max_cached_vectors() -> u32 {
    2000
}

fn up_to_a_million<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    from.deserialize_any(WholeNumber { most: 1_000_000 })
}

fn up_to_a_hundred_thousand<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    from.deserialize_any(WholeNumber { most: 100_000 })
}

/// `10`, `10.0` or `"10"`, and not 0: Istio hands configurations through a type whose numbers are all floating.
struct WholeNumber {
    most: u32,
}

impl Visitor<'_> for WholeNumber {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from 1 to {}", self.most)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u32, E> {
        let fits = u32::try_from(number).ok().filter(|number| (1..=self.most).contains(number));
        fits.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<u32, E> {
        let fits = number.fract() == 0.0 && (1.0..=f64::from(self.most)).contains(&number);
        if fits { Ok(number as u32) } else { Err(E::invalid_value(Unexpected::Float(number), &self)) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u32, E> {
        let number = text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))?;
        self.visit_u64(number)
    }
}

#[cfg(test)]
mod tests {
    //! What is read, and what is refused while it is read.

    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_the_default() {
        let (read, made) = (read("{}").unwrap(), Config::default());
        assert_eq!(format!("{read:?}"), format!("{made:?}"));
        assert_eq!((read.field_separator.as_str(), read.value_separator.as_str()), (";.;", "=.="));
    }

    #[test]
    fn the_configurations_that_istio_makes_are_read() {
        let config = read(
            r#"{"debug": "false", "stat_prefix": "istio", "disable_host_header_fallback": "true",
                "max_peer_cache_size": -1, "tcp_reporting_duration": "5s", "max_series": "10",
                "definitions": [{"name": "a", "value": "1", "type": "GAUGE"}],
                "metrics": [{"name": "a", "dimensions": {"x": "y"}, "tags_to_remove": ["z"], "drop": "false"}]}"#,
        )
        .unwrap();
        assert!(config.disable_host_header_fallback);
        assert_eq!((config.max_series, config.definitions[0].kind), (10, Kind::Gauge));
        assert_eq!(config.metrics[0].dimensions["x"], "y");
    }

    #[test]
    fn numbers_that_bound_something_are_not_nothing() {
        for number in ["0", "-1", "1.5", "\"x\"", "1e9", "null"] {
            read(&format!("{{\"max_series\": {number}}}")).unwrap_err();
        }
        for (key, most) in [("max_series", 1_000_000), ("max_cached_vectors", 100_000)] {
            read(&format!("{{\"{key}\": {most}.0}}")).unwrap();
            for more in [format!("{}", most + 1), format!("{}.0", most + 1), format!("\"{}\"", most + 1)] {
                let error = read(&format!("{{\"{key}\": {more}}}")).unwrap_err();
                assert!(error.contains(&format!("from 1 to {most}")), "{error}");
            }
        }
    }
}
