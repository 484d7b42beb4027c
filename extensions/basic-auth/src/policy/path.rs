//! Paths: the readings that upstreams may give one, and the form in which a rule's pattern is kept.
//!
//! Servers disagree on what a path means. One decodes `%2f` before it looks for slashes and another after, a third does not
//! at all; Tomcat drops `;parameters`, Windows takes `\` for `/`, a second proxy decodes a second time. A filter that settles
//! on one meaning is bypassed by a path that the upstream takes for another. So a request's path is not normalised to one
//! form: all forms that come out of these steps, in any order and any number, are its *readings*, and a rule that matches one
//! of them applies. Rules only ever ask for more, so a reading too many can ask for a credential too many, and never let
//! anybody in. An ordinary path has one reading and costs one walk over its bytes.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher};

/// A path that cannot be read, or has more readings than are worth following.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// Which end of a pattern is open, so that its outermost segment may be a part of a longer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Exact,
    Prefix,
    Suffix,
}

/// More than any path that was not made to confuse has; with [`MAX_BYTES`] the bound on the work one request can cause.
const MAX_READINGS: usize = 32;

/// Of all readings but the path as it was sent. One of 8 KiB, which is what most servers take, may have four more that are as long.
const MAX_BYTES: usize = 32 * 1024;

/// Something a server may do to a path before it looks at it.
type Step = fn(&[u8]) -> Option<Vec<u8>>;

/// What a step acts on: where it is not there, the step changes nothing. Nor may one that returns `None`.
mod sign {
    pub(super) const ESCAPE: u8 = 1;
    pub(super) const END: u8 = 2;
    pub(super) const PARAMETER: u8 = 4;
    pub(super) const BACKSLASH: u8 = 8;
    pub(super) const EMPTY: u8 = 16;
    pub(super) const DOT: u8 = 32;
    pub(super) const SPACE: u8 = 64;
    /// No step acts on it, but it may not be there.
    pub(super) const BEYOND_ASCII: u8 = 128;
}

const STEPS: [(u8, Step); 9] = [
    (sign::ESCAPE, |path| decode(path, |_| true)),
    (sign::ESCAPE, |path| decode(path, |byte| !is_delimiter(byte))),
    (sign::END, cut_query_and_fragment),
    (sign::PARAMETER, strip_parameters),
    (sign::BACKSLASH, turn_backslashes),
    (sign::EMPTY, merge_slashes),
    (sign::DOT, |path| resolve_dots(path, true)),
    (sign::DOT, |path| resolve_dots(path, false)),
    (sign::SPACE, trim_end),
];

/// All readings of a request's `:path`, the path as it was sent first. The query is no part of any.
pub(super) fn readings(path: &[u8]) -> Result<Vec<Cow<'_, [u8]>>, Unreadable> {
    let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
    match path {
        // `CONNECT` has no path, and `OPTIONS *` is about the server as a whole.
        b"" => return Ok(vec![Cow::Borrowed(b"/")]),
        b"*" => return Ok(vec![Cow::Borrowed(path)]),
        _ if !path.starts_with(b"/") => return Err(Unreadable),
        _ if signs(path) == 0 => return Ok(vec![Cow::Borrowed(path)]),
        _ if !is_decodable(path) => return Err(Unreadable),
        _ => {}
    }
    let mut found = vec![Cow::Borrowed(path)];
    let mut hashes = vec![hash(path)];
    let mut bytes = 0_usize;
    let mut next = 0_usize;
    while let Some(current) = found.get(next).cloned() {
        let signs = signs(&current);
        if signs & (sign::END | sign::BEYOND_ASCII) != 0 && is_forbidden(&current) {
            return Err(Unreadable);
        }
        let steps = STEPS.iter().filter(|(sign, _)| signs & sign != 0);
        for reading in steps.filter_map(|(_, step)| step(&current)) {
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
    let mut signs = 0;
    let mut before = 0;
    for byte in path {
        signs |= match byte {
            b'%' => sign::ESCAPE,
            0 | b'?' | b'#' => sign::END,
            b';' => sign::PARAMETER,
            b'\\' => sign::BACKSLASH,
            b'/' if before == b'/' => sign::EMPTY,
            b'.' if before == b'/' => sign::DOT,
            0x80.. => sign::BEYOND_ASCII,
            _ => 0,
        };
        before = *byte;
    }
    if is_space(before) { signs | sign::SPACE } else { signs }
}

/// The spellings under which a rule's pattern is looked up: as it was written, and decoded, with slashes merged and dot
/// segments resolved, as one of the readings of every request that means it.
pub(super) fn spellings(pattern: &str, shape: Shape) -> Result<Vec<Vec<u8>>, &'static str> {
    let raw = pattern.as_bytes();
    if pattern.contains(['?', '#']) {
        return Err("a query or fragment is not part of what is compared; leave it out, \
                    or set `path_matching` to `original`");
    }
    if !is_decodable(raw) {
        return Err("`%` has to be followed by two hexadecimal digits");
    }
    let decoded = decode(raw, |_| true).unwrap_or_else(|| raw.to_vec());
    if is_forbidden(&decoded) {
        return Err("NUL and overlong UTF-8 never occur in a path that is let through");
    }
    let merged = merge_slashes(&decoded).unwrap_or(decoded);
    let normal = resolve_complete(&merged, shape);
    Ok(if normal == raw { vec![normal] } else { vec![normal, raw.to_vec()] })
}

/// Resolves the dot segments of a pattern, save in the segment at its open end: `/.` as a prefix means dotfiles.
fn resolve_complete(pattern: &[u8], shape: Shape) -> Vec<u8> {
    let resolved = |path: &[u8]| resolve_dots(path, true).unwrap_or_else(|| path.to_vec());
    let slash = |byte: &u8| *byte == b'/';
    match shape {
        Shape::Exact => resolved(pattern),
        Shape::Prefix => {
            let open = pattern.iter().rposition(slash).map_or(0, |at| at.saturating_add(1));
            let (complete, open) = pattern.split_at_checked(open).unwrap_or_default();
            [resolved(complete), open.to_vec()].concat()
        }
        // What `..` takes away may stand before the suffix.
        Shape::Suffix if pattern.split(slash).any(|segment| segment == b"..") => pattern.to_vec(),
        Shape::Suffix => {
            let open = pattern.iter().position(slash).unwrap_or(pattern.len());
            let (open, complete) = pattern.split_at_checked(open).unwrap_or_default();
            [open.to_vec(), resolved(complete)].concat()
        }
    }
}

/// Bytes that a server takes for the structure of a path, and may or may not take for it when they are encoded.
fn is_delimiter(byte: u8) -> bool {
    b"/\\;?#%".contains(&byte)
}

/// Each `%` begins an escape.
fn is_decodable(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'%').skip(1).all(|part| escaped(part).is_some())
}

/// What follows on an escape and the byte it stands for, of what stands behind a `%`.
fn escaped(text: &[u8]) -> Option<(&[u8], u8)> {
    let [high, low, rest @ ..] = text else { return None };
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte & 15),
        b'a'..=b'f' | b'A'..=b'F' => (byte & 15).checked_add(9),
        _ => None,
    };
    let high = digit(*high)?.checked_mul(16)?;
    Some((rest, high.checked_add(digit(*low)?)?))
}

/// Decodes the escapes of the bytes that are chosen. What is no escape stays: only after a first round can there be any.
pub(super) fn decode(path: &[u8], chosen: impl Fn(u8) -> bool) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut parts = path.split(|byte| *byte == b'%');
    decoded.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        match escaped(part) {
            Some((after, byte)) if chosen(byte) => {
                decoded.push(byte);
                decoded.extend_from_slice(after);
            }
            _ => {
                decoded.push(b'%');
                decoded.extend_from_slice(part);
            }
        }
    }
    (decoded.len() < path.len()).then_some(decoded)
}

/// NUL ends a string in C; overlong UTF-8 hides a byte from a strict decoder and shows it to a lenient one.
fn is_forbidden(path: &[u8]) -> bool {
    let overlong =
        |pair: &[u8]| matches!(pair, [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]);
    path.contains(&0) || path.windows(2).any(overlong)
}

/// For servers that decode before they look for the end of the path.
fn cut_query_and_fragment(path: &[u8]) -> Option<Vec<u8>> {
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#'))?;
    path.get(..end).map(<[u8]>::to_vec)
}

/// `/a;x=1/b` is `/a/b` to Java servers.
fn strip_parameters(path: &[u8]) -> Option<Vec<u8>> {
    path.contains(&b';').then(|| {
        let segments = path.split(|byte| *byte == b'/');
        let bare = segments.map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or_default());
        bare.collect::<Vec<_>>().join(&b'/')
    })
}

fn turn_backslashes(path: &[u8]) -> Option<Vec<u8>> {
    let turned = || path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
    path.contains(&b'\\').then(turned)
}

fn merge_slashes(path: &[u8]) -> Option<Vec<u8>> {
    let mut merged = path.to_vec();
    merged.dedup_by(|next, kept| *next == b'/' && *kept == b'/');
    (merged.len() < path.len()).then_some(merged)
}

/// RFC 3986, section 5.2.4. A path that ends in a dot segment names a directory: with a slash at its end as the RFC has it,
/// or without as file systems have it.
fn resolve_dots(path: &[u8], slash_at_end: bool) -> Option<Vec<u8>> {
    let dots = |segment: &[u8]| matches!(segment, b"." | b"..");
    let segments = || path.split(|byte| *byte == b'/').skip(1);
    if !segments().any(dots) {
        return None;
    }
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in segments() {
        match segment {
            b"." => {}
            b".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    if slash_at_end && segments().last().is_some_and(dots) || kept.is_empty() {
        kept.push(b"");
    }
    Some(kept.iter().flat_map(|segment| [b"/", *segment]).flatten().copied().collect())
}

/// What frameworks trim that take it for white space: they make `/secret%20`, or `/secret` and a byte 0xa0, into `/secret`.
/// In UTF-8 0xc2 stands before that byte.
fn is_space(byte: u8) -> bool {
    matches!(byte, 0..=0x20 | 0x7f | 0x85 | 0xa0 | 0xc2)
}

fn trim_end(path: &[u8]) -> Option<Vec<u8>> {
    let kept = path.iter().rposition(|byte| !is_space(*byte))?;
    let trimmed = path.get(..=kept)?;
    (trimmed.len() < path.len()).then(|| trimmed.to_vec())
}

#[cfg(test)]
mod tests;
