//! The readings of a path. Servers disagree on what a path means: how often it is decoded and what stays encoded, whether `\`
//! is a slash, whether `;parameters` belong to it, whether empty segments count, where it ends. What comes out of these steps in
//! any order is a reading; nobody knows which one is the upstream's.
//!
//! What that may cost is bounded here: by how many readings there are, and by how many bytes they have together.

use super::query;
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher};

/// A path with more readings is made to have them.
const MOST: usize = 32;

/// So is one whose readings have more bytes than this, itself left out. A path of 8 KiB, which is what most servers take, may
/// have four more that are as long.
const MOST_BYTES: usize = 32 * 1024;

/// One step of some server.
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
    pub(super) const WIDE: u8 = 128;
}

const STEPS: [(u8, Step); 9] = [
    (sign::ESCAPE, |path| decoded(path, |_| true)),
    // There are servers that resolve `%2e%2e` and keep `%2f`.
    (sign::ESCAPE, |path| decoded(path, |byte| !b"/\\;?#%".contains(&byte))),
    (sign::END, cut),
    (sign::PARAMETER, without_parameters),
    (sign::BACKSLASH, |path| path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()),
    (sign::EMPTY, merged),
    (sign::DOT, |path| resolved(path, true)),
    (sign::DOT, |path| resolved(path, false)),
    (sign::SPACE, trimmed),
];

/// All readings, the path itself first; none if they are too many, or one hides bytes.
pub(super) fn readings(path: &[u8]) -> Option<Vec<Cow<'_, [u8]>>> {
    let mut all = vec![Cow::Borrowed(path)];
    if signs(path) == 0 {
        return Some(all);
    }
    let mut hashes = vec![hash(path)];
    let mut bytes = 0_usize;
    let mut next = 0_usize;
    while let Some(reading) = all.get(next).cloned() {
        let signs = signs(&reading);
        if signs & sign::WIDE != 0 && is_overlong(&reading) {
            return None;
        }
        for (_, step) in STEPS.iter().filter(|(sign, _)| signs & sign != 0) {
            let other = step(&reading);
            let hash = hash(&other);
            // Two that share a hash by chance or by design are two.
            let same = |(known, reading): (&u64, &Cow<'_, [u8]>)| *known == hash && **reading == *other;
            if hashes.iter().zip(&all).any(same) {
                continue;
            }
            bytes = bytes.saturating_add(other.len());
            if all.len() == MOST || bytes > MOST_BYTES {
                return None;
            }
            all.push(other.into());
            hashes.push(hash);
        }
        next = next.saturating_add(1);
    }
    Some(all)
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
            b'?' | b'#' | 0 => sign::END,
            b';' => sign::PARAMETER,
            b'\\' => sign::BACKSLASH,
            b'/' if before == b'/' => sign::EMPTY,
            b'.' if before == b'/' => sign::DOT,
            0xc0.. => sign::WIDE,
            _ => 0,
        };
        before = *byte;
    }
    if is_space(before) { signs | sign::SPACE } else { signs }
}

/// Overlong UTF-8 hides a byte from one decoder and shows it to another.
fn is_overlong(path: &[u8]) -> bool {
    let overlong =
        |pair: &[u8]| matches!(pair, [0xc0 | 0xc1, 0x80..=0xbf] | [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f]);
    path.windows(2).any(overlong)
}

/// Escapes of the bytes that are chosen undone; what is not an escape stays.
fn decoded(path: &[u8], is_chosen: fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut parts = path.split(|byte| *byte == b'%');
    out.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        match query::escape(part) {
            Some((byte, rest)) if is_chosen(byte) => {
                out.push(byte);
                out.extend_from_slice(rest);
            }
            _ => {
                out.push(b'%');
                out.extend_from_slice(part);
            }
        }
    }
    out
}

/// For servers that decode before they look for the end of a path, or for which a NUL ends a text.
fn cut(path: &[u8]) -> Vec<u8> {
    path.split(|byte| matches!(byte, b'?' | b'#' | 0)).next().unwrap_or_default().to_vec()
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    let cut = path
        .split(|byte| *byte == b'/')
        .map(|part| part.split(|byte| *byte == b';').next().unwrap_or_default());
    cut.collect::<Vec<_>>().join(&b'/')
}

fn merged(path: &[u8]) -> Vec<u8> {
    let mut out = path.to_vec();
    out.dedup_by(|one, other| *one == b'/' && *other == b'/');
    out
}

/// Without dot segments (RFC 3986, 5.2.4): an empty segment is one. A path that ends in a dot segment names a folder: with a
/// slash at its end as the RFC has it, or without as file systems have it.
fn resolved(path: &[u8], slash_at_end: bool) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let inner = path.strip_prefix(b"/").unwrap_or(path);
    let mut parts = inner.split(|byte| *byte == b'/').peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match part {
            b"." => {}
            b".." => {
                segments.pop();
            }
            segment => {
                segments.push(segment);
                continue;
            }
        }
        if is_last && (slash_at_end || segments.is_empty()) {
            segments.push(b"");
        }
    }
    [b"/", &*segments.join(&b'/')].concat()
}

/// What frameworks trim that take it for white space. In UTF-8, 0xc2 stands before 0x85 and 0xa0.
fn is_space(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | 0x7f | 0x85 | 0xa0 | 0xc2)
}

fn trimmed(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last.saturating_add(1));
    path.get(..end).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    //! Where paths lead.

    use super::*;

    #[test]
    fn a_plain_path_has_one_reading() {
        assert_eq!(readings(b"/api/users").unwrap(), [&b"/api/users"[..]]);
        assert_eq!(readings(b"/").unwrap(), [&b"/"[..]]);
        assert_eq!(readings(b"/a.html").unwrap(), [&b"/a.html"[..]]);
        assert_eq!(readings(b"/.well-known/a b").unwrap().len(), 1);
    }

    #[test]
    fn where_there_is_no_sign_a_step_changes_nothing() {
        for byte in 0..=255 {
            for path in
                [&[b'/', byte, b'a'][..], &[b'/', b'a', byte], &[byte, b'a'], &[b'/', byte, byte], &[byte]]
            {
                let signs = signs(path);
                for (sign, step) in STEPS {
                    assert!(signs & sign != 0 || step(path) == path, "{}: {sign}", path.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn what_leads_elsewhere_is_a_reading() {
        for path in [
            "/health/../admin",
            "/health/..%2fadmin",
            "//admin",
            "/%61dmin",
            "/%2561dmin",
            "/x/..;/admin",
            "/admin;x=1",
            "/\\admin",
            "/./admin",
            "/x/%2e%2e/admin",
            "/%5cadmin",
            "/healthz/a\\b/../../admin",
            "/x\\y/../admin",
            "/public/..;%2fpublic/../admin",
            "/admin;%2f..",
            "/api;%2f../admin",
            "/x%2fy/%2e%2e/admin",
            "*/../admin",
            "/public/..;%252fx/../admin",
            "/admin/.",
            "/admin/x/..",
            "/admin%3f",
            "/admin%3fx",
            "/admin%253fx",
            "/admin%23",
            "/admin%00.html",
            "/admin%20",
            "/admin%c2%a0",
        ] {
            let found = readings(path.as_bytes());
            let leads =
                |all: Vec<Cow<'_, [u8]>>| all.iter().any(|one| &**one == b"/admin" || &**one == b"/admin/");
            assert!(found.is_none_or(leads), "{path}");
        }
        let all = readings(b"/a//../secret").unwrap();
        assert!(all.iter().any(|one| &**one == b"/a/secret") && all.iter().any(|one| &**one == b"/secret"));
        assert!(
            readings(b"/public/..;%2fpublic/admin")
                .unwrap()
                .iter()
                .any(|one| &**one == b"/admin" || &**one == b"/public/admin")
        );
    }

    #[test]
    fn a_slash_in_overlong_utf_8_is_not_let_pass() {
        for path in [&b"/open/..%c0%afadmin"[..], b"/%25c0%25aeadmin", b"/%e0%80%afadmin", b"/\xc0\xafadmin"]
        {
            assert!(readings(path).is_none(), "{}", path.escape_ascii());
        }
        assert!(readings("/caf%c3%a9/\u{20ac}".as_bytes()).is_some());
    }

    #[test]
    fn too_many_readings_are_none() {
        let many = format!("/a\\b//c;d/%{}2e%2f..", "25".repeat(100));
        assert!(readings(many.as_bytes()).is_none());
    }

    #[test]
    fn their_bytes_are_bounded() {
        let long = |count| format!("/{}", "%41bcde/".repeat(count));
        let of = |count| readings(long(count).as_bytes()).map(|all| all.len());
        assert_eq!([of(1000), of(5000), of(7000)], [Some(2), Some(2), None]);
        assert!(readings("/abcdefg".repeat(8000).as_bytes()).is_some());
    }
}
