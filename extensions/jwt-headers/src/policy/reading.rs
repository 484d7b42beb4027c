//! The readings of a path. Servers disagree on what a path means: how often it is decoded and what stays encoded, whether `\`
//! is a slash, whether `;parameters` belong to it, whether empty segments count. What comes out of these steps in any order is a
//! reading; nobody knows which one is the upstream's.

use super::query;
use std::borrow::Cow;

/// A path with more readings is made to have them.
const MOST: usize = 64;

/// One step of some server.
type Step = fn(&[u8]) -> Vec<u8>;

const STEPS: [Step; 6] = [
    |path| query::decoded(path, false).into_owned(),
    decoded_but_delimiters,
    without_parameters,
    |path| path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect(),
    merged,
    resolved,
];

/// All readings, the path itself first; none if they are too many.
pub(super) fn readings(path: &[u8]) -> Option<Vec<Cow<'_, [u8]>>> {
    let mut all = vec![Cow::Borrowed(path)];
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
    if path.iter().all(is_plain) && !path.windows(2).any(|pair| pair == b"//") {
        return Some(all);
    }
    let mut next = 0;
    while let Some(reading) = all.get(next).cloned() {
        for step in STEPS {
            let other = step(&reading);
            if !all.iter().any(|known| **known == *other) {
                all.push(other.into());
            }
        }
        if all.len() > MOST {
            return None;
        }
        next = next.saturating_add(1);
    }
    Some(all)
}

/// Decoded but for what separates: there are servers that resolve `%2e%2e` and keep `%2f`.
fn decoded_but_delimiters(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, more)) = rest.split_first() {
        let escape = rest.get(..3).filter(|escape| escape.starts_with(b"%"));
        match escape.map(|escape| query::decoded(escape, false)).as_deref() {
            Some([byte]) if !b"/\\;%".contains(byte) => {
                out.push(*byte);
                rest = rest.get(3..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = more;
            }
        }
    }
    out
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

/// Without dot segments (RFC 3986, 5.2.4): an empty segment is one.
fn resolved(path: &[u8]) -> Vec<u8> {
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
        if is_last {
            segments.push(b"");
        }
    }
    [b"/", &*segments.join(&b'/')].concat()
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
    fn too_many_readings_are_none() {
        let many = format!("/a\\b//c;d/%{}2e%2f..", "25".repeat(100));
        assert!(readings(many.as_bytes()).is_none());
    }
}
