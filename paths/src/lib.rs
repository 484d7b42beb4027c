//! What servers may take the path of a request for: pure, without the SDK and without a host.
//!
//! Servers disagree on what a path means. One decodes `%2f` before it looks for slashes and another after, a third does not
//! at all; Tomcat drops `;parameters`, Windows takes `\` for `/`, a second proxy decodes a second time. A filter that settles
//! on one meaning is bypassed by a path that the upstream takes for another. So a path is not normalised to one form: all
//! forms that come out of these steps, in any order and any number, are its *readings*, and what a policy asks of any of them
//! it asks of the request. A reading too many can ask for a credential too many, and never lets anybody in. An ordinary path
//! has one reading and costs one walk over its bytes.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher};

/// A path that cannot be read, or has more readings than are worth following.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// More than any path that was not made to confuse has; with [`MAX_BYTES`] the bound on the work one path can cause.
const MAX_READINGS: usize = 32;

/// Of all readings but the path as it was sent. One of 8 KiB, which is what most servers take, may have four more that are as long.
const MAX_BYTES: usize = 32 * 1024;

/// Something a server may do to a path before it looks at it.
type Step = fn(&[u8]) -> Vec<u8>;

/// What a step acts on: where it is not there, the step changes nothing.
mod sign {
    pub(super) const ESCAPE: u8 = 1;
    pub(super) const END: u8 = 2;
    pub(super) const PARAMETER: u8 = 4;
    pub(super) const BACKSLASH: u8 = 8;
    pub(super) const EMPTY: u8 = 16;
    pub(super) const DOT: u8 = 32;
    pub(super) const SPACE: u8 = 64;
    /// No step acts on it, but it may not be there.
    pub(super) const DOUBTFUL: u8 = 128;
}

const STEPS: [(u8, Step); 9] = [
    (sign::ESCAPE, |path| decoded(path, |_| true)),
    // There are servers that resolve `%2e%2e` and keep `%2f`.
    (sign::ESCAPE, |path| decoded(path, |byte| !b"/\\;?#%".contains(&byte))),
    (sign::END, without_query_and_fragment),
    (sign::PARAMETER, without_parameters),
    (sign::BACKSLASH, |path| path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()),
    (sign::EMPTY, merged),
    (sign::DOT, |path| resolved(path, true)),
    (sign::DOT, |path| resolved(path, false)),
    (sign::SPACE, trimmed),
];

/// All readings of a path without its query, the path as it was sent first.
///
/// # Errors
///
/// A `%` that begins no escape, NUL or overlong UTF-8 in any reading, or too many readings.
pub fn readings(path: &[u8]) -> Result<Vec<Cow<'_, [u8]>>, Unreadable> {
    let mut found = vec![Cow::Borrowed(path)];
    if signs(path) == 0 {
        return Ok(found);
    }
    // In what is decoded once, a `%` may stand for itself.
    if !is_decodable(path) {
        return Err(Unreadable);
    }
    let mut hashes = vec![hash(path)];
    let mut bytes = 0_usize;
    let mut next = 0_usize;
    while let Some(current) = found.get(next).cloned() {
        let signs = signs(&current);
        if signs & sign::DOUBTFUL != 0 && is_forbidden(&current) {
            return Err(Unreadable);
        }
        for (_, step) in STEPS.iter().filter(|(sign, _)| signs & sign != 0) {
            let reading = step(&current);
            let hash = hash(&reading);
            // Two that share a hash by chance or by design are two.
            if hashes.iter().zip(&found).any(|(same, known)| *same == hash && **known == *reading) {
                continue;
            }
            bytes = bytes.saturating_add(reading.len());
            if found.len() == MAX_READINGS || bytes > MAX_BYTES {
                return Err(Unreadable);
            }
            found.push(Cow::Owned(reading));
            hashes.push(hash);
        }
        next = next.saturating_add(1);
    }
    Ok(found)
}

fn hash(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(path);
    hasher.finish()
}

/// What there is in a path for steps to act on: one walk, which is all that an ordinary path costs.
fn signs(path: &[u8]) -> u8 {
    let mut signs = if path.starts_with(b"/") { 0 } else { sign::DOT };
    let mut before = b'*';
    for byte in path {
        signs |= match byte {
            b'%' => sign::ESCAPE,
            b'?' | b'#' => sign::END,
            b';' => sign::PARAMETER,
            b'\\' => sign::BACKSLASH,
            b'/' if before == b'/' => sign::EMPTY,
            b'.' if before == b'/' => sign::DOT,
            0 | 0xc0.. => sign::DOUBTFUL,
            _ => 0,
        };
        before = *byte;
    }
    if is_space(before) { signs | sign::SPACE } else { signs }
}

/// NUL ends a string in C; overlong UTF-8 hides a byte from a strict decoder and shows it to a lenient one.
pub fn is_forbidden(path: &[u8]) -> bool {
    let overlong =
        |pair: &[u8]| matches!(pair, [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]);
    path.contains(&0) || path.windows(2).any(overlong)
}

/// Whether each `%` begins an escape.
pub fn is_decodable(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'%').skip(1).all(|part| escape(part).is_some())
}

/// A text with its percent escapes undone. What is no escape stays.
pub fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if text.contains(&b'%') { decoded(text, |_| true).into() } else { text.into() }
}

/// As [`unescaped`], of the bytes that are chosen.
fn decoded(text: &[u8], is_chosen: fn(u8) -> bool) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut parts = text.split(|byte| *byte == b'%');
    decoded.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        match escape(part) {
            Some((byte, rest)) if is_chosen(byte) => {
                decoded.push(byte);
                decoded.extend_from_slice(rest);
            }
            _ => {
                decoded.push(b'%');
                decoded.extend_from_slice(part);
            }
        }
    }
    decoded
}

/// What stands behind a `%`: the byte that it means, and the rest.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], rest) = text.split_first_chunk::<2>()?;
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte & 15),
        b'a'..=b'f' | b'A'..=b'F' => (byte & 15).checked_add(9),
        _ => None,
    };
    Some((digit(*high)? << 4 | digit(*low)?, rest))
}

/// For servers that decode before they look for the end of the path.
fn without_query_and_fragment(path: &[u8]) -> Vec<u8> {
    path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default().to_vec()
}

/// `/a;x=1/b` is `/a/b` to Java servers.
fn without_parameters(path: &[u8]) -> Vec<u8> {
    let segments = path.split(|byte| *byte == b'/');
    let bare = segments.map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or_default());
    bare.collect::<Vec<_>>().join(&b'/')
}

/// A path with one slash where there are several.
pub fn merged(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|next, kept| *next == b'/' && *kept == b'/');
    merged
}

/// A path without dot segments (RFC 3986, section 5.2.4), from the root. One that ends in a dot segment names a directory: with
/// a slash at its end as the RFC has it, or without as file systems have it.
pub fn resolved(path: &[u8], slash_at_end: bool) -> Vec<u8> {
    let dots = |segment: &[u8]| matches!(segment, b"." | b"..");
    let segments = || path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/');
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in segments() {
        match segment {
            b"." => {}
            b".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    if slash_at_end && segments().next_back().is_some_and(dots) || kept.is_empty() {
        kept.push(b"");
    }
    [b"/", &*kept.join(&b'/')].concat()
}

/// What frameworks trim that take it for white space: they make `/secret%20`, or `/secret` and a byte 0xa0, into `/secret`.
/// In UTF-8 0xc2 stands before 0x85 and 0xa0.
fn is_space(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | 0x7f | 0x85 | 0xa0 | 0xc2)
}

fn trimmed(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last.saturating_add(1));
    path.get(..end).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests;
