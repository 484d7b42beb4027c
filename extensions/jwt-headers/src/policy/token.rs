//! A token as it is written (RFC 7515, compact): three parts, strictly base64url, strictly JSON.

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::failure::Failure;
use super::header::{Header, Headers};
use super::json::{self, Keep};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::borrow::Cow;
use std::rc::Rc;

/// The longest token that is looked at. Envoy refuses requests with more than 60 KiB of headers by default.
const LONGEST: usize = 64 * 1024;

/// A token that can be read, and is not verified.
#[derive(Debug)]
pub(super) struct Token<'a> {
    text: Cow<'a, [u8]>,
    /// Where the first part ends, and the second.
    ends: (usize, usize),
    signature: Vec<u8>,
    header: Rc<Header>,
    pub(super) claims: Claims,
}

impl<'a> Token<'a> {
    /// Reads what is known of headers from there, and of the claims those that are kept.
    pub(super) fn read(
        text: impl Into<Cow<'a, [u8]>>,
        headers: &Headers,
        keep: Keep<'_>,
    ) -> Result<Self, Failure> {
        let whole = text.into();
        let text = Some(&*whole).filter(|text| text.len() <= LONGEST);
        let text = text.and_then(|text| std::str::from_utf8(text).ok()).ok_or(Failure::Form)?;
        let (signed, signature) = text.rsplit_once('.').ok_or(Failure::Form)?;
        let (first, payload) = signed.split_once('.').ok_or(Failure::Form)?;
        if first.is_empty() || payload.is_empty() || payload.contains('.') {
            return Err(Failure::Form);
        }
        let header = headers.read(first)?;
        let claims = decode(payload).ok_or(Failure::PayloadBase64)?;
        let claims = Claims::of(json::members(&claims, keep).map_err(|_| Failure::PayloadJson)?)?;
        let signature = decode(signature).ok_or(Failure::SignatureBase64)?;
        let ends = (first.len(), signed.len());
        Ok(Self { text: whole, ends, signature, header, claims })
    }

    /// What the signature is of.
    pub(super) fn signed(&self) -> &[u8] {
        self.text.get(..self.ends.1).unwrap_or_default()
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    pub(super) fn key_id(&self) -> Option<&str> {
        self.header.key_id.as_deref()
    }

    /// The second part, as it was sent.
    pub(super) fn payload(&self) -> &str {
        let part = self.text.get(self.ends.0.saturating_add(1)..self.ends.1);
        // It was text when it was read.
        part.and_then(|part| std::str::from_utf8(part).ok()).unwrap_or_default()
    }

    /// The signature is good.
    pub(super) fn is_verified(&self, headers: &Headers) {
        headers.remember(self.text.get(..self.ends.0).unwrap_or_default(), &self.header);
    }
}

/// Without padding, and with nothing in the bits that are not used.
pub(super) fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}
