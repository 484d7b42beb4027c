//! The query of a path: read with percent escapes undone, edited without touching what else is there.

use proxy_wasm_kit_paths::unescaped;
use std::borrow::Cow;

/// Path, and query without `?`; a fragment belongs to neither.
pub(super) fn split(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let Some((start, rest)) = end.and_then(|end| path.split_at_checked(end)) else { return (path, None) };
    let query =
        rest.strip_prefix(b"?").map(|rest| rest.split(|byte| *byte == b'#').next().unwrap_or_default());
    (start, query)
}

/// Names and values, as they were sent.
pub(super) fn parameters(path: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    pairs(path).map(halves)
}

/// The pairs of a query. There are servers that part them at `;`, too.
fn pairs(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let query = split(path).1.into_iter();
    query.flat_map(|query| query.split(is_separator)).filter(|pair| !pair.is_empty())
}

fn is_separator(byte: &u8) -> bool {
    matches!(byte, b'&' | b';')
}

fn halves(pair: &[u8]) -> (&[u8], &[u8]) {
    let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
    let (name, value) = pair.split_at_checked(at).unwrap_or_default();
    (name, value.get(1..).unwrap_or_default())
}

/// The path without the parameters of these names, however they are written.
pub(super) fn without(path: &[u8], names: &[Cow<'_, [u8]>]) -> Option<Vec<u8>> {
    let is_named = |pair: &[u8]| {
        let found = decoded(halves(pair).0);
        names.contains(&found)
    };
    if names.is_empty() || !pairs(path).any(is_named) {
        return None;
    }
    let (start, query) = split(path);
    let mut kept = Vec::new();
    // Each with what parts it from the one before.
    for pair in query.unwrap_or_default().split_inclusive(is_separator) {
        let bare = pair.strip_suffix(b"&").or_else(|| pair.strip_suffix(b";")).unwrap_or(pair);
        if !bare.is_empty() && !is_named(bare) {
            kept.extend(pair);
        }
    }
    if kept.last().is_some_and(is_separator) {
        kept.pop();
    }
    Some(if kept.is_empty() { start.to_vec() } else { [start, b"?", &kept].concat() })
}

/// A name or a value with its escapes undone: in a query, `+` is a space.
pub(super) fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'+') {
        return unescaped(text);
    }
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    unescaped(&spaced).into_owned().into()
}

/// A text as a segment of a path or a part of a query: all but what never has a meaning there is escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
