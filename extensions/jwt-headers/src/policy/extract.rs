//! Where tokens are in a request: headers, query parameters, cookies. All that are found have to verify, because nobody knows
//! which of them the upstream would read.

use super::Request;
use super::query;
use std::borrow::Cow;

/// The most tokens of one provider in a request.
pub(super) const MOST: usize = 10;

/// Where tokens of some providers are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Location {
    Header(HeaderLocation),
    /// Parameters of these names.
    Params(Vec<String>),
    /// Cookies of these names.
    Cookies(Vec<String>),
}

/// A header, and what stands before the token in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HeaderLocation {
    pub(super) name: String,
    pub(super) prefix: String,
}

/// A token that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    /// As it was sent. It is told by where it is: tokens are long.
    pub(super) sent: &'a [u8],
    pub(super) place: Place<'a>,
}

impl<'a> Found<'a> {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq(self.sent, other.sent)
    }

    /// What it says.
    pub(super) fn text(&self) -> Cow<'a, [u8]> {
        match self.place {
            Place::Param(_) => query::decoded(self.sent),
            _ => self.sent.into(),
        }
    }
}

/// Where it was.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// This line of this header.
    Header { name: &'a [u8], value: &'a [u8] },
    /// The parameter of this name, as it was sent.
    Param(&'a [u8]),
    /// A cookie, which stays.
    Cookie,
    /// Not in the request.
    Elsewhere,
}

impl Location {
    /// `authorization: Bearer` and the parameter `access_token`, as in Envoy.
    pub(super) fn usual() -> Vec<Self> {
        let bearer = HeaderLocation { name: "authorization".into(), prefix: "Bearer ".into() };
        vec![Self::Header(bearer), Self::Params(vec!["access_token".into()])]
    }

    /// Tells all tokens.
    pub(super) fn find<'a>(&self, request: &Request<'a>, tell: &mut dyn FnMut(Found<'a>)) {
        match self {
            Self::Header(location) => {
                for (name, value) in request.headers_like(&location.name) {
                    location.in_line(value, &mut |sent| {
                        tell(Found { sent, place: Place::Header { name, value } });
                    });
                }
            }
            Self::Params(names) => in_query(names, request.path()).for_each(tell),
            Self::Cookies(names) => {
                let lines = request.headers_named("cookie");
                lines.for_each(|(_, line)| in_cookies(names, line).for_each(&mut *tell));
            }
        }
    }
}

fn in_query<'a>(names: &[String], path: &'a [u8]) -> impl Iterator<Item = Found<'a>> {
    query::parameters(path).filter_map(|(name, sent)| {
        let plain = query::plain(name);
        names.iter().find(|wanted| query::is_alike(&plain, wanted.as_bytes(), query::PARTS))?;
        Some(Found { sent, place: Place::Param(name) })
    })
}

fn in_cookies<'a>(names: &[String], line: &'a [u8]) -> impl Iterator<Item = Found<'a>> {
    line.split(|byte| *byte == b';').filter_map(|cookie| {
        let split = cookie.iter().position(|byte| *byte == b'=')?;
        let (name, value) = cookie.split_at_checked(split)?;
        let name = query::plain(name);
        // What stands behind a dot makes another cookie: `session.sig` is no `session`.
        names.iter().find(|wanted| query::is_alike(&name, wanted.as_bytes(), b"["))?;
        let value = value.get(1..)?.trim_ascii();
        let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
        Some(Found { sent: bare, place: Place::Cookie })
    })
}

impl HeaderLocation {
    /// The tokens in a line: one behind each occurrence of the prefix (Envoy looks at the first alone), and whatever else in it
    /// could be taken for one. A scheme such as `Bearer` is told in any case (RFC 7235).
    fn in_line<'a>(&self, line: &'a [u8], tell: &mut dyn FnMut(&'a [u8])) {
        match self.whole_line(line) {
            Some(token) => tell(token),
            None => self.pieces(line).into_iter().for_each(tell),
        }
    }

    /// What stands behind the prefix. Its spaces may be any white space: servers split a line there.
    fn behind_prefix<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        let is_space = |byte: u8| byte <= b' ' || matches!(byte, 0x7f | 0x85 | 0xa0);
        let fits =
            |byte: u8, wanted: u8| byte.eq_ignore_ascii_case(&wanted) || wanted == b' ' && is_space(byte);
        let (start, rest) = text.split_at_checked(self.prefix.len())?;
        start.iter().zip(self.prefix.as_bytes()).all(|(byte, wanted)| fits(*byte, *wanted)).then_some(rest)
    }

    fn pieces<'a>(&self, line: &'a [u8]) -> Vec<&'a [u8]> {
        let prefix = self.prefix.as_bytes();
        let Some(first) = prefix.first() else {
            let pieces = line.split(|byte| *byte == b',').map(bare);
            return pieces.filter(|piece| !piece.is_empty()).take(MOST.saturating_add(1)).collect();
        };
        // A line is long, and hardly a byte of it begins the prefix.
        let (small, capital) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
        let (mut tokens, mut rest) = (Vec::new(), line);
        while let Some(at) = rest.iter().position(|byte| *byte == small || *byte == capital) {
            let from = rest.get(at..).unwrap_or_default();
            rest = match self.behind_prefix(from) {
                Some(after) => {
                    let (token, rest) = self.token_at(after);
                    tokens.push(token);
                    rest
                }
                None => from.get(1..).unwrap_or_default(),
            };
            if tokens.len() > MOST {
                break;
            }
        }
        if !tokens.is_empty() {
            let pieces = line.split(|byte| *byte == b',').skip(1).map(bare);
            tokens.extend(pieces.filter(|piece| looks_like_a_token(piece)).take(MOST));
        }
        tokens
    }

    /// The token of a line that is a scheme, or nothing, and a token. Nothing in it can separate it from another one.
    fn whole_line<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        let token = self.behind_prefix(line).filter(|token| !token.is_empty())?;
        let is_simple = self.prefix.is_empty() || self.prefix.ends_with(' ');
        (is_simple && !may_separate(token)).then_some(token)
    }

    /// The token at the start of a text, and what follows. Behind a scheme it goes up to a comma, else up to what ends one. What
    /// cannot be in a token stays in it, so that it is refused and not cut off.
    fn token_at<'a>(&self, text: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let starts = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'"')).count();
        let text = text.get(starts..).unwrap_or_default();
        let is_scheme = self.prefix.ends_with(' ');
        let ends = |byte: &u8| *byte == b',' || !is_scheme && matches!(byte, b' ' | b'\t' | b'"' | b';');
        let end = text.iter().position(ends).unwrap_or(text.len());
        let (token, rest) = text.split_at_checked(end).unwrap_or_default();
        (bare(token), rest)
    }
}

/// Whether white space, a quote or a comma may be in a text: a byte below `-`, which is the first that a token may hold. Eight
/// at a time, for tokens are long.
fn may_separate(text: &[u8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const LEAST: u64 = EACH.wrapping_mul(b'-' as u64);
    // A byte below the least borrows, so that its highest bit is set; bytes behind it may look as if they were.
    let has_less = |word: u64| word.wrapping_sub(LEAST) & !word & EACH.wrapping_mul(0x80) != 0;
    let (words, rest) = text.as_chunks();
    words.iter().any(|word| has_less(u64::from_le_bytes(*word))) || rest.iter().any(|byte| *byte < b'-')
}

/// Without white space and quotes around it.
fn bare(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii();
    text.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(text)
}

/// Three parts of what base64url consists of.
fn looks_like_a_token(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=');
    text.iter().all(is_part) && text.iter().filter(|byte| **byte == b'.').count() == 2
}

#[cfg(test)]
mod tests {
    //! Lines with a token are read the same way, whichever way is taken.

    use super::*;

    #[test]
    fn what_may_separate_is_found_wherever_it_stands() {
        for length in 1..20 {
            for at in 0..length {
                for byte in 0..=255 {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    assert_eq!(may_separate(&text), byte < b'-', "{text:?}");
                }
            }
        }
    }

    #[test]
    fn any_white_space_separates_a_scheme_from_its_token() {
        let Location::Header(location) = &Location::usual()[0] else { panic!("a header is the first") };
        fn in_line<'a>(location: &HeaderLocation, line: &'a [u8]) -> Vec<&'a [u8]> {
            let mut found = Vec::new();
            location.in_line(line, &mut |token| found.push(token));
            found
        }
        for space in [" ", "\t", "  ", "\t \t", " \t "] {
            let line = format!("bearer{space}a.b.c");
            assert_eq!(in_line(location, line.as_bytes()), [b"a.b.c"], "{line:?}");
        }
        for line in [&b"Bearer\xa0a.b.c"[..], b"Bearer\x85a.b.c", b"Bearer\x0ba.b.c", b"x, Bearer\ta.b.c"] {
            assert_eq!(in_line(location, line), [b"a.b.c"], "{}", line.escape_ascii());
        }
        assert!(in_line(location, b"Bearera.b.c").is_empty());
    }

    #[test]
    fn a_line_that_is_a_token_is_no_exception() {
        for prefix in ["Bearer ", "", "Token=", "a b="] {
            let location = HeaderLocation { name: "x".into(), prefix: prefix.into() };
            for byte in 0..=255 {
                let line = [prefix.as_bytes(), b"aaaa.bb", &[byte], b"bbbbbbbb.c"].concat();
                let all = location.pieces(&line);
                if let Some(token) = location.whole_line(&line) {
                    assert_eq!(all, [token], "{}", line.escape_ascii());
                    assert!(byte >= b'-');
                } else {
                    assert!(byte < b'-' || prefix.ends_with('='), "{}", line.escape_ascii());
                }
            }
        }
    }
}
