//! The fields of Istio's `RequestAuthentication`, in its spelling.

use super::scalar::{Span, present};
use proxy_wasm_kit::Schema;
use proxy_wasm_kit::lenient::flag;
use serde::Deserialize;

/// An issuer of tokens, as Istio writes it.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct JwtRule {
    /// What `iss` has to be; empty for any, with `jwksUri` alone.
    #[serde(default)]
    pub issuer: String,
    /// One of these has to be in `aud`; none for any.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Where the keys are fetched.
    #[serde(default, deserialize_with = "present")]
    pub jwks_uri: Option<String>,
    /// Not of Istio: the cluster that leads there; by default the one that a `ServiceEntry` for that host makes.
    #[serde(default, deserialize_with = "present")]
    pub jwks_cluster: Option<String>,
    /// The keys themselves, a JWKS.
    #[serde(default, deserialize_with = "present")]
    pub jwks: Option<String>,
    /// Headers in which tokens are.
    #[serde(default)]
    pub from_headers: Vec<JwtHeader>,
    /// Query parameters in which tokens are.
    #[serde(default)]
    pub from_params: Vec<String>,
    /// Cookies in which tokens are.
    #[serde(default)]
    pub from_cookies: Vec<String>,
    /// A request header for the payload, in base64url.
    #[serde(default, deserialize_with = "present")]
    pub output_payload_to_header: Option<String>,
    /// Whether a verified token goes on to the upstream.
    #[serde(default, deserialize_with = "flag")]
    #[schema(json = r#""enum":[true,false,"true","false"]"#)]
    pub forward_original_token: bool,
    /// Request headers for claims.
    #[serde(default)]
    pub output_claim_to_headers: Vec<OutputClaim>,
    /// Claims that are texts of words, besides `scope` and `permission`.
    #[serde(default)]
    pub space_delimited_claims: Vec<String>,
    /// How long an answer with keys may take; 5 seconds by default.
    #[serde(default, deserialize_with = "present")]
    #[schema(json = r#""type":["string","number","object"]"#)]
    pub timeout: Option<Span>,
}

/// A header in which a token is.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct JwtHeader {
    /// Its name.
    pub name: String,
    /// What stands before the token.
    #[serde(default)]
    pub prefix: String,
}

/// A claim that becomes a header.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub struct OutputClaim {
    /// The header.
    pub header: String,
    /// The claim.
    pub claim: String,
}
