//! Where tokens are in a request: headers, query parameters, cookies. All that are found have to verify, because nobody knows
//! which of them the upstream would read.

use super::Request;
use super::query;

/// The most tokens of one provider in a request.
pub(super) const MOST: usize = 10;

/// Where a provider's tokens are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Locations {
    pub(super) headers: Vec<HeaderLocation>,
    pub(super) params: Vec<String>,
    pub(super) cookies: Vec<String>,
}

/// A header, and what stands before the token in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HeaderLocation {
    pub(super) name: String,
    pub(super) prefix: String,
}

/// A token that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub(super) token: std::borrow::Cow<'a, [u8]>,
    pub(super) place: Place<'a>,
}

/// Where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// This line of this header.
    Header { name: &'a [u8], value: &'a [u8] },
    /// The parameter of this name.
    Param(String),
    /// A cookie, which stays.
    Cookie,
    /// Not in the request.
    Elsewhere,
}

impl Locations {
    /// `authorization: Bearer` and the parameter `access_token`, as in Envoy.
    pub(super) fn usual() -> Self {
        let bearer = HeaderLocation { name: "authorization".into(), prefix: "Bearer ".into() };
        Self { headers: vec![bearer], params: vec!["access_token".into()], cookies: Vec::new() }
    }

    /// All tokens, up to one more than are allowed.
    pub(super) fn tokens<'a>(&self, request: &Request<'a>) -> Vec<Found<'a>> {
        let mut found = Vec::new();
        for location in &self.headers {
            for (name, value) in request.headers_named(&location.name) {
                found.extend(
                    location
                        .in_line(value)
                        .map(|token| Found { token: token.into(), place: Place::Header { name, value } }),
                );
            }
        }
        if !self.params.is_empty() {
            found.extend(self.in_query(request));
        }
        for (_, line) in request.headers_named("cookie").filter(|_| !self.cookies.is_empty()) {
            found.extend(self.in_cookies(line));
        }
        found.truncate(MOST.saturating_add(1));
        found
    }

    fn in_query<'a>(&self, request: &Request<'a>) -> impl Iterator<Item = Found<'a>> {
        query::parameters(request.path()).filter_map(|(name, value)| {
            let wanted = self.params.iter().find(|wanted| wanted.as_bytes() == &*name)?;
            Some(Found { token: value, place: Place::Param(wanted.clone()) })
        })
    }

    fn in_cookies<'a>(&self, line: &'a [u8]) -> impl Iterator<Item = Found<'a>> {
        line.split(|byte| *byte == b';').filter_map(|cookie| {
            let split = cookie.iter().position(|byte| *byte == b'=')?;
            let (name, value) = cookie.split_at_checked(split)?;
            let name = name.trim_ascii();
            self.cookies.iter().find(|wanted| wanted.as_bytes() == name)?;
            let value = value.get(1..)?.trim_ascii();
            let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
            Some(Found { token: bare.into(), place: Place::Cookie })
        })
    }
}

impl HeaderLocation {
    /// The tokens in a line: one behind each occurrence of the prefix, as far as a token can go. Envoy looks at the first
    /// occurrence alone. A scheme such as `Bearer` is told in any case (RFC 7235).
    fn in_line<'a>(&self, line: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let prefix = self.prefix.as_bytes();
        let starts: Vec<usize> = if prefix.is_empty() {
            vec![0]
        } else {
            let is_prefix = |window: &[u8]| window.eq_ignore_ascii_case(prefix);
            let found = line.windows(prefix.len()).enumerate().filter(|(_, window)| is_prefix(window));
            found.map(|(at, _)| at.saturating_add(prefix.len())).take(MOST.saturating_add(1)).collect()
        };
        starts.into_iter().map(move |start| token_at(line.get(start..).unwrap_or_default()))
    }
}

/// The token at the start of a text: behind white space and quotes, up to what ends one. What else cannot be in a token stays
/// in it, so that it is refused and not cut off.
fn token_at(text: &[u8]) -> &[u8] {
    let starts = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'"')).count();
    let text = text.get(starts..).unwrap_or_default();
    let ends =
        text.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'"' | b',' | b';')).unwrap_or(text.len());
    text.get(..ends).unwrap_or_default()
}
