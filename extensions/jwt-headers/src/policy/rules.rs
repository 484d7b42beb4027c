//! Which requirement a request meets: the first rule that matches. A path can be read in several ways (escapes, `..`, `//`,
//! `;`), and the upstream may read it in another than the proxy; so the requirements of all readings have to be met.

use super::pattern::{Pattern, whole};
use super::{Mistake, Request, query};
use crate::config::{HeaderMatch, Match};
use regex_lite::Regex;
use std::borrow::Cow;

/// Which requests a rule is for.
#[derive(Debug)]
pub(super) struct Matcher {
    path: PathMatch,
    case_sensitive: bool,
    headers: Vec<HeaderTest>,
}

#[derive(Debug)]
enum PathMatch {
    Prefix(String),
    Exact(String),
    Below(String),
    Regex(Regex),
}

#[derive(Debug)]
struct HeaderTest {
    name: String,
    test: Test,
    invert: bool,
}

#[derive(Debug)]
enum Test {
    Value(Pattern),
    Presence(bool),
}

impl Matcher {
    pub(super) fn of(from: &Match) -> Result<Self, Mistake> {
        let case_sensitive = from.case_sensitive.unwrap_or(true);
        let text = |text: &String| if case_sensitive { text.clone() } else { text.to_ascii_lowercase() };
        let paths = [
            from.prefix.as_ref().map(|prefix| Ok(PathMatch::Prefix(text(prefix)))),
            from.path.as_ref().map(|path| Ok(PathMatch::Exact(text(path)))),
            from.path_separated_prefix.as_ref().map(|path| Ok(PathMatch::Below(text(path)))),
            from.safe_regex.as_ref().map(|regex| whole(&regex.regex).map(PathMatch::Regex)),
        ];
        let mut paths = paths.into_iter().flatten();
        let path = match (paths.next(), paths.next()) {
            (Some(path), None) => path.map_err(|problem| Mistake::at("safe_regex.regex", problem))?,
            _ => {
                let text = "expected exactly one of prefix, path, path_separated_prefix, safe_regex";
                return Err(Mistake::at("", text));
            }
        };
        let header = |(number, header)| {
            HeaderTest::of(header).map_err(|mistake| mistake.within(&format!("headers[{number}]")))
        };
        let headers = from.headers.iter().enumerate().map(header).collect::<Result<_, _>>()?;
        Ok(Self { path, case_sensitive, headers })
    }

    fn is_match(&self, path: &[u8], request: &Request<'_>) -> bool {
        self.is_path(path) && self.headers.iter().all(|header| header.is_met(request))
    }

    fn is_path(&self, path: &[u8]) -> bool {
        let lower;
        let path = if self.case_sensitive {
            path
        } else {
            lower = path.to_ascii_lowercase();
            &lower
        };
        match &self.path {
            PathMatch::Prefix(prefix) => path.starts_with(prefix.as_bytes()),
            PathMatch::Exact(exact) => path == exact.as_bytes(),
            PathMatch::Below(top) => path
                .strip_prefix(top.trim_end_matches('/').as_bytes())
                .is_some_and(|rest| matches!(rest.first(), None | Some(b'/'))),
            PathMatch::Regex(regex) => std::str::from_utf8(path).is_ok_and(|path| regex.is_match(path)),
        }
    }
}

impl HeaderTest {
    fn of(from: &HeaderMatch) -> Result<Self, Mistake> {
        let test = match (&from.string_match, from.present_match) {
            (Some(pattern), None) => {
                Test::Value(Pattern::of(pattern).map_err(|problem| Mistake::at("string_match", problem))?)
            }
            (None, Some(present)) => Test::Presence(present),
            _ => return Err(Mistake::at("", "expected exactly one of string_match, present_match")),
        };
        Ok(Self { name: from.name.to_ascii_lowercase(), test, invert: from.invert_match })
    }

    /// Several lines of a header are compared joined by a comma, as in Envoy.
    fn is_met(&self, request: &Request<'_>) -> bool {
        let lines: Vec<&[u8]> = request.headers_named(&self.name).map(|(_, value)| value).collect();
        let met = match &self.test {
            Test::Presence(wanted) => *wanted != lines.is_empty(),
            Test::Value(_) if lines.is_empty() => return false,
            Test::Value(pattern) => {
                std::str::from_utf8(&lines.join(&b',')).is_ok_and(|value| pattern.is_match(value))
            }
        };
        met != self.invert
    }
}

/// The numbers of the rules that a request meets, none for a reading of its path that no rule is for.
pub(super) fn met<'m>(
    rules: impl Iterator<Item = &'m Matcher> + Clone,
    request: &Request<'_>,
) -> Vec<Option<usize>> {
    let mut met = Vec::new();
    for reading in readings(query::split(request.path()).0) {
        let rule = rules.clone().position(|rule| rule.is_match(&reading, request));
        if !met.contains(&rule) {
            met.push(rule);
        }
    }
    met
}

/// The path as it stands, and as servers may read it: decoded once, or twice and without parameters; with `\` as a slash, one
/// slash for several, and no dot segments.
fn readings(path: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let mut readings = vec![Cow::Borrowed(path)];
    if path.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_'))
        && !path.windows(2).any(|pair| pair == b"//")
    {
        return readings;
    }
    let once = query::decoded(path, false);
    let twice = query::decoded(&once, false).into_owned();
    for reading in [resolved(path, false), resolved(&once, false), resolved(&twice, true)] {
        if !readings.iter().any(|known| **known == *reading) {
            readings.push(reading.into());
        }
    }
    readings
}

fn resolved(path: &[u8], without_parameters: bool) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let parts: Vec<&[u8]> = path.split(|byte| matches!(byte, b'/' | b'\\')).collect();
    for part in &parts {
        let cut = part.split(|byte| *byte == b';').next().filter(|_| without_parameters);
        match cut.unwrap_or(part) {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let ends_in_slash = parts.last().is_some_and(|last| matches!(*last, b"" | b"." | b".."));
    let mut out = [b"/", &*segments.join(&b'/')].concat();
    if ends_in_slash && !segments.is_empty() {
        out.push(b'/');
    }
    out
}

#[cfg(test)]
mod tests {
    //! The readings of a path.

    use super::*;

    #[test]
    fn a_plain_path_has_one_reading() {
        assert_eq!(readings(b"/api/users"), [&b"/api/users"[..]]);
        assert_eq!(readings(b"/"), [&b"/"[..]]);
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
        ] {
            assert!(readings(path.as_bytes()).iter().any(|reading| &**reading == b"/admin"), "{path}");
        }
    }
}
