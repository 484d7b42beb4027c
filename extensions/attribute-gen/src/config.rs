//! The configuration as an operator writes it: names, defaults and types, nothing decided yet.
//!
//! The original read it as the JSON form of protobuf: names in `snake_case` or `lowerCamelCase`, enums by name or number,
//! and `null` for what is not there.

use proxy_wasm_kit::{Config, Schema, lenient};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::fmt;

/// The plugin configuration.
#[derive(Debug, Deserialize, Config)]
#[serde(deny_unknown_fields)]
#[schema(unknown_keys = "warn")]
pub struct Config {
    /// Logs each attribute that is set, at level debug.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub debug: bool,
    /// The attributes to generate. Of two with one name, the later one wins.
    #[serde(default, deserialize_with = "or_default")]
    pub attributes: Vec<Generator>,
}

impl Config {
    /// How many patterns there are.
    pub fn patterns(&self) -> usize {
        let rules = self.attributes.iter().flat_map(|generator| &generator.matches);
        rules.filter(|rule| rule.pattern.is_some()).count()
    }
}

/// One attribute, and what it becomes of which request.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// When it is generated.
    #[serde(default, deserialize_with = "phase")]
    #[schema(
        json = r#""enum":["ON_REQUEST","ON_RESPONSE","AFTER_RESPONSE","PHASE_UNSPECIFIED",0,1,2],"default":"AFTER_RESPONSE""#
    )]
    pub phase: Phase,
    /// The name of the attribute. Others read it as `filter_state['wasm.NAME']`, plugins of the same chain also as `NAME`.
    #[serde(default, alias = "outputAttribute", deserialize_with = "or_default")]
    pub output_attribute: String,
    /// The first that matches says the value.
    #[serde(default, rename = "match", deserialize_with = "or_default")]
    pub matches: Vec<Match>,
}

/// When an attribute is generated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// When the stream is logged, before access logs and metrics of plugins further on in the chain.
    #[default]
    AfterResponse,
    /// When the headers of the request have come.
    OnRequest,
    /// When the headers of the response have come.
    OnResponse,
}

/// Which requests, and what the attribute becomes of them. All conditions that are given have to hold.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// CEL over the attributes that gives a bool.
    #[serde(default, deserialize_with = "or_default")]
    pub condition: String,
    /// A path with `{parameters}`, compared with that of the request, without its query: `/reviews/{id}`.
    #[serde(default, deserialize_with = "or_default")]
    pub path: Option<String>,
    /// The method of the request, beside `path`.
    #[serde(default, deserialize_with = "or_default")]
    pub method: Option<String>,
    /// A regular expression that is found in what `input` gives.
    #[serde(default, deserialize_with = "or_default")]
    pub pattern: Option<String>,
    /// CEL over the attributes that gives a text, for `pattern`; `request.url_path` by default.
    #[serde(default, deserialize_with = "or_default")]
    pub input: Option<String>,
    /// What the attribute becomes. Beside `path` and `pattern`, `${name}` is the parameter or group of that name.
    #[serde(default, deserialize_with = "or_default")]
    pub value: String,
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// `true` or `"true"`: templates quote.
fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    struct Flag(#[serde(deserialize_with = "lenient::flag")] bool);

    Ok(Option::deserialize(from)?.is_some_and(|Flag(flag)| flag))
}

/// By its name or its number, which Istio makes a floating one.
fn phase<'de, D: Deserializer<'de>>(from: D) -> Result<Phase, D::Error> {
    struct Name;

    impl Visitor<'_> for Name {
        type Value = Phase;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("ON_REQUEST, ON_RESPONSE or AFTER_RESPONSE")
        }

        fn visit_str<E: Error>(self, name: &str) -> Result<Phase, E> {
            match name {
                "AFTER_RESPONSE" | "PHASE_UNSPECIFIED" => Ok(Phase::AfterResponse),
                "ON_REQUEST" => Ok(Phase::OnRequest),
                "ON_RESPONSE" => Ok(Phase::OnResponse),
                _ => Err(E::invalid_value(Unexpected::Str(name), &self)),
            }
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Phase, E> {
            match number {
                0 => Ok(Phase::AfterResponse),
                1 => Ok(Phase::OnRequest),
                2 => Ok(Phase::OnResponse),
                _ => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
            }
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<Phase, E> {
            let whole = number.fract() == 0.0 && (0.0..=2.0).contains(&number);
            if whole {
                self.visit_u64(number as u64)
            } else {
                Err(E::invalid_value(Unexpected::Float(number), &self))
            }
        }

        fn visit_unit<E: Error>(self) -> Result<Phase, E> {
            Ok(Phase::default())
        }
    }

    from.deserialize_any(Name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn names_are_those_of_protobuf_in_json() {
        let config = read(
            r#"{"debug": true, "attributes": [
                {"output_attribute": "a", "match": [{"condition": "true", "value": "x"}]},
                {"outputAttribute": "b", "phase": "ON_REQUEST", "match": null},
                {"phase": null, "output_attribute": null}]}"#,
        )
        .unwrap();
        let names: Vec<_> =
            config.attributes.iter().map(|generator| generator.output_attribute.as_str()).collect();
        assert_eq!(names, ["a", "b", ""]);
        assert_eq!(config.attributes[0].matches[0].value, "x");
        assert!(config.debug);
    }

    #[test]
    fn a_phase_is_a_name_or_a_number() {
        for (text, phase) in [
            ("\"AFTER_RESPONSE\"", Phase::AfterResponse),
            ("\"PHASE_UNSPECIFIED\"", Phase::AfterResponse),
            ("0", Phase::AfterResponse),
            ("\"ON_REQUEST\"", Phase::OnRequest),
            ("1", Phase::OnRequest),
            ("1.0", Phase::OnRequest),
            ("\"ON_RESPONSE\"", Phase::OnResponse),
            ("2", Phase::OnResponse),
        ] {
            let config = read(&format!(r#"{{"attributes": [{{"phase": {text}}}]}}"#)).unwrap();
            assert_eq!(config.attributes[0].phase, phase, "{text}");
        }
        for text in ["\"on_request\"", "3", "-1", "0.5", "true"] {
            let error = read(&format!(r#"{{"attributes": [{{"phase": {text}}}]}}"#)).unwrap_err();
            assert!(error.contains("ON_REQUEST, ON_RESPONSE or AFTER_RESPONSE"), "{text}: {error}");
        }
    }
}
