//! Which requests may pass, and with which headers. Nothing here knows of the proxy: a request's headers in, a decision out.

mod action;
mod algorithm;
mod cache;
mod claims;
mod compile;
mod contradiction;
mod der;
mod docket;
mod extract;
mod failure;
mod fields;
mod header;
mod istio;
mod json;
mod keys;
mod pattern;
mod provider;
mod query;
mod requirement;
mod rules;
mod template;
mod token;
mod unsupported;
mod uri;

pub use action::FilterState;
pub use algorithm::{Algorithm, Curve, Hash, Scheme};
pub use compile::{Mistake, compile};
pub use failure::Failure;
pub use fields::Change;
pub use keys::KeySet;
pub use uri::Uri;

use action::Action;
use claims::{Claims, header_value};
use docket::{Docket, Reader};
use extract::{Found, Place};
use fields::Fields;
use provider::{Provider, Signed};
use requirement::{Court, Requirement};
use rules::Matcher;
use serde_json::{Map, Value};
use std::rc::Rc;

/// A configuration, checked and compiled.
#[derive(Debug)]
pub struct Policy {
    providers: Vec<Provider>,
    reader: Reader,
    rules: Vec<(Matcher, Option<Requirement>)>,
    by_state: Option<StateRules>,
    otherwise: Option<Requirement>,
    bypass_cors_preflight: bool,
    actions: Vec<Action>,
    /// Headers that nobody but this extension may set, in lower case.
    managed: Vec<String>,
    /// Parameters of the query, likewise.
    managed_parameters: Vec<String>,
    warnings: Vec<String>,
}

/// What is required by the value of filter state.
#[derive(Debug)]
struct StateRules {
    name: String,
    requires: Vec<(String, Requirement)>,
}

impl StateRules {
    fn requirements(&self) -> impl Iterator<Item = &Requirement> {
        self.requires.iter().map(|(_, requirement)| requirement)
    }

    fn met(&self, by: &dyn Surroundings) -> Result<Option<&Requirement>, Failure> {
        let value = by.filter_state(&self.name)?;
        let mut met = self.requires.iter().filter(|(wanted, _)| Some(wanted.as_bytes()) == value.as_deref());
        Ok(met.next().map(|(_, requirement)| requirement))
    }
}

/// A request: its headers, with `:method`, `:path` and `:authority` among them.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a>(pub &'a [(&'a [u8], &'a [u8])]);

impl<'a> Request<'a> {
    fn headers_named(&self, name: &str) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.0.iter().copied().filter(move |(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Those of which a server may think that they have this name.
    fn headers_like(&self, name: &str) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.0.iter().copied().filter(move |(known, _)| fields::is_alike(known, name))
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

    /// Whether a decision may wait for keys of a provider.
    fn may_wait(&self, provider: usize, wanted: Want) -> bool;

    /// Whether one more signature may be tried with one more key: that is work, and anybody can ask for it.
    fn may_check(&self, _algorithm: Algorithm) -> bool {
        true
    }

    /// Whether the signature is that of the text, by this key: `SubjectPublicKeyInfo`, or the 32 bytes of Ed25519.
    fn verify(&self, scheme: Scheme, key: &[u8], text: &[u8], signature: &[u8]) -> bool;

    /// Filter state of the request, by its full name.
    ///
    /// # Errors
    ///
    /// It is there, and cannot be read.
    fn filter_state(&self, _name: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }
}

/// What a decision may have to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// There are none yet.
    Keys,
    /// A token names one that is not among those that there are.
    NewerKeys,
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
    /// That depends on keys of this provider.
    Wait(usize),
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
    /// The header that says that nobody has.
    sign: Option<Rc<str>>,
}

/// Why a requirement is not met, or not yet.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Failed(Failure),
    Waits { provider: usize },
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

    /// Lets a request pass by claims that somebody else has verified.
    pub fn pass_by<'a>(&self, claims: Map<String, Value>) -> Passage<'a> {
        let signed = Rc::new(Signed { claims: Claims::trusted(claims), payload: String::new() });
        let found = Found { sent: b"", place: Place::Elsewhere };
        Passage(vec![Accepted { provider: usize::MAX, signed, found, is_verified: true, sign: None }])
    }

    /// Decides on a request.
    pub fn decide<'a>(&self, request: &Request<'a>, by: &dyn Surroundings) -> Decision<'a> {
        if self.bypass_cors_preflight && request.is_preflight() {
            return Decision::Preflight(Passage::default());
        }
        let docket = Docket::new(&self.reader, request);
        let court = Court { providers: &self.providers, docket: &docket, by };
        let mut accepted = Vec::new();
        let matchers = self.rules.iter().map(|(matcher, _)| matcher);
        let met = if self.rules.is_empty() { Ok(vec![None]) } else { rules::met(matchers, request) };
        let met = match met {
            Ok(met) => met,
            Err(failure) => return Decision::Deny(failure),
        };
        let is_ambiguous = met.len() > 1;
        for rule in met {
            let requirement = match self.requirement(rule, by) {
                Ok(requirement) => requirement,
                Err(failure) => return Decision::Deny(failure),
            };
            match requirement.map(|requirement| requirement.judge(court)) {
                None => {}
                Some(Ok(tokens)) if accepted.is_empty() => accepted = tokens,
                Some(Ok(tokens)) => accepted.extend(tokens),
                Some(Err(Stop::Failed(failure))) => return Decision::Deny(failure),
                Some(Err(Stop::Waits { provider })) => return Decision::Wait(provider),
            }
        }
        // What one rule lets pass without a look is nothing to another.
        accepted.retain(|token: &Accepted<'_>| token.is_verified || !is_ambiguous);
        Decision::Pass(Passage(accepted))
    }

    /// What a rule requires, or what is required where none matches.
    fn requirement(
        &self,
        rule: Option<usize>,
        by: &dyn Surroundings,
    ) -> Result<Option<&Requirement>, Failure> {
        if let Some(rule) = rule {
            return Ok(self.rules.get(rule).and_then(|(_, requirement)| requirement.as_ref()));
        }
        let by_state = match &self.by_state {
            Some(rules) => rules.met(by)?,
            None => None,
        };
        Ok(by_state.or(self.otherwise.as_ref()))
    }

    /// How many tokens were remembered, and how many were not, since the last time.
    pub fn take_lookups(&self) -> (u64, u64) {
        let add = |(hits, misses): (u64, u64), provider: &Provider| {
            let more = provider.cache.borrow_mut().take_lookups();
            (hits.saturating_add(more.0), misses.saturating_add(more.1))
        };
        self.providers.iter().fold((0, 0), add)
    }

    /// Gives a provider the keys that were fetched for it, or none if they are too old.
    pub fn set_keys(&self, provider: usize, keys: Option<Rc<KeySet>>) {
        if let Some(provider) = self.providers.get(provider) {
            provider.set_keys(keys);
        }
    }

    /// How the headers of a request that passes have to be changed, and what filter state it gets.
    ///
    /// # Errors
    ///
    /// A claim cannot stand where an action puts it.
    pub fn change<'a>(
        &self,
        request: &Request<'a>,
        passage: &Passage<'a>,
    ) -> Result<(Change<'a>, FilterState), Failure> {
        let mut fields = Fields::new(request.0);
        self.managed.iter().for_each(|name| fields.remove_all_like(name));
        self.take_tokens_out(&mut fields, passage);
        for accepted in &passage.0 {
            if let Some(name) = &accepted.sign {
                fields.set(name, b"false".to_vec());
            }
            if let Some(provider) = self.providers.get(accepted.provider) {
                add_headers(&mut fields, provider, &accepted.signed);
            }
        }
        self.take_parameters_out(&mut fields);
        let state = action::apply(&self.actions, &mut fields, &passage.0)?;
        Ok((fields.change(), state))
    }

    /// What a client sends under the names of parameters that actions set.
    fn take_parameters_out(&self, fields: &mut Fields<'_>) {
        let names: Vec<_> = self.managed_parameters.iter().map(String::as_bytes).collect();
        if let Some(path) = fields.get(":path").and_then(|path| query::without(path, &names)) {
            fields.set(":path", path);
        }
    }

    /// Only what was verified, and is not to be forwarded.
    fn take_tokens_out(&self, fields: &mut Fields<'_>, passage: &Passage<'_>) {
        let mut params = Vec::new();
        for accepted in passage.0.iter().filter(|accepted| accepted.is_verified) {
            if self.providers.get(accepted.provider).is_none_or(|provider| provider.forward) {
                continue;
            }
            match accepted.found.place {
                Place::Header { name, value } => fields.remove_line(name, value),
                Place::Param(name) => params.push(name),
                Place::Cookie | Place::Elsewhere => {}
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
        if fields.get(name).is_none()
            && let Some(value) = signed.claims.at(claim).and_then(header_value)
        {
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
