//! A provider: from what was found in a request to a token that is verified.

use super::algorithm::Algorithm;
use super::cache::Cache;
use super::claims::{Checks, ClaimPath, Claims};
use super::extract::{Found, Locations, MOST};
use super::failure::Failure;
use super::keys::KeySet;
use super::token::Token;
use super::{Accepted, Request, Stop, Surroundings};
use std::cell::RefCell;
use std::rc::Rc;

/// Who issues tokens, compiled.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) checks: Checks,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) keys: Rc<KeySet>,
    pub(super) locations: Locations,
    pub(super) forward: bool,
    pub(super) payload_header: Option<PayloadHeader>,
    pub(super) claim_headers: Vec<(String, ClaimPath)>,
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
    /// The second part, as it was sent.
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
        let known = self.cache.borrow_mut().get(&found.token);
        let signed = match known {
            Some(signed) => {
                signed.claims.check(&self.checks, audiences, by.now())?;
                signed
            }
            None => self.check_new(&found.token, audiences, by)?,
        };
        Ok(Accepted { provider: number, signed, found, is_verified: true })
    }

    fn check_new(
        &self,
        text: &[u8],
        audiences: Option<&[String]>,
        by: &dyn Surroundings,
    ) -> Result<Rc<Signed>, Stop> {
        let token = Token::read(text)?;
        if !self.algorithms.contains(&token.algorithm()) {
            return Err(Failure::RefusedAlgorithm.into());
        }
        token.claims.check(&self.checks, audiences, by.now())?;
        self.keys.verify(&token, by)?;
        let signed = Rc::new(Signed { payload: token.payload().to_owned(), claims: token.claims });
        self.cache.borrow_mut().insert(text, &signed);
        Ok(signed)
    }

    /// Reads a token without verifying anything.
    pub(super) fn read<'a>(&self, number: usize, found: Found<'a>) -> Option<Accepted<'a>> {
        let token = Token::read(&found.token).ok()?;
        let payload = token.payload().to_owned();
        let signed = Rc::new(Signed { claims: token.claims, payload });
        Some(Accepted { provider: number, signed, found, is_verified: false })
    }
}
