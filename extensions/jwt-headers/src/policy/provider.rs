//! A provider: from what was found in a request to a token that is verified.

use super::algorithm::Algorithm;
use super::cache::Cache;
use super::claims::{Checks, ClaimPath, Claims};
use super::docket::{Candidate, Docket};
use super::extract::MOST;
use super::failure::Failure;
use super::keys::KeySet;
use super::token::Token;
use super::{Accepted, Stop, Surroundings, Want};
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
    /// The numbers of the places where its tokens are.
    pub(super) places: Vec<usize>,
    pub(super) forward: bool,
    pub(super) payload_header: Option<PayloadHeader>,
    pub(super) claim_headers: Vec<(String, ClaimPath)>,
    /// Claims that are texts of words.
    pub(super) words: Vec<String>,
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
    pub(super) fn tokens<'t, 'd, 'a>(
        &'t self,
        docket: &'t Docket<'d, 'a>,
    ) -> Result<impl Iterator<Item = &'t Candidate<'d, 'a>>, Stop> {
        let places = || self.places.iter().map(|place| docket.candidates(*place));
        let count = places().map(<[_]>::len).fold(0, usize::saturating_add);
        if count > MOST { Err(Stop::Failed(Failure::TooMany)) } else { Ok(places().flatten()) }
    }

    /// Verifies a token. Its claims are checked each time, its signature once.
    pub(super) fn verify<'a>(
        &self,
        number: usize,
        candidate: &Candidate<'_, 'a>,
        audiences: Option<&[String]>,
        by: &dyn Surroundings,
    ) -> Result<Accepted<'a>, Stop> {
        let is_kept = self.cache.borrow().keeps(candidate.length());
        let place = is_kept.then(|| candidate.place());
        let known = self.cache.borrow_mut().get(place);
        let signed = match known {
            Some(signed) => {
                signed.claims.check(&self.checks, audiences, by.now())?;
                signed
            }
            None => {
                let signed = self.check_new(number, candidate, audiences, by)?;
                self.cache.borrow_mut().insert(place, &signed);
                signed
            }
        };
        Ok(Accepted { provider: number, signed, found: candidate.found, is_verified: true, sign: None })
    }

    fn check_new(
        &self,
        number: usize,
        candidate: &Candidate<'_, '_>,
        audiences: Option<&[String]>,
        by: &dyn Surroundings,
    ) -> Result<Rc<Signed>, Stop> {
        let token = candidate.token()?;
        if !self.algorithms.contains(&token.algorithm()) {
            return Err(Failure::RefusedAlgorithm.into());
        }
        token.claims.check(&self.checks, audiences, by.now())?;
        self.check_signature(number, token, by)?;
        candidate.is_verified(token);
        Ok(self.signed(token, token.claims.clone().with_lists(&self.words)))
    }

    fn signed(&self, token: &Token<'_>, claims: Claims) -> Rc<Signed> {
        let payload = if self.payload_header.is_some() { token.payload().to_owned() } else { String::new() };
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
        candidate: &Candidate<'_, 'a>,
        sign: Option<Rc<str>>,
    ) -> Option<Accepted<'a>> {
        let token = candidate.token().ok()?;
        let signed = self.signed(token, token.claims.clone());
        Some(Accepted { provider: number, signed, found: candidate.found, is_verified: false, sign })
    }
}
