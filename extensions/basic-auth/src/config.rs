//! The configuration as an operator writes it: names, defaults and types, nothing decided yet.

use proxy_wasm_kit::lenient::{flag, whole_number};
use proxy_wasm_kit::{Config, Schema};
use serde::Deserialize;
use serde::de::Deserializer;

/// The plugin configuration.
#[derive(Debug, Deserialize, Config)]
#[serde(deny_unknown_fields)]
#[schema(unknown_keys = "warn")]
pub struct Config {
    /// What is protected, and by which credentials. Every rule that matches a request has to accept it.
    #[serde(default)]
    pub basic_auth_rules: Vec<Rule>,
    /// What the client is told it logs in to, unless a rule has a realm of its own.
    #[serde(default = "istio")]
    pub realm: String,
    /// Applies to every request that no rule of `basic_auth_rules` matches.
    #[serde(default, deserialize_with = "present")]
    pub default_rule: Option<DefaultRule>,
    /// How paths are compared.
    #[serde(default)]
    pub path_matching: PathMatching,
    /// Whether a rule for `GET` also covers `HEAD`. The original's answer was no.
    #[serde(default = "yes", deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub head_as_get: bool,
    /// The body of a denial.
    #[serde(default)]
    pub denied_body: String,
    /// Lets everything through; what would have been denied is logged and counted.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub dry_run: bool,
    /// Whether to count. Off by default, because each count is a host call; on in a dry run.
    #[serde(default, deserialize_with = "present_flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub metrics: Option<bool>,
    /// A request header that tells the upstream who logged in. What a client sends under that name is removed.
    #[serde(default, deserialize_with = "present")]
    pub forward_username_header: Option<String>,
    /// Whether `authorization` is taken out of a request that was allowed by it.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub strip_authorization: bool,
    /// The costliest bcrypt hash that is accepted. A verification blocks the worker.
    #[serde(default = "affordable", deserialize_with = "whole_number")]
    #[schema(json = r#""type":["number","string"],"minimum":0,"maximum":4294967295"#)]
    pub max_bcrypt_cost: u32,
}

/// How paths are compared.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Schema)]
#[serde(rename_all = "snake_case")]
pub enum PathMatching {
    /// Without query, and under every reading that an upstream may give the path.
    #[default]
    Normalized,
    /// Byte for byte and with the query, as the original did. Can be bypassed.
    Original,
}

/// A part of the site and who may see it.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The label of the rule's metrics and log lines; by default its place in the list.
    #[serde(default, deserialize_with = "present")]
    pub name: Option<String>,
    /// Paths that begin with this.
    #[serde(default, deserialize_with = "present")]
    pub prefix: Option<String>,
    /// This path.
    #[serde(default, deserialize_with = "present")]
    pub exact: Option<String>,
    /// Paths that end with this.
    #[serde(default, deserialize_with = "present")]
    pub suffix: Option<String>,
    /// Paths in which this regular expression is found.
    #[serde(default, deserialize_with = "present")]
    pub regex: Option<String>,
    /// Hosts, `*.suffix` or `prefix.*`; none means all.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Methods, `*` for all.
    #[serde(default)]
    pub request_methods: Vec<String>,
    /// `user:password`, `user:hash` or base64 of `user:password`.
    #[serde(default)]
    pub credentials: Vec<String>,
    /// Lines of an htpasswd file.
    #[serde(default, deserialize_with = "present")]
    pub htpasswd: Option<String>,
    /// This rule's realm.
    #[serde(default, deserialize_with = "present")]
    pub realm: Option<String>,
    /// Asks for no credential: requests that match are not unmatched, so the default rule leaves them alone.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub public: bool,
}

/// The rule for what no other rule matches.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct DefaultRule {
    /// As in a rule; `default` by default.
    #[serde(default, deserialize_with = "present")]
    pub name: Option<String>,
    /// As in a rule; all by default.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// As in a rule; all by default.
    #[serde(default)]
    pub request_methods: Vec<String>,
    /// As in a rule.
    #[serde(default)]
    pub credentials: Vec<String>,
    /// As in a rule.
    #[serde(default, deserialize_with = "present")]
    pub htpasswd: Option<String>,
    /// As in a rule.
    #[serde(default, deserialize_with = "present")]
    pub realm: Option<String>,
}

fn istio() -> String {
    "istio".to_owned()
}

fn yes() -> bool {
    true
}

fn affordable() -> u32 {
    10
}

/// A key that is there counts, whatever its value: `null` is a mistake and not an absence.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

fn present_flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    flag(from).map(Some)
}

#[cfg(test)]
mod tests {
    //! What is read, and what is refused while it is read.

    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults() {
        let config = read("{}").unwrap();
        assert!(config.basic_auth_rules.is_empty());
        assert_eq!(config.realm, "istio");
        assert_eq!(config.path_matching, PathMatching::Normalized);
        assert!(config.head_as_get && !config.dry_run && !config.strip_authorization);
        assert_eq!((config.metrics, config.max_bcrypt_cost), (None, 10));
    }

    #[test]
    fn numbers_and_flags_as_templates_and_istio_write_them() {
        for number in ["8", "8.0", "\"8\""] {
            assert_eq!(read(&format!("{{\"max_bcrypt_cost\": {number}}}")).unwrap().max_bcrypt_cost, 8);
        }
        for number in ["8.5", "-1", "\"x\"", "1e300", "null"] {
            read(&format!("{{\"max_bcrypt_cost\": {number}}}")).unwrap_err();
        }
        assert!(read(r#"{"dry_run": "true", "metrics": "false"}"#).unwrap().dry_run);
        read(r#"{"dry_run": 1}"#).unwrap_err();
    }

    #[test]
    fn null_is_a_mistake() {
        for text in [
            r#"{"basic_auth_rules": null}"#,
            r#"{"realm": null}"#,
            r#"{"basic_auth_rules": [{"prefix": null}]}"#,
            r#"{"basic_auth_rules": [{"hosts": null}]}"#,
            r#"{"basic_auth_rules": {}}"#,
            "null",
        ] {
            read(text).unwrap_err();
        }
    }
}
