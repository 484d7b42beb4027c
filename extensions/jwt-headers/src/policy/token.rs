//! A token as it is written (RFC 7515, compact): three parts, strictly base64url, strictly JSON.

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::failure::Failure;
use super::json;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The longest token that is looked at. Envoy refuses requests with more than 60 KiB of headers by default.
const LONGEST: usize = 64 * 1024;

/// A token that can be read, and is not verified.
#[derive(Debug)]
pub(super) struct Token<'a> {
    signed: &'a [u8],
    payload: &'a str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    key_id: Option<String>,
    pub(super) claims: Claims,
}

impl<'a> Token<'a> {
    pub(super) fn read(text: &'a [u8]) -> Result<Self, Failure> {
        let text =
            std::str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST).ok_or(Failure::Form)?;
        let (signed, signature) = text.rsplit_once('.').ok_or(Failure::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(Failure::Form)?;
        if header.is_empty() || payload.is_empty() || payload.contains('.') {
            return Err(Failure::Form);
        }
        let header = decode(header).ok_or(Failure::HeaderBase64)?;
        let header = json::object(&header).map_err(|_| Failure::HeaderJson)?;
        let algorithm = algorithm(&header)?;
        let key_id = key_id(&header)?;
        // RFC 7515, 4.1.11 and RFC 7797: what is critical has to be understood, and nothing of it is here.
        if header.contains_key("crit")
            || header.get("b64").is_some_and(|encoded| *encoded != Value::Bool(true))
        {
            return Err(Failure::Critical);
        }
        let claims = decode(payload).ok_or(Failure::PayloadBase64)?;
        let claims = Claims::of(json::object(&claims).map_err(|_| Failure::PayloadJson)?)?;
        let signature = decode(signature).ok_or(Failure::SignatureBase64)?;
        Ok(Self { signed: signed.as_bytes(), payload, signature, algorithm, key_id, claims })
    }

    /// What the signature is of.
    pub(super) fn signed(&self) -> &'a [u8] {
        self.signed
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The second part, as it was sent.
    pub(super) fn payload(&self) -> &'a str {
        self.payload
    }
}

/// Without padding, and with nothing in the bits that are not used.
fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

fn algorithm(header: &Map<String, Value>) -> Result<Algorithm, Failure> {
    let name = header.get("alg").and_then(Value::as_str).ok_or(Failure::NoAlgorithm)?;
    Algorithm::named(name).ok_or(Failure::UnknownAlgorithm)
}

fn key_id(header: &Map<String, Value>) -> Result<Option<String>, Failure> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(id)) => Ok(Some(id.clone())),
        Some(_) => Err(Failure::KeyId),
    }
}
