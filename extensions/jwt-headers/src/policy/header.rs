//! The first part of a token: how it is signed, and by which key.

use super::algorithm::Algorithm;
use super::failure::Failure;
use super::{json, token};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// How many headers are remembered for each provider, and the longest of them.
const MOST: (usize, usize) = (4, 256);

/// What a header says, as far as it matters.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
}

impl Header {
    fn read(part: &str) -> Result<Self, Failure> {
        let text = token::decode(part).ok_or(Failure::HeaderBase64)?;
        let header = json::object(&text).map_err(|_| Failure::HeaderJson)?;
        let read = Self { algorithm: algorithm(&header)?, key_id: key_id(&header)? };
        // RFC 7515, 4.1.11 and RFC 7797: what is critical has to be understood, and nothing of it is here.
        if header.contains_key("crit")
            || header.get("b64").is_some_and(|encoded| *encoded != Value::Bool(true))
        {
            return Err(Failure::Critical);
        }
        Ok(read)
    }
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

/// Headers of tokens that were verified, by how they are written: an issuer writes the same few all the time. What nobody has
/// signed is not remembered, so that nobody can push them out.
#[derive(Debug, Default)]
pub(super) struct Headers {
    most: usize,
    known: RefCell<VecDeque<Known>>,
}

/// A header as it is written, and what it says.
type Known = (Box<[u8]>, Rc<Header>);

impl Headers {
    /// For so many providers.
    pub(super) fn of(providers: usize) -> Self {
        Self { most: providers.saturating_mul(MOST.0), known: RefCell::default() }
    }

    pub(super) fn read(&self, part: &str) -> Result<Rc<Header>, Failure> {
        match self.known(part.as_bytes()) {
            Some(header) => Ok(header),
            None => Header::read(part).map(Rc::new),
        }
    }

    fn known(&self, part: &[u8]) -> Option<Rc<Header>> {
        self.known.borrow().iter().find(|(known, _)| **known == *part).map(|(_, header)| header.clone())
    }

    pub(super) fn remember(&self, part: &[u8], header: &Rc<Header>) {
        if part.len() > MOST.1 || self.known(part).is_some() {
            return;
        }
        let mut known = self.known.borrow_mut();
        known.truncate(self.most.saturating_sub(1));
        known.push_front((part.into(), header.clone()));
    }
}

#[cfg(test)]
mod tests {
    //! What is remembered.

    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[test]
    fn what_is_remembered_is_what_is_read_and_bounded() {
        let headers = Headers::of(1);
        for number in 0..100 {
            let part = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","kid":"{number}"}}"#));
            for _ in 0..3 {
                let header = headers.read(&part).unwrap();
                assert_eq!(header.key_id, Some(number.to_string()));
                headers.remember(part.as_bytes(), &header);
            }
            assert!(headers.known(part.as_bytes()).is_some() && headers.known.borrow().len() <= 4);
        }
        let long = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","x5c":"{}"}}"#, "A".repeat(300)));
        headers.remember(long.as_bytes(), &headers.read(&long).unwrap());
        assert!(headers.known(long.as_bytes()).is_none());
    }
}
