//! Which requirement a request meets: the first rule that matches. The upstream may read a path in another way than the proxy,
//! so the requirements of all its readings have to be met.

use super::failure::Failure;
use super::pattern::{Effort, Pattern, Spent, whole};
use super::{Mistake, Request, query};
use crate::config::{HeaderMatch, Match, StringMatch};
use proxy_wasm_kit_paths::{Unreadable, readings};
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
    /// Of a host that has to be exactly this: without its port, too.
    plain_host: Option<Vec<u8>>,
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
        if !case_sensitive && from.safe_regex.is_some() {
            // Envoy takes it, and tells case: who believed it would find more paths exempted, or fewer protected.
            let text = "case_sensitive: false does not count for safe_regex: begin the expression with (?i)";
            return Err(Mistake::at("case_sensitive", text));
        }
        let paths = [
            from.prefix.clone().map(|prefix| Ok(PathMatch::Prefix(prefix))),
            from.path.clone().map(|path| Ok(PathMatch::Exact(path))),
            from.path_separated_prefix.clone().map(|path| Ok(PathMatch::Below(path))),
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

    fn expressions(&self) -> usize {
        let of_headers = self.headers.iter().filter(|header| header.is_expression()).count();
        of_headers.saturating_add(usize::from(matches!(self.path, PathMatch::Regex(_))))
    }

    fn are_headers_met(&self, asked: Asked<'_>, effort: &mut Effort) -> Result<bool, Spent> {
        for header in &self.headers {
            if !header.is_met(asked, effort)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether it is for each path that begins with a slash. So do all readings of one that does.
    fn is_for_all_paths(&self) -> bool {
        match &self.path {
            PathMatch::Prefix(prefix) => matches!(&**prefix, "" | "/"),
            PathMatch::Below(top) => top.trim_end_matches('/').is_empty(),
            PathMatch::Exact(_) | PathMatch::Regex(_) => false,
        }
    }

    fn is_path(&self, path: &[u8], effort: &mut Effort) -> Result<bool, Spent> {
        Ok(match &self.path {
            PathMatch::Prefix(prefix) => self.rest(path, prefix).is_some(),
            PathMatch::Exact(exact) => self.rest(path, exact).is_some_and(<[u8]>::is_empty),
            PathMatch::Below(top) => self
                .rest(path, top.trim_end_matches('/'))
                .is_some_and(|rest| matches!(rest.first(), None | Some(b'/'))),
            // A byte that is no text must not be a way around.
            PathMatch::Regex(regex) => effort.is_match(regex, &String::from_utf8_lossy(path))?,
        })
    }

    /// What stands behind a start.
    fn rest<'p>(&self, path: &'p [u8], start: &str) -> Option<&'p [u8]> {
        let (head, rest) = path.split_at_checked(start.len())?;
        let start = start.as_bytes();
        (if self.case_sensitive { head == start } else { head.eq_ignore_ascii_case(start) }).then_some(rest)
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
        let plain_host = match &test {
            Test::Value(pattern) if is_host(&name) => {
                pattern.exact().and_then(|text| plain_host(text.as_bytes()))
            }
            _ => None,
        };
        if name == ":path" {
            let text =
                "expected prefix, path, path_separated_prefix or safe_regex, which see what a path can mean";
            return Err(Mistake::at("name", text));
        }
        Ok(Self { name, test, plain_host, missing_is_empty, invert })
    }

    /// Several lines of a header are compared joined by a comma, as in Envoy.
    fn is_met(&self, asked: Asked<'_>, effort: &mut Effort) -> Result<bool, Spent> {
        let lines: Vec<&[u8]> = if self.is_host() {
            vec![asked.host]
        } else {
            asked.request.headers_named(&self.name).map(|(_, value)| value).collect()
        };
        let met = match &self.test {
            Test::Value(_) if asked.is_plain && self.plain_host.is_some() => {
                self.plain_host.as_deref() == Some(asked.host)
            }
            Test::Presence(wanted) => *wanted != (lines.is_empty() && !self.missing_is_empty),
            Test::Value(_) if lines.is_empty() && !self.missing_is_empty => return Ok(false),
            Test::Value(pattern) => pattern.is_match(&lines.join(&b','), effort)?,
        };
        Ok(met != self.invert)
    }

    fn is_host(&self) -> bool {
        is_host(&self.name)
    }

    fn is_expression(&self) -> bool {
        matches!(&self.test, Test::Value(pattern) if pattern.is_expression())
    }
}

/// A proxy knows no other `host`.
fn is_host(name: &str) -> bool {
    matches!(name, ":authority" | "host")
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

impl From<Spent> for Failure {
    fn from(Spent: Spent) -> Self {
        Self::Long
    }
}

impl From<Unreadable> for Failure {
    fn from(Unreadable: Unreadable) -> Self {
        Self::Path
    }
}

/// A request, and one of the ways in which its host can be written.
#[derive(Clone, Copy)]
struct Asked<'a> {
    request: &'a Request<'a>,
    host: &'a [u8],
    is_plain: bool,
}

/// The numbers of the rules that a request meets, none for a reading of its path, or a way to write its host, that no rule is
/// for.
pub(super) fn met<'m>(
    rules: impl Iterator<Item = &'m Matcher> + Clone,
    request: &Request<'_>,
) -> Result<Vec<Option<usize>>, Failure> {
    let expressions = rules.clone().map(Matcher::expressions).fold(0, usize::saturating_add);
    let host = request.first(":authority").unwrap_or_default();
    let mut read = None;
    let effort = || Effort::for_expressions(expressions);
    let mut met = met_by(rules.clone(), Asked { request, host, is_plain: false }, &mut read, &mut effort())?;
    let asks_for_host = rules.clone().any(|rule| rule.headers.iter().any(HeaderTest::is_host));
    if let Some(host) = plain_host(host).filter(|_| asks_for_host) {
        for rule in met_by(rules, Asked { request, host: &host, is_plain: true }, &mut read, &mut effort())? {
            if !met.contains(&rule) {
                met.push(rule);
            }
        }
    }
    Ok(met)
}

/// A host without port, dot at the end and capitals, which many routes and servers do not tell from it; if that is another text.
fn plain_host(host: &[u8]) -> Option<Vec<u8>> {
    let end = host.iter().rposition(|byte| *byte == b':').filter(|at| {
        let port = host.get(at.saturating_add(1)..).unwrap_or_default();
        port.iter().all(u8::is_ascii_digit)
    });
    let name = host.get(..end.unwrap_or(host.len())).unwrap_or_default();
    let plain = name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase();
    (plain != host).then_some(plain)
}

/// The readings of the path are kept for the next host.
fn met_by<'m, 'a>(
    rules: impl Iterator<Item = &'m Matcher> + Clone,
    asked: Asked<'a>,
    read: &mut Option<Vec<Cow<'a, [u8]>>>,
    effort: &mut Effort,
) -> Result<Vec<Option<usize>>, Failure> {
    // CONNECT has no path; what is required of all paths is required of it.
    let path = query::split(asked.request.path()).0;
    let path = if path.is_empty() { b"/" } else { path };
    let candidates = candidates(rules, path, asked, effort)?;
    match candidates.first() {
        None => return Ok(vec![None]),
        Some((number, rule)) if is_for_all(rule, path) => return Ok(vec![Some(*number)]),
        Some(_) => {}
    }
    let mut met = Vec::new();
    let all = match read.take() {
        Some(all) => all,
        None => readings(path)?,
    };
    for reading in read.insert(all) {
        let rule = first(&candidates, reading, effort)?;
        if !met.contains(&rule) {
            met.push(rule);
        }
    }
    Ok(met)
}

/// The rules that can be met, whatever the path means: those whose headers are as asked for, up to one that is for all paths.
fn candidates<'m>(
    rules: impl Iterator<Item = &'m Matcher>,
    path: &[u8],
    asked: Asked<'_>,
    effort: &mut Effort,
) -> Result<Vec<(usize, &'m Matcher)>, Spent> {
    let mut candidates = Vec::new();
    for (number, rule) in rules.enumerate() {
        if rule.are_headers_met(asked, effort)? {
            candidates.push((number, rule));
            if is_for_all(rule, path) {
                break;
            }
        }
    }
    Ok(candidates)
}

fn is_for_all(rule: &Matcher, path: &[u8]) -> bool {
    rule.is_for_all_paths() && path.starts_with(b"/")
}

fn first(
    candidates: &[(usize, &Matcher)],
    reading: &[u8],
    effort: &mut Effort,
) -> Result<Option<usize>, Spent> {
    for (number, rule) in candidates {
        if rule.is_path(reading, effort)? {
            return Ok(Some(*number));
        }
    }
    Ok(None)
}
