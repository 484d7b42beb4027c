//! Paths: what of a request's path is read, and the form in which a rule's pattern is kept.
//!
//! A rule that matches one of the readings of a path applies. Rules only ever ask for more, so a reading too many can ask for
//! a credential too many, and never let anybody in.

use proxy_wasm_kit_paths::{Unreadable, is_decodable, is_forbidden, merged, resolved, unescaped};
use std::borrow::Cow;

/// Which end of a pattern is open, so that its outermost segment may be a part of a longer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Exact,
    Prefix,
    Suffix,
}

/// All readings of a request's `:path`, the path as it was sent first. The query is no part of any.
pub(super) fn readings(path: &[u8]) -> Result<Vec<Cow<'_, [u8]>>, Unreadable> {
    match path.split(|byte| *byte == b'?').next().unwrap_or_default() {
        // `CONNECT` has no path, and `OPTIONS *` is about the server as a whole.
        b"" => Ok(vec![Cow::Borrowed(b"/")]),
        b"*" => Ok(vec![Cow::Borrowed(b"*")]),
        path if path.starts_with(b"/") => proxy_wasm_kit_paths::readings(path),
        _ => Err(Unreadable),
    }
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
    let decoded = unescaped(raw);
    if is_forbidden(&decoded) {
        return Err("NUL and overlong UTF-8 never occur in a path that is let through");
    }
    let normal = resolve_complete(&merged(&decoded), shape);
    Ok(if normal == raw { vec![normal] } else { vec![normal, raw.to_vec()] })
}

/// Resolves the dot segments of a pattern, save in the segment at its open end: `/.` as a prefix means dotfiles.
fn resolve_complete(pattern: &[u8], shape: Shape) -> Vec<u8> {
    // No path begins otherwise, so what does not stays what never matches.
    let resolved = |path: &[u8]| if path.starts_with(b"/") { resolved(path, true) } else { path.to_vec() };
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

#[cfg(test)]
mod tests {
    //! What of a path is read, and spellings of patterns.

    use super::*;

    #[test]
    fn a_path_is_read_without_its_query() {
        let read = |path: &'static str| readings(path.as_bytes());
        for (path, reading) in [("/a", "/a"), ("/a?b=/../c", "/a"), ("*", "*"), ("", "/"), ("?a", "/")] {
            assert_eq!(read(path).unwrap(), [reading.as_bytes()], "{path}");
        }
        assert_eq!(read("//a?b").unwrap(), [&b"//a"[..], b"/a"]);
        for path in ["x", "http://h/x", "*/../x", "/%zz"] {
            assert_eq!(read(path), Err(Unreadable), "{path}");
        }
    }

    fn spelt(pattern: &str, shape: Shape) -> Vec<String> {
        let spellings = spellings(pattern, shape).unwrap();
        spellings.into_iter().map(|spelling| String::from_utf8(spelling).unwrap()).collect()
    }

    #[test]
    fn patterns_are_kept_as_written_and_in_normal_form() {
        assert_eq!(spelt("/a", Shape::Exact), ["/a"]);
        assert_eq!(spelt("*", Shape::Exact), ["*"]);
        assert_eq!(spelt("/%61//b/./c/../d", Shape::Exact), ["/a/b/d", "/%61//b/./c/../d"]);
        assert_eq!(spelt("/.", Shape::Prefix), ["/."]);
        assert_eq!(spelt("/a/./.b", Shape::Prefix), ["/a/.b", "/a/./.b"]);
        assert_eq!(spelt("/..", Shape::Prefix), ["/.."]);
        assert_eq!(spelt("secret", Shape::Prefix), ["secret"]);
        assert_eq!(spelt("secret/./x", Shape::Exact), ["secret/./x"]);
        assert_eq!(spelt(".html", Shape::Suffix), [".html"]);
        assert_eq!(spelt("/../a", Shape::Suffix), ["/../a"]);
        assert_eq!(spelt(".//x/./y", Shape::Suffix), ["./x/y", ".//x/./y"]);
    }

    #[test]
    fn patterns_that_no_path_can_match_are_refused() {
        for pattern in ["/a?b", "/a#b", "/%", "/%0", "/%00", "/%c0%af"] {
            spellings(pattern, Shape::Prefix).unwrap_err();
        }
    }
}
