//! Envoy's `StringMatcher`: one way to compare a text. And regular expressions, which are bounded in what they look at.

use crate::config::StringMatch;
use regex_lite::Regex;

/// How a text is compared.
#[derive(Debug)]
pub(super) struct Pattern {
    kind: Kind,
    ignore_case: bool,
}

#[derive(Debug)]
enum Kind {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(Regex),
}

impl Pattern {
    pub(super) fn of(from: &StringMatch) -> Result<Self, String> {
        let ignore_case = from.ignore_case;
        let text = |text: &String| if ignore_case { text.to_ascii_lowercase() } else { text.clone() };
        let kinds = [
            from.exact.as_ref().map(|exact| Ok(Kind::Exact(text(exact)))),
            from.prefix.as_ref().map(|prefix| Ok(Kind::Prefix(text(prefix)))),
            from.suffix.as_ref().map(|suffix| Ok(Kind::Suffix(text(suffix)))),
            from.contains.as_ref().map(|part| Ok(Kind::Contains(text(part)))),
            from.safe_regex.as_ref().map(|regex| whole(&regex.regex).map(Kind::Regex)),
        ];
        if ignore_case && from.safe_regex.is_some() {
            return Err("ignore_case does not count for safe_regex: begin the expression with (?i)".into());
        }
        let mut kinds = kinds.into_iter().flatten();
        match (kinds.next(), kinds.next()) {
            (Some(kind), None) => Ok(Self { kind: kind?, ignore_case }),
            _ => Err("expected exactly one of exact, prefix, suffix, contains, safe_regex".into()),
        }
    }

    pub(super) fn is_match(&self, text: &str, effort: &mut Effort) -> Result<bool, Spent> {
        let lower;
        let text = if self.ignore_case {
            lower = text.to_ascii_lowercase();
            &lower
        } else {
            text
        };
        Ok(match &self.kind {
            Kind::Exact(exact) => text == exact,
            Kind::Prefix(prefix) => text.starts_with(prefix),
            Kind::Suffix(suffix) => text.ends_with(suffix),
            Kind::Contains(part) => text.contains(part),
            Kind::Regex(regex) => effort.is_match(regex, text)?,
        })
    }

    /// The text, if no other is a match.
    pub(super) fn exact(&self) -> Option<&str> {
        if let Kind::Exact(text) = &self.kind { Some(text) } else { None }
    }

    pub(super) fn is_expression(&self) -> bool {
        matches!(self.kind, Kind::Regex(_))
    }
}

/// A regular expression that has to match all of a text. It takes time in proportion to the text.
pub(super) fn whole(regex: &str) -> Result<Regex, String> {
    // Alone first: `a)|(b` is none, and would become one.
    let compiled = Regex::new(regex).and_then(|_| Regex::new(&format!("^(?:{regex})$")));
    compiled.map_err(|error| format!("not a regular expression: {error}"))
}

/// How many bytes expressions may still look at for a request: some need a microsecond for three.
#[derive(Debug)]
pub(super) struct Effort(usize);

/// The effort is spent, and nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent;

impl Effort {
    const MOST: usize = 16 * 1024;
    /// However many expressions there are.
    const FOR_EACH: usize = 2 * 1024;

    pub(super) fn for_expressions(count: usize) -> Self {
        Self(count.saturating_mul(Self::FOR_EACH).max(Self::MOST))
    }

    pub(super) fn is_match(&mut self, regex: &Regex, text: &str) -> Result<bool, Spent> {
        self.0 = self.0.checked_sub(text.len()).ok_or(Spent)?;
        Ok(regex.is_match(text))
    }
}
