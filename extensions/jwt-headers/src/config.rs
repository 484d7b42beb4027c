//! The configuration as an operator writes it: names, defaults and types, nothing decided yet. Names are those of Envoy's
//! `JwtAuthentication` wherever it has one.

mod action;
mod istio;
mod scalar;
mod unsupported;

pub use action::{Action, Condition, HeaderAction, Metadata, QueryAction, Trust};
pub use istio::{JwtHeader, JwtRule, OutputClaim};
pub use scalar::Span;
pub use unsupported::Unsupported;

use proxy_wasm_kit::lenient::{flag, whole_number};
use proxy_wasm_kit::{Config, Schema};
use scalar::{named, present, present_number};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The plugin configuration.
#[derive(Debug, Default, Deserialize, Config)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who issues tokens, by a name for each.
    #[serde(default, deserialize_with = "named")]
    pub providers: BTreeMap<String, Provider>,
    /// The same in the fields of Istio's RequestAuthentication, instead of `providers`, `rules` and `requires`.
    #[serde(default, rename = "jwtRules", deserialize_with = "present")]
    pub jwt_rules: Option<Vec<JwtRule>>,
    /// What is required of which requests: the first that matches.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// What is required of requests that no rule matches, by filter state.
    #[serde(default, deserialize_with = "present")]
    pub filter_state_rules: Option<FilterStateRule>,
    /// What is required of requests that no rule matches. Without it, nothing is.
    #[serde(default, deserialize_with = "present")]
    pub requires: Option<Requirement>,
    /// Requirements by name, for `requirement_name` of a rule.
    #[serde(default, deserialize_with = "named")]
    pub requirement_map: BTreeMap<String, Requirement>,
    /// What claims do to a request that passes, one after the other.
    #[serde(default)]
    pub actions: Vec<Action>,
    /// Whose claims `actions` are about: those of tokens that are verified here, or of dynamic metadata.
    #[serde(default)]
    pub trust: Trust,
    /// Where they are in dynamic metadata.
    #[serde(default, deserialize_with = "present")]
    pub metadata: Option<Metadata>,
    /// Whether preflight requests of CORS, which cannot carry a token, pass.
    #[serde(default, deserialize_with = "present_flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub bypass_cors_preflight: Option<bool>,
    /// Whether a denial tells the client nothing but its status.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub strip_failure_response: bool,
    /// What requests are answered that need keys which cannot be fetched: 401, as by jwt_authn, or 503.
    #[serde(default, deserialize_with = "present_number")]
    #[schema(json = r#""enum":[401,503,"401","503"]"#)]
    pub fetch_failure_status: Option<u32>,
    /// What stands in the names of metrics before what they count; `a` makes `jwt_headers_a_allowed`.
    #[serde(default)]
    pub stat_prefix: String,
    /// Whether to count requests. Off by default, because each count is a host call.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub metrics: bool,
}

/// An issuer of tokens: where its tokens are, how they are verified, and what becomes of them.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// What `iss` has to be; empty for any.
    #[serde(default)]
    pub issuer: String,
    /// One of these has to be in `aud`; none for any.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// What `sub` has to be.
    #[serde(default, deserialize_with = "present")]
    pub subjects: Option<StringMatch>,
    /// The algorithms that are accepted. By default all with a public key: RS, PS, ES and EdDSA.
    #[serde(default, deserialize_with = "present")]
    pub algorithms: Option<Vec<String>>,
    /// Accepts RSA keys of less than 2048 bits, and secrets shorter than the hash.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub allow_weak_keys: bool,
    /// Refuses tokens without `exp`.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub require_expiration: bool,
    /// How far in the future `exp` may be, at most.
    #[serde(default, deserialize_with = "present")]
    #[schema(json = r#""type":["string","number","object"]"#)]
    pub max_lifetime: Option<Span>,
    /// By how much clocks may differ; 60 by default.
    #[serde(default = "a_minute", deserialize_with = "whole_number")]
    #[schema(json = r#""type":["number","string"],"minimum":0,"maximum":4294967295"#)]
    pub clock_skew_seconds: u32,
    /// The keys themselves.
    #[serde(default, deserialize_with = "present")]
    pub local_jwks: Option<LocalJwks>,
    /// Where the keys are fetched.
    #[serde(default, deserialize_with = "present")]
    pub remote_jwks: Option<RemoteJwks>,
    /// Headers in which tokens are.
    #[serde(default)]
    pub from_headers: Vec<FromHeader>,
    /// Query parameters in which tokens are.
    #[serde(default)]
    pub from_params: Vec<String>,
    /// Cookies in which tokens are.
    #[serde(default)]
    pub from_cookies: Vec<String>,
    /// Whether a verified token goes on to the upstream.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub forward: bool,
    /// A request header for the payload, in base64url.
    #[serde(default, deserialize_with = "present")]
    pub forward_payload_header: Option<String>,
    /// Whether that has padding.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub pad_forward_payload_header: bool,
    /// Request headers for claims.
    #[serde(default)]
    pub claim_to_headers: Vec<ClaimToHeader>,
    /// How many verified tokens are remembered.
    #[serde(default)]
    pub jwt_cache_config: CacheConfig,
    /// Claims that are texts of words.
    #[serde(default)]
    pub normalize_payload_in_metadata: NormalizePayload,
    /// Without effect: the proxy always chooses the route anew when something has changed.
    #[serde(default, deserialize_with = "present_flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub clear_route_cache: Option<bool>,
    /// Refused: a module cannot write dynamic metadata.
    #[serde(default, deserialize_with = "present")]
    pub payload_in_metadata: Option<Unsupported>,
    /// Refused: a module cannot write dynamic metadata.
    #[serde(default, deserialize_with = "present")]
    pub header_in_metadata: Option<Unsupported>,
    /// Refused: a module cannot write dynamic metadata.
    #[serde(default, deserialize_with = "present")]
    pub failed_status_in_metadata: Option<Unsupported>,
}

/// Claims as conditions and templates see them.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct NormalizePayload {
    /// Texts of words with spaces between, as `scope`, that count as lists.
    #[serde(default)]
    pub space_delimited_claims: Vec<String>,
}

/// One of several ways to give keys.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct LocalJwks {
    /// A JWKS, or certificates by `kid`, as a text.
    #[serde(default, deserialize_with = "present")]
    pub inline_string: Option<String>,
    /// A JWKS, as base64.
    #[serde(default, deserialize_with = "present")]
    pub inline_bytes: Option<String>,
    /// A JWKS in an environment variable of the VM.
    #[serde(default, deserialize_with = "present")]
    pub environment_variable: Option<Variable>,
    /// The keys of a JWKS, as JSON.
    #[serde(default, deserialize_with = "present")]
    pub keys: Option<serde_json::Value>,
    /// Public keys in PEM, `BEGIN PUBLIC KEY`.
    #[serde(default, deserialize_with = "present")]
    pub pem: Option<String>,
    /// Refused: a module has no files.
    #[serde(default, deserialize_with = "present")]
    pub filename: Option<Unsupported>,
    /// Refused: a module has no files.
    #[serde(default, deserialize_with = "present")]
    pub watched_directory: Option<Unsupported>,
}

/// An environment variable.
#[derive(Debug, Deserialize, Schema)]
#[serde(transparent)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it holds, when somebody has looked.
    #[serde(skip)]
    pub value: Option<String>,
}

/// A server that has the keys.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct RemoteJwks {
    /// What is asked for.
    pub http_uri: HttpUri,
    /// How long fetched keys are new; 10 minutes by default. They are fetched again before it is over.
    #[serde(default, deserialize_with = "present")]
    #[schema(json = r#""type":["string","number","object"]"#)]
    pub cache_duration: Option<Span>,
    /// How long keys are used after that, if the server fails; an hour by default.
    #[serde(default, deserialize_with = "present")]
    #[schema(json = r#""type":["string","number","object"]"#)]
    pub max_stale: Option<Span>,
    /// The shortest time between two fetches because of a `kid` that is not known; 10 seconds by default.
    #[serde(default, deserialize_with = "present")]
    #[schema(json = r#""type":["string","number","object"]"#)]
    pub refetch_interval: Option<Span>,
    /// Keys are always fetched without a request that asks for them; here only the time after a failure counts.
    #[serde(default)]
    pub async_fetch: AsyncFetch,
    /// What is done about a fetch that fails, before it has failed.
    #[serde(default)]
    pub retry_policy: RetryPolicy,
}

/// A URL, and the cluster that leads there.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct HttpUri {
    /// The URL.
    pub uri: String,
    /// The cluster.
    pub cluster: String,
    /// How long an answer may take; 5 seconds by default.
    #[serde(default, deserialize_with = "present")]
    #[schema(json = r#""type":["string","number","object"]"#)]
    pub timeout: Option<Span>,
}

/// When keys are fetched.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct AsyncFetch {
    /// Whether a listener takes requests before the keys are there.
    #[serde(default, deserialize_with = "flag")]
    #[schema(
        json = r#""enum":[true,false,"true","false"]"#,
        no_effect = "a plugin cannot hold a listener back"
    )]
    pub fast_listener: bool,
    /// The time after a failure; a second by default.
    #[serde(default, deserialize_with = "present")]
    #[schema(json = r#""type":["string","number","object"]"#)]
    pub failed_refetch_duration: Option<Span>,
}

/// How often a fetch is tried.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// So many times more than once, at most 10.
    #[serde(default, deserialize_with = "present_number")]
    #[schema(json = r#""type":["number","string"],"minimum":0,"maximum":10"#)]
    pub num_retries: Option<u32>,
    /// With these times in between.
    #[serde(default)]
    pub retry_back_off: BackOff,
    /// Refused: whatever is no answer with keys is tried again.
    #[serde(default, deserialize_with = "present")]
    pub retry_on: Option<Unsupported>,
    /// Refused: the cluster chooses its hosts.
    #[serde(default, deserialize_with = "present")]
    pub retry_priority: Option<Unsupported>,
    /// Refused: the cluster chooses its hosts.
    #[serde(default, deserialize_with = "present")]
    pub retry_host_predicate: Option<Unsupported>,
    /// Refused: the cluster chooses its hosts.
    #[serde(default, deserialize_with = "present")]
    pub host_selection_retry_max_attempts: Option<Unsupported>,
}

/// Times that double.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct BackOff {
    /// The first; a second by default.
    #[serde(default, deserialize_with = "present")]
    #[schema(json = r#""type":["string","number","object"]"#)]
    pub base_interval: Option<Span>,
    /// The longest; ten times the first by default.
    #[serde(default, deserialize_with = "present")]
    #[schema(json = r#""type":["string","number","object"]"#)]
    pub max_interval: Option<Span>,
}

/// A header in which a token is.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct FromHeader {
    /// Its name.
    pub name: String,
    /// What stands before the token.
    #[serde(default)]
    pub value_prefix: String,
}

/// A claim that becomes a header.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct ClaimToHeader {
    /// The header.
    pub header_name: String,
    /// The claim, `a.b` for one in another.
    #[serde(default, deserialize_with = "present")]
    pub claim_name: Option<String>,
    /// The claim by the names on the way to it, where one holds a dot.
    #[serde(default, deserialize_with = "present")]
    pub claim_path: Option<Vec<Segment>>,
}

/// A name on the way to a claim.
#[derive(Debug, Deserialize, Schema)]
#[serde(untagged)]
pub enum Segment {
    /// As a text.
    Text(String),
    /// As Envoy writes it.
    Key {
        /// The name.
        key: String,
    },
}

impl Segment {
    /// The name.
    pub fn name(&self) -> &str {
        match self {
            Self::Text(name) | Self::Key { key: name } => name,
        }
    }
}

/// How many verified tokens each worker remembers.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// At most so many; 0 for none. 500 by default.
    #[serde(default, deserialize_with = "present_number")]
    #[schema(json = r#""type":["number","string"],"minimum":0,"maximum":4294967295"#)]
    pub jwt_cache_size: Option<u32>,
    /// None that is longer, in bytes. 4096 by default.
    #[serde(default, deserialize_with = "present_number")]
    #[schema(json = r#""type":["number","string"],"minimum":0,"maximum":4294967295"#)]
    pub jwt_max_token_size: Option<u32>,
}

/// What is required of requests that match.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which requests.
    #[serde(rename = "match")]
    pub matching: Match,
    /// What of them; nothing, if neither this nor `requirement_name` is there.
    #[serde(default, deserialize_with = "present")]
    pub requires: Option<Requirement>,
    /// The same, by its name in `requirement_map`.
    #[serde(default, deserialize_with = "present")]
    pub requirement_name: Option<String>,
}

/// Which requests, as in a route of Envoy.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Paths that begin with this.
    #[serde(default, deserialize_with = "present")]
    pub prefix: Option<String>,
    /// This path.
    #[serde(default, deserialize_with = "present")]
    pub path: Option<String>,
    /// This path, and what is below it.
    #[serde(default, deserialize_with = "present")]
    pub path_separated_prefix: Option<String>,
    /// Paths that this regular expression matches as a whole.
    #[serde(default, deserialize_with = "present")]
    pub safe_regex: Option<Regex>,
    /// Whether upper and lower case differ; they do by default.
    #[serde(default, deserialize_with = "present_flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub case_sensitive: Option<bool>,
    /// Headers, all of which have to be as said.
    #[serde(default)]
    pub headers: Vec<HeaderMatch>,
    /// Refused: a query can be read in many ways.
    #[serde(default, deserialize_with = "present")]
    pub query_parameters: Option<Unsupported>,
    /// Refused: CONNECT has no path, and meets what is required of `/`.
    #[serde(default, deserialize_with = "present")]
    pub connect_matcher: Option<Unsupported>,
    /// Refused: not known to a module.
    #[serde(default, deserialize_with = "present")]
    pub path_match_policy: Option<Unsupported>,
    /// Refused: not known to a module.
    #[serde(default, deserialize_with = "present")]
    pub runtime_fraction: Option<Unsupported>,
    /// Refused: `headers` can say so.
    #[serde(default, deserialize_with = "present")]
    pub grpc: Option<Unsupported>,
    /// Refused: not known here.
    #[serde(default, deserialize_with = "present")]
    pub tls_context: Option<Unsupported>,
    /// Refused: not known here.
    #[serde(default, deserialize_with = "present")]
    pub dynamic_metadata: Option<Unsupported>,
    /// Refused: `filter_state_rules` can say so, for requests that no rule is for.
    #[serde(default, deserialize_with = "present")]
    pub filter_state: Option<Unsupported>,
    /// Refused: `headers` can say so.
    #[serde(default, deserialize_with = "present")]
    pub cookies: Option<Unsupported>,
}

/// What a header has to be.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct HeaderMatch {
    /// Its name, for example `:method`.
    pub name: String,
    /// What its value has to be.
    #[serde(default, deserialize_with = "present")]
    pub string_match: Option<StringMatch>,
    /// Whether it has to be there.
    #[serde(default, deserialize_with = "present_flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub present_match: Option<bool>,
    /// Older words for `string_match: {exact}`.
    #[serde(default, deserialize_with = "present")]
    pub exact_match: Option<String>,
    /// Older words for `string_match: {prefix}`.
    #[serde(default, deserialize_with = "present")]
    pub prefix_match: Option<String>,
    /// Older words for `string_match: {suffix}`.
    #[serde(default, deserialize_with = "present")]
    pub suffix_match: Option<String>,
    /// Older words for `string_match: {contains}`.
    #[serde(default, deserialize_with = "present")]
    pub contains_match: Option<String>,
    /// Older words for `string_match: {safe_regex}`.
    #[serde(default, deserialize_with = "present")]
    pub safe_regex_match: Option<Regex>,
    /// Refused: a pattern can say so.
    #[serde(default, deserialize_with = "present")]
    pub range_match: Option<Unsupported>,
    /// Turns the answer around.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub invert_match: bool,
    /// A header that is not there is one that is empty.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub treat_missing_header_as_empty: bool,
}

/// Requirements by the value of filter state.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct FilterStateRule {
    /// Its name, for example `wasm.NAME` of what a plugin has set.
    pub name: String,
    /// What is required, by value.
    #[serde(deserialize_with = "named")]
    #[schema(json = r#""type":"object","additionalProperties":{"type":"object"}"#)]
    pub requires: BTreeMap<String, Requirement>,
}

/// A regular expression.
#[derive(Clone, Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Regex {
    /// In the syntax of the Rust crate regex-lite.
    pub regex: String,
}

/// One way to compare a text.
#[derive(Clone, Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct StringMatch {
    /// This text.
    #[serde(default, deserialize_with = "present")]
    pub exact: Option<String>,
    /// What begins with this.
    #[serde(default, deserialize_with = "present")]
    pub prefix: Option<String>,
    /// What ends with this.
    #[serde(default, deserialize_with = "present")]
    pub suffix: Option<String>,
    /// What holds this.
    #[serde(default, deserialize_with = "present")]
    pub contains: Option<String>,
    /// What this matches as a whole.
    #[serde(default, deserialize_with = "present")]
    pub safe_regex: Option<Regex>,
    /// Whether upper and lower case are the same; not for a regular expression.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub ignore_case: bool,
}

/// What has to be true of the tokens of a request: exactly one of the keys.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// There is a token of this provider, and all that are where it looks are good.
    #[serde(default, deserialize_with = "present")]
    pub provider_name: Option<String>,
    /// The same, for other audiences than the provider's.
    #[serde(default, deserialize_with = "present")]
    pub provider_and_audiences: Option<ProviderAndAudiences>,
    /// One of these is met.
    #[serde(default, deserialize_with = "present")]
    pub requires_any: Option<Requirements>,
    /// All of these are met.
    #[serde(default, deserialize_with = "present")]
    pub requires_all: Option<Requirements>,
    /// Each token that is there is good.
    #[serde(default, deserialize_with = "present")]
    pub allow_missing: Option<Nothing>,
    /// Nothing; but tokens that are good are used.
    #[serde(default, deserialize_with = "present")]
    pub allow_missing_or_failed: Option<Nothing>,
    /// Nothing; and tokens are used that nobody has verified.
    #[serde(default, deserialize_with = "present")]
    pub extract_only_without_validation: Option<ExtractOnly>,
}

/// How the upstream is told that nobody has verified a token.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct ExtractOnly {
    /// The request header that is `false` then, `x-jwt-signature-verified` by default; `-` for none.
    #[serde(default, deserialize_with = "present")]
    pub verification_status_header: Option<String>,
}

/// A provider, for other audiences.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct ProviderAndAudiences {
    /// Its name.
    pub provider_name: String,
    /// The audiences.
    pub audiences: Vec<String>,
}

/// Requirements that belong together.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Requirements {
    /// At least one.
    #[schema(json = r#""type":"array","items":{"type":"object"}"#)]
    pub requirements: Vec<Requirement>,
}

/// `{}`.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

fn a_minute() -> u32 {
    60
}

fn present_flag<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    flag(from).map(Some)
}
