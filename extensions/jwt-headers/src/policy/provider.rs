//! A provider: from what was found in a request to a token that is verified.

use super::algorithm::Algorithm;
use super::cache::Cache;
use super::claims::{Checks, ClaimPath, Claims};
use super::extract::{Found, Locations, MOST};
use super::failure::Failure;
use super::header::Headers;
use super::json::Keep;
use super::keys::KeySet;
use super::token::Token;
use super::{Accepted, Request, Stop, Surroundings, Want};
use std::cell::RefCell;
use std::rc::Rc;

/// Who issues tokens, compiled.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) checks: Checks,
    pub(super) algorithms: Vec<Algorithm>,
    /// None as long as they are not fetched.
    pub(super) keys: RefCell<Option<Rc<KeySet>>>,
    pub(super) is_remote: bool,
    pub(super) locations: Locations,
    pub(super) forward: bool,
    pub(super) payload_header: Option<PayloadHeader>,
    pub(super) claim_headers: Vec<(String, ClaimPath)>,
    /// Claims that are texts of words.
    pub(super) words: Vec<String>,
    /// Those that are checked, and those that the configuration has a use for.
    pub(super) used_claims: Vec<String>,
    pub(super) headers: Headers,
    pub(super) cache: RefCell<Cache>,
}

/// A header that gets the payload.
#[derive(Debug)]
pub(super) struct PayloadHeader {
    pub(super) name: String,
    pub(super) padded: bool,
}

/// What of a token is used once it is verified.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) claims: Claims,
    /// The second part, as it was sent; empty if nobody has a use for it.
    pub(super) payload: String,
}

impl Provider {
    /// The tokens of a request.
    pub(super) fn tokens<'a>(&self, request: &Request<'a>) -> Result<Vec<Found<'a>>, Stop> {
        let found = self.locations.tokens(request);
        if found.len() > MOST { Err(Stop::Failed(Failure::TooMany)) } else { Ok(found) }
    }

    /// Verifies a token. Its claims are checked each time, its signature once.
    pub(super) fn verify<'a>(
        &self,
        number: usize,
        found: Found<'a>,
        audiences: Option<&[String]>,
        by: &dyn Surroundings,
    ) -> Result<Accepted<'a>, Stop> {
        let place = self.cache.borrow().place(&found.token);
        let known = self.cache.borrow_mut().get(place);
        let signed = match known {
            Some(signed) => {
                signed.claims.check(&self.checks, audiences, by.now())?;
                signed
            }
            None => {
                let signed = self.check_new(number, &found.token, audiences, by)?;
                self.cache.borrow_mut().insert(place, &signed);
                signed
            }
        };
        Ok(Accepted { provider: number, signed, found, is_verified: true, sign: None })
    }

    fn check_new(
        &self,
        number: usize,
        text: &[u8],
        audiences: Option<&[String]>,
        by: &dyn Surroundings,
    ) -> Result<Rc<Signed>, Stop> {
        let token = self.token(text)?;
        if !self.algorithms.contains(&token.algorithm()) {
            return Err(Failure::RefusedAlgorithm.into());
        }
        token.claims.check(&self.checks, audiences, by.now())?;
        self.check_signature(number, &token, by)?;
        token.is_verified(&self.headers);
        Ok(self.signed(token.payload(), token.claims.with_lists(&self.words)))
    }

    fn token<'a>(&self, text: &'a [u8]) -> Result<Token<'a>, Failure> {
        let is_used = |name: &str| self.used_claims.iter().any(|used| used == name);
        Token::read(text, &self.headers, Keep::Only(&is_used))
    }

    fn signed(&self, payload: &str, claims: Claims) -> Rc<Signed> {
        let payload = if self.payload_header.is_some() { payload.to_owned() } else { String::new() };
        Rc::new(Signed { claims, payload })
    }

    /// Waits for keys that are not there yet, and for newer ones if the token names a key that is not among them.
    fn check_signature(&self, provider: usize, token: &Token<'_>, by: &dyn Surroundings) -> Result<(), Stop> {
        let Some(keys) = self.keys.borrow().clone() else {
            return Err(if by.may_wait(provider, Want::Keys) {
                Stop::Waits { provider }
            } else {
                Failure::Fetch.into()
            });
        };
        match keys.verify(token, by) {
            Err(Failure::NoKey)
                if self.is_remote && token.key_id().is_some() && by.may_wait(provider, Want::NewerKeys) =>
            {
                Err(Stop::Waits { provider })
            }
            verdict => verdict.map_err(Stop::from),
        }
    }

    /// From now on these are the keys. What others have verified counts no more.
    pub(super) fn set_keys(&self, keys: Option<Rc<KeySet>>) {
        let same = match (&*self.keys.borrow(), &keys) {
            (Some(old), Some(new)) => old.is_same(new),
            _ => false,
        };
        if !same {
            self.cache.borrow_mut().clear();
        }
        self.keys.replace(keys);
    }

    /// Reads a token without verifying anything.
    pub(super) fn read<'a>(
        &self,
        number: usize,
        found: Found<'a>,
        sign: Option<Rc<str>>,
    ) -> Option<Accepted<'a>> {
        let token = self.token(&found.token).ok()?;
        let signed = self.signed(token.payload(), token.claims);
        Some(Accepted { provider: number, signed, found, is_verified: false, sign })
    }
}
