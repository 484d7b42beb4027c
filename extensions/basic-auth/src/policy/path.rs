//! Paths: the readings that upstreams may give one, and the form in which a rule's pattern is kept.
//!
//! Servers disagree on what a path means. One decodes `%2f` before it looks for slashes and another after, a third does not
//! at all; Tomcat drops `;parameters`, Windows takes `\` for `/`, a second proxy decodes a second time. A filter that settles
//! on one meaning is bypassed by a path that the upstream takes for another. So a request's path is not normalised to one
//! form: all forms that come out of these steps, in any order and any number, are its *readings*, and a rule that matches one
//! of them applies. Rules only ever ask for more, so a reading too many can ask for a credential too many, and never let
//! anybody in. An ordinary path has one reading and costs one walk over its bytes.

use std::borrow::Cow;

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
const MAX_READINGS: usize = 64;
const MAX_BYTES: usize = 128 * 1024;

/// Something a server may do to a path before it looks at it. `None`: it changes nothing.
type Step = fn(&[u8]) -> Option<Vec<u8>>;

const STEPS: [Step; 9] = [
    |path| decode(path, |_| true),
    |path| decode(path, |byte| !is_delimiter(byte)),
    cut_query_and_fragment,
    strip_parameters,
    turn_backslashes,
    merge_slashes,
    |path| resolve_dots(path, true),
    |path| resolve_dots(path, false),
    trim_end,
];

/// All readings of a request's `:path`, the path as it was sent first. The query is no part of any.
pub(super) fn readings(path: &[u8]) -> Result<Vec<Cow<'_, [u8]>>, Unreadable> {
    let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
    match path {
        // `CONNECT` has no path, and `OPTIONS *` is about the server as a whole.
        b"" => return Ok(vec![Cow::Borrowed(b"/")]),
        b"*" => return Ok(vec![Cow::Borrowed(path)]),
        _ if !path.starts_with(b"/") || !is_decodable(path) => return Err(Unreadable),
        _ if is_plain(path) => return Ok(vec![Cow::Borrowed(path)]),
        _ => {}
    }
    let mut found = vec![Cow::Borrowed(path)];
    let mut bytes = path.len();
    let mut next = 0_usize;
    while let Some(current) = found.get(next).cloned() {
        if is_forbidden(&current) {
            return Err(Unreadable);
        }
        for reading in STEPS.iter().filter_map(|step| step(&current)) {
            if !found.iter().any(|known| **known == *reading) {
                bytes = bytes.saturating_add(reading.len());
                found.push(Cow::Owned(reading));
            }
        }
        if found.len() > MAX_READINGS || bytes > MAX_BYTES {
            return Err(Unreadable);
        }
        next = next.saturating_add(1);
    }
    Ok(found)
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

/// Nothing in it can be read in two ways.
fn is_plain(path: &[u8]) -> bool {
    let ordinary = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,=:@".contains(byte);
    path.iter().all(ordinary) && !path.windows(2).any(|pair| pair == b"//" || pair == b"/.")
}

/// Bytes that a server takes for the structure of a path, and may or may not take for it when they are encoded.
fn is_delimiter(byte: u8) -> bool {
    b"/\\;?#%".contains(&byte)
}

/// Each `%` begins an escape.
fn is_decodable(path: &[u8]) -> bool {
    let mut rest = path;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let Some((after, _)) = rest.split_at_checked(at).and_then(|(_, escape)| escaped(escape)) else {
            return false;
        };
        rest = after;
    }
    true
}

/// What follows an escape and the byte it stands for.
fn escaped(text: &[u8]) -> Option<(&[u8], u8)> {
    let [b'%', high, low, rest @ ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let high = digit(*high)?.checked_mul(16)?;
    Some((rest, high.checked_add(digit(*low)?)?))
}

/// Decodes the escapes of the bytes that are chosen. What is no escape stays: only after a first round can there be any.
pub(super) fn decode(path: &[u8], chosen: impl Fn(u8) -> bool) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, next @ ..] = rest {
        let (byte, after) = match escaped(rest) {
            Some((after, byte)) if chosen(byte) => (byte, after),
            _ => (*first, next),
        };
        decoded.push(byte);
        rest = after;
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

/// Frameworks that trim what they take for white space make `/secret%20`, or `/secret` and a byte 0xa0, into `/secret`.
/// In UTF-8 0xc2 stands before that byte.
fn trim_end(path: &[u8]) -> Option<Vec<u8>> {
    let kept = path.iter().rposition(|byte| !matches!(byte, 0..=0x20 | 0x7f | 0x85 | 0xa0 | 0xc2))?;
    let trimmed = path.get(..=kept)?;
    (trimmed.len() < path.len()).then(|| trimmed.to_vec())
}

#[cfg(test)]
mod tests;
