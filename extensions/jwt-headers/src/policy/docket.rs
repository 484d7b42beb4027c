//! What is known of the tokens of one request. Each place is searched once, and each token in it hashed and read once,
//! however many providers look there: else the work that a client can cause would be as many times as much as there are providers.

use super::Request;
use super::cache::{Key, Place};
use super::claims::{CHECKED, ClaimPath};
use super::extract::{Found, Location, MOST};
use super::failure::Failure;
use super::header::Headers;
use super::json::Keep;
use super::token::Token;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::cmp::Ordering;

/// How tokens are read, whoever has issued them.
#[derive(Debug)]
pub(super) struct Reader {
    key: Key,
    /// The claims that are checked, and those that the configuration has a use for, in the order of [`short_first`].
    used: Vec<String>,
    headers: Headers,
    locations: Vec<Location>,
}

impl Reader {
    /// Keeps what some provider checks, and the outermost of these claims.
    pub(super) fn new<'c>(
        key: [u8; 16],
        providers: usize,
        claims: impl Iterator<Item = &'c ClaimPath>,
        locations: Vec<Location>,
    ) -> Self {
        let claims = claims.map(ClaimPath::outermost).chain(CHECKED);
        let mut used: Vec<String> = claims.map(str::to_owned).collect();
        used.sort_unstable_by(|one, other| short_first(one, other));
        used.dedup();
        Self { key: Key(key), used, headers: Headers::of(providers), locations }
    }

    fn is_used(&self, claim: &str) -> bool {
        self.used.binary_search_by(|used| short_first(used, claim)).is_ok()
    }
}

/// Most names differ in length, which is quickly told.
fn short_first(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// The tokens of a request.
pub(super) struct Docket<'d, 'a> {
    reader: &'d Reader,
    request: &'d Request<'a>,
    /// By the number of the place. Most configurations have two, and need no memory for more.
    first: [Cell<'d, 'a>; 2],
    more: Box<[Cell<'d, 'a>]>,
}

type Cell<'d, 'a> = OnceCell<Vec<Candidate<'d, 'a>>>;

impl<'d, 'a> Docket<'d, 'a> {
    pub(super) fn new(reader: &'d Reader, request: &'d Request<'a>) -> Self {
        let first = [OnceCell::new(), OnceCell::new()];
        let more = reader.locations.iter().skip(first.len()).map(|_| OnceCell::new()).collect();
        Self { reader, request, first, more }
    }

    /// What is in one of the places.
    pub(super) fn candidates(&self, place: usize) -> &[Candidate<'d, 'a>] {
        let more = || self.more.get(place.checked_sub(self.first.len())?);
        let Some(cell) = self.first.get(place).or_else(more) else { return &[] };
        cell.get_or_init(|| {
            let mut candidates = Vec::new();
            if let Some(location) = self.reader.locations.get(place) {
                location.find(self.request, &mut |found| {
                    // One more than are allowed tells that there are too many.
                    if candidates.len() <= MOST {
                        // Most places hold one, and a candidate is large.
                        candidates.reserve_exact(1);
                        candidates.push(Candidate::new(self.reader, found));
                    }
                });
            }
            candidates
        })
    }
}

/// What may be a token.
pub(super) struct Candidate<'d, 'a> {
    reader: &'d Reader,
    pub(super) found: Found<'a>,
    text: Cow<'a, [u8]>,
    place: OnceCell<Place>,
    token: OnceCell<Result<Token<'a>, Failure>>,
}

impl<'d, 'a> Candidate<'d, 'a> {
    fn new(reader: &'d Reader, found: Found<'a>) -> Self {
        Self { reader, found, text: found.text(), place: OnceCell::new(), token: OnceCell::new() }
    }

    pub(super) fn length(&self) -> usize {
        self.text.len()
    }

    /// Where caches keep it.
    pub(super) fn place(&self) -> Place {
        *self.place.get_or_init(|| self.reader.key.place(&self.text))
    }

    pub(super) fn token(&self) -> Result<&Token<'a>, Failure> {
        let is_used = |name: &str| self.reader.is_used(name);
        let read = || Token::read(self.text.clone(), &self.reader.headers, Keep::Only(&is_used));
        self.token.get_or_init(read).as_ref().map_err(|failure| *failure)
    }

    /// Some provider's key has signed it.
    pub(super) fn is_verified(&self, token: &Token<'_>) {
        token.is_verified(&self.reader.headers);
    }
}
