//! What claims do to a request, as an operator writes it.

use super::scalar::{named, one_or_more, present};
use proxy_wasm_kit::Schema;
use proxy_wasm_kit::lenient::flag;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Edits of a request from claims. Templates hold claims in braces, as `{sub}@{tenant.name}`.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// What claims have to be: one condition, or a list of which all have to be met; nothing means always.
    #[serde(default, deserialize_with = "one_or_more")]
    #[schema(json = r#""type":["object","array"]"#)]
    pub when: Vec<Condition>,
    /// Only claims of this provider, and nothing without a token of it.
    #[serde(default, deserialize_with = "present")]
    pub provider: Option<String>,
    /// Edits of request headers.
    #[serde(default)]
    pub headers: Vec<HeaderAction>,
    /// The new host.
    #[serde(default, deserialize_with = "present")]
    pub host: Option<String>,
    /// The new path; the query stays.
    #[serde(default, deserialize_with = "present")]
    pub path: Option<String>,
    /// What comes before the path.
    #[serde(default, deserialize_with = "present")]
    pub path_prefix: Option<String>,
    /// Edits of the query.
    #[serde(default)]
    pub query: QueryAction,
    /// Filter state, for other filters and access logs: `wasm.NAME` by name.
    #[serde(default, deserialize_with = "named")]
    pub filter_state: BTreeMap<String, String>,
}

/// What a claim has to be. A list is, if one of its elements is.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The claim, as `sub`, `a.b` or `[a][b.c]`.
    pub claim: String,
    /// This text, number or flag.
    #[serde(default, deserialize_with = "present")]
    pub equals: Option<String>,
    /// What begins with this.
    #[serde(default, deserialize_with = "present")]
    pub prefix: Option<String>,
    /// What this matches as a whole.
    #[serde(default, deserialize_with = "present")]
    pub regex: Option<String>,
    /// A list with this element, or a text with this word.
    #[serde(default, deserialize_with = "present")]
    pub contains: Option<String>,
    /// Anything, or with `false` nothing.
    #[serde(default, deserialize_with = "super::present_flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub present: Option<bool>,
    /// Turns the answer around.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub not: bool,
}

/// An edit of a header: exactly one of `set`, `add`, `default`, `remove`.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct HeaderAction {
    /// Its name.
    pub name: String,
    /// The one value that it has.
    #[serde(default, deserialize_with = "present")]
    pub set: Option<String>,
    /// One more value.
    #[serde(default, deserialize_with = "present")]
    pub add: Option<String>,
    /// Its value if there is none; the client's is kept.
    #[serde(default, deserialize_with = "present")]
    pub default: Option<String>,
    /// Takes it out.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub remove: bool,
    /// The value if a claim is not there.
    #[serde(default, deserialize_with = "present")]
    pub otherwise: Option<String>,
    /// Joins the elements of lists with this; else a list is base64 of its JSON.
    #[serde(default, deserialize_with = "present")]
    pub separator: Option<String>,
}

/// Edits of a query.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct QueryAction {
    /// Parameters by name, with templates.
    #[serde(default, deserialize_with = "named")]
    pub set: BTreeMap<String, String>,
    /// Parameters that go.
    #[serde(default)]
    pub remove: Vec<String>,
}

/// Claims that somebody before this plugin has verified.
#[derive(Clone, Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The namespace of dynamic metadata; that of Envoy's jwt_authn by default.
    #[serde(default = "jwt_authn")]
    pub namespace: String,
    /// The key under which the payload is: what `payload_in_metadata` says there, `payload` by default.
    #[serde(default = "payload")]
    pub key: String,
}

impl Default for Metadata {
    fn default() -> Self {
        Self { namespace: jwt_authn(), key: payload() }
    }
}

/// Whose claims count.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Schema)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Those of tokens that are verified here.
    #[default]
    Tokens,
    /// Those that stand in dynamic metadata.
    Metadata,
}

fn jwt_authn() -> String {
    "envoy.filters.http.jwt_authn".into()
}

fn payload() -> String {
    "payload".into()
}
