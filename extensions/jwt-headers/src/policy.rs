//! Which requests may pass, and with which headers. Nothing here knows of the proxy: a request's headers in, a decision out.

mod algorithm;
mod cache;
mod claims;
mod compile;
mod der;
mod extract;
mod failure;
mod fields;
mod json;
mod keys;
mod pattern;
mod provider;
mod query;
mod requirement;
mod rules;
mod token;

pub use algorithm::{Algorithm, Curve, Hash, Scheme};
pub use compile::{Mistake, compile};
pub use failure::Failure;
pub use fields::Change;
pub use keys::KeySet;

use claims::header_value;
use extract::{Found, Place};
use fields::Fields;
use provider::{Provider, Signed};
use requirement::{Court, Requirement};
use rules::Matcher;
use std::rc::Rc;

/// A configuration, checked and compiled.
#[derive(Debug)]
pub struct Policy {
    providers: Vec<Provider>,
    rules: Vec<(Matcher, Option<Requirement>)>,
    otherwise: Option<Requirement>,
    bypass_cors_preflight: bool,
    /// Headers that nobody but this extension may set, in lower case.
    managed: Vec<String>,
    warnings: Vec<String>,
}

/// A request: its headers, with `:method`, `:path` and `:authority` among them.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a>(pub &'a [(&'a [u8], &'a [u8])]);

impl<'a> Request<'a> {
    fn headers_named(&self, name: &str) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.0.iter().copied().filter(move |(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The first value of a header.
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.headers_named(name).next().map(|(_, value)| value)
    }

    fn path(&self) -> &'a [u8] {
        self.first(":path").unwrap_or_default()
    }

    /// A browser asks whether it may send what it wants to send.
    fn is_preflight(&self) -> bool {
        let is_there = |name| self.first(name).is_some_and(|value| !value.is_empty());
        self.first(":method") == Some(b"OPTIONS")
            && is_there("origin")
            && is_there("access-control-request-method")
    }
}

/// What a decision needs beside the request.
pub trait Surroundings {
    /// Seconds since 1970.
    fn now(&self) -> u64;

    /// Whether the signature is that of the text, by this key: `SubjectPublicKeyInfo`, or the 32 bytes of Ed25519.
    fn verify(&self, scheme: Scheme, key: &[u8], text: &[u8], signature: &[u8]) -> bool;
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Decision<'a> {
    /// It passes.
    Pass(Passage<'a>),
    /// A preflight request passes.
    Preflight(Passage<'a>),
    /// It may not pass.
    Deny(Failure),
}

/// The tokens by which a request passes.
#[derive(Debug, Default)]
pub struct Passage<'a>(Vec<Accepted<'a>>);

/// A token that counts.
#[derive(Clone, Debug)]
struct Accepted<'a> {
    provider: usize,
    signed: Rc<Signed>,
    found: Found<'a>,
    is_verified: bool,
}

/// Why a requirement is not met, or not yet.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Failed(Failure),
    #[allow(dead_code, reason = "keys that are fetched")]
    Waits {
        provider: usize,
    },
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Policy {
    /// What an operator should know about the configuration, though it is accepted.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Decides on a request.
    pub fn decide<'a>(&self, request: &Request<'a>, by: &dyn Surroundings) -> Decision<'a> {
        if self.bypass_cors_preflight && request.is_preflight() {
            return Decision::Preflight(Passage::default());
        }
        let court = Court { providers: &self.providers, request, by };
        let mut accepted = Vec::new();
        for rule in rules::met(self.rules.iter().map(|(matcher, _)| matcher), request) {
            let requirement = match rule {
                Some(rule) => self.rules.get(rule).and_then(|(_, requirement)| requirement.as_ref()),
                None => self.otherwise.as_ref(),
            };
            match requirement.map(|requirement| requirement.judge(court)) {
                None => {}
                Some(Ok(tokens)) => accepted.extend(tokens),
                Some(Err(Stop::Failed(failure))) => return Decision::Deny(failure),
                Some(Err(Stop::Waits { .. })) => return Decision::Deny(Failure::Fetch),
            }
        }
        Decision::Pass(Passage(accepted))
    }

    /// How the headers of a request that passes have to be changed.
    pub fn change<'a>(&self, request: &Request<'a>, passage: &Passage<'a>) -> Change<'a> {
        let mut fields = Fields::new(request.0);
        self.managed.iter().for_each(|name| fields.remove_all_like(name));
        self.take_tokens_out(&mut fields, passage);
        for accepted in &passage.0 {
            if let Some(provider) = self.providers.get(accepted.provider) {
                add_headers(&mut fields, provider, &accepted.signed);
            }
        }
        fields.change()
    }

    /// Only what was verified, and is not to be forwarded.
    fn take_tokens_out(&self, fields: &mut Fields<'_>, passage: &Passage<'_>) {
        let mut params = Vec::new();
        for accepted in passage.0.iter().filter(|accepted| accepted.is_verified) {
            if self.providers.get(accepted.provider).is_none_or(|provider| provider.forward) {
                continue;
            }
            match &accepted.found.place {
                Place::Header { name, value } => fields.remove_line(name, value),
                Place::Param(name) => params.push(name.as_str()),
                Place::Cookie => {}
            }
        }
        if params.is_empty() {
            return;
        }
        if let Some(path) = fields.get(":path").and_then(|path| query::without(path, &params)) {
            fields.set(":path", path);
        }
    }
}

/// The first token that has something for a header decides.
fn add_headers(fields: &mut Fields<'_>, provider: &Provider, signed: &Signed) {
    if let Some(header) = &provider.payload_header
        && fields.get(&header.name).is_none()
    {
        let padding = "=".repeat(padding(signed.payload.len()));
        let padded = format!("{}{}", signed.payload, if header.padded { &padding } else { "" });
        fields.set(&header.name, padded.into_bytes());
    }
    for (name, claim) in &provider.claim_headers {
        let value = signed.claims.at(claim).and_then(header_value);
        if let Some(value) = value.filter(|_| fields.get(name).is_none()) {
            fields.set(name, value.into_bytes());
        }
    }
}

/// The `=` that make base64 of this length a multiple of four.
fn padding(length: usize) -> usize {
    length.next_multiple_of(4).saturating_sub(length)
}

#[cfg(test)]
mod tests;
