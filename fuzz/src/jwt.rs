//! jwt_headers with keys of every type (those of its cases), and requests to it.

use crate::token::{self, Token};
use hmac::{Hmac, KeyInit, Mac};
use jwt_headers::policy::{Change, Policy, compile};
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};

/// When the tokens of the seeds are good: in 2033.
pub const NOW: u64 = 2_000_000_000;
/// By how much clocks may differ.
const SKEW: f64 = 60.0;

/// A header, or all of them.
pub type Header = (Vec<u8>, Vec<u8>);

/// The keys, one for each type and curve.
pub fn keys() -> Value {
    serde_json::from_str(include_str!("keys.json")).expect("the keys are JSON")
}

/// A policy of this configuration.
pub fn policy(config: Value) -> Policy {
    let config = serde_json::from_value(config).expect("the configuration has the form");
    compile(config, [7; 16]).unwrap_or_else(|mistake| panic!("{mistake:?}")).0
}

/// A provider with all keys and algorithms, and with these settings besides.
pub fn provider(more: Value) -> Value {
    let algorithms = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256",
        "HS384", "HS512",
    ];
    let mut provider = json!({"algorithms": algorithms, "local_jwks": keys()});
    let (Value::Object(members), Value::Object(more)) = (&mut provider, more) else {
        panic!("objects are merged")
    };
    members.extend(more);
    provider
}

/// Whether one of the keys is for this token: its type and curve are, and the name is the same if there is one.
pub fn has_key(token: &Token) -> bool {
    let key = match token.algorithm.as_str() {
        "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" => "rsa",
        "ES256" => "p256",
        "ES384" => "p384",
        "ES512" => "p521",
        "EdDSA" | "Ed25519" => "ed",
        "HS256" | "HS384" | "HS512" => "oct",
        _ => return false,
    };
    token.key_id.as_deref().is_none_or(|id| id == key)
}

/// Whether the signature has the form that the algorithm asks for; that of a secret has to be right.
pub fn has_form(token: &Token) -> bool {
    let numbers = |size: usize| {
        let parts: Vec<&[u8]> = token.signature.chunks(size).collect();
        token.signature.len() == 2 * size && parts.iter().all(|part| part.iter().any(|byte| *byte != 0))
    };
    match token.algorithm.as_str() {
        "ES256" => numbers(32),
        "ES384" => numbers(48),
        "ES512" => numbers(66),
        name if name.starts_with("HS") => mac(name, &token.signed) == Some(token.signature.clone()),
        _ => true,
    }
}

/// The HMAC of a text by the secret among the keys.
pub fn mac(algorithm: &str, text: &[u8]) -> Option<Vec<u8>> {
    fn of<M: Mac + KeyInit>(secret: &[u8], text: &[u8]) -> Vec<u8> {
        let keyed = M::new_from_slice(secret).expect("a secret may have any length");
        keyed.chain_update(text).finalize().into_bytes().to_vec()
    }
    let keys = keys();
    let secret = keys["keys"].as_array()?.iter().find_map(|key| key["k"].as_str())?;
    let secret = token::decode(secret)?;
    match algorithm {
        "HS256" => Some(of::<Hmac<Sha256>>(&secret, text)),
        "HS384" => Some(of::<Hmac<Sha384>>(&secret, text)),
        "HS512" => Some(of::<Hmac<Sha512>>(&secret, text)),
        _ => None,
    }
}

/// Whether a token is good at [`NOW`]. Of a fraction of a second, that is counted in which it is good for less.
pub fn is_timely(token: &Token) -> bool {
    let now = NOW as f64;
    let date = |name: &str| token.claims.get(name).and_then(Value::as_f64);
    date("exp").is_none_or(|end| end.floor() + SKEW >= now)
        && date("nbf").is_none_or(|start| start.ceil() <= now + SKEW)
        && date("iat").is_none_or(|issued| issued.floor() <= now + SKEW)
}

/// The headers that the upstream gets.
pub fn apply(change: &Change<'_>, sent: &[(&[u8], &[u8])]) -> Vec<Header> {
    let owned = |(name, value): &(&[u8], &[u8])| (name.to_vec(), value.to_vec());
    match change {
        Change::None => sent.iter().map(owned).collect(),
        Change::All(fields) => fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
        Change::Names(names) => {
            let is_kept = |name: &[u8]| !names.iter().any(|(changed, _)| *changed == name);
            let kept = sent.iter().filter(|(name, _)| is_kept(name)).map(owned);
            let new = names
                .iter()
                .flat_map(|(name, values)| values.iter().map(|value| (name.clone(), value.to_vec())));
            kept.chain(new).collect()
        }
    }
}

/// The values of all headers that an upstream may take for this one: CGI does not tell `-` from `_`.
pub fn values<'h>(headers: &'h [Header], name: &str) -> Vec<&'h [u8]> {
    let folded = |name: &[u8]| {
        name.to_ascii_lowercase()
            .iter()
            .map(|byte| if *byte == b'_' { b'-' } else { *byte })
            .collect::<Vec<_>>()
    };
    headers.iter().filter(|(known, _)| folded(known) == name.as_bytes()).map(|(_, value)| &**value).collect()
}

/// Whether a header is there that CGI takes for this one, and HTTP does not.
pub fn has_alias(headers: &[Header], name: &str) -> bool {
    values(headers, name).len() > headers.iter().filter(|(known, _)| known == name.as_bytes()).count()
}
