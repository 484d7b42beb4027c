//! Which requirement a request meets: the first rule that matches. The upstream may read a path in another way than the proxy,
//! so the requirements of all its readings have to be met.

use super::failure::Failure;
use super::pattern::{Pattern, whole};
use super::reading::readings;
use super::{Mistake, Request, query};
use crate::config::{HeaderMatch, Match, StringMatch};
use regex_lite::Regex;

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
    missing_is_empty: bool,
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
            from.safe_regex.as_ref().map(|regex| {
                let flags = if case_sensitive { "" } else { "(?i)" };
                whole(&format!("{flags}{}", regex.regex)).map(PathMatch::Regex)
            }),
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
            // A byte that is no text must not be a way around.
            PathMatch::Regex(regex) => regex.is_match(&String::from_utf8_lossy(path)),
        }
    }
}

impl HeaderTest {
    fn of(from: &HeaderMatch) -> Result<Self, Mistake> {
        let test = match (pattern(from)?, from.present_match) {
            (Some((place, pattern)), None) => {
                Test::Value(Pattern::of(&pattern).map_err(|problem| Mistake::at(place, problem))?)
            }
            (None, Some(present)) => Test::Presence(present),
            // In Envoy, a name alone asks whether it is there; that may be a slip.
            _ => return Err(Mistake::at("", "expected exactly one of string_match, present_match")),
        };
        let missing_is_empty = from.treat_missing_header_as_empty;
        let (name, invert) = (from.name.to_ascii_lowercase(), from.invert_match);
        Ok(Self { name, test, missing_is_empty, invert })
    }

    /// Several lines of a header are compared joined by a comma, as in Envoy.
    fn is_met(&self, request: &Request<'_>) -> bool {
        let lines: Vec<&[u8]> = request.headers_named(&self.name).map(|(_, value)| value).collect();
        let met = match &self.test {
            Test::Presence(wanted) => *wanted != (lines.is_empty() && !self.missing_is_empty),
            Test::Value(_) if lines.is_empty() && !self.missing_is_empty => return false,
            Test::Value(pattern) => {
                std::str::from_utf8(&lines.join(&b',')).is_ok_and(|value| pattern.is_match(value))
            }
        };
        met != self.invert
    }
}

/// What a value has to be, in Envoy's words of today or of before.
fn pattern(from: &HeaderMatch) -> Result<Option<(&'static str, StringMatch)>, Mistake> {
    let none = StringMatch::default;
    let words = [
        from.string_match.clone().map(|pattern| ("string_match", pattern)),
        from.exact_match.clone().map(|text| ("exact_match", StringMatch { exact: Some(text), ..none() })),
        from.prefix_match.clone().map(|text| ("prefix_match", StringMatch { prefix: Some(text), ..none() })),
        from.suffix_match.clone().map(|text| ("suffix_match", StringMatch { suffix: Some(text), ..none() })),
        from.contains_match
            .clone()
            .map(|text| ("contains_match", StringMatch { contains: Some(text), ..none() })),
        from.safe_regex_match
            .clone()
            .map(|regex| ("safe_regex_match", StringMatch { safe_regex: Some(regex), ..none() })),
    ];
    let mut words = words.into_iter().flatten();
    match (words.next(), words.next()) {
        (_, Some((place, _))) => Err(Mistake::at(place, "expected string_match alone")),
        (first, None) => Ok(first),
    }
}

/// The numbers of the rules that a request meets, none for a reading of its path that no rule is for.
pub(super) fn met<'m>(
    rules: impl Iterator<Item = &'m Matcher> + Clone,
    request: &Request<'_>,
) -> Result<Vec<Option<usize>>, Failure> {
    let mut met = Vec::new();
    // CONNECT has no path; what is required of all paths is required of it.
    let path = request.path();
    let path = if path.is_empty() { b"/" } else { path };
    for reading in readings(query::split(path).0).ok_or(Failure::Path)? {
        let rule = rules.clone().position(|rule| rule.is_match(&reading, request));
        if !met.contains(&rule) {
            met.push(rule);
        }
    }
    Ok(met)
}
