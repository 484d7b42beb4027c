//! Envoy's `StringMatcher`: one way to compare a text.

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
        let mut kinds = kinds.into_iter().flatten();
        match (kinds.next(), kinds.next()) {
            (Some(kind), None) => Ok(Self { kind: kind?, ignore_case }),
            _ => Err("expected exactly one of exact, prefix, suffix, contains, safe_regex".into()),
        }
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        let lower;
        let text = if self.ignore_case && !matches!(self.kind, Kind::Regex(_)) {
            lower = text.to_ascii_lowercase();
            &lower
        } else {
            text
        };
        match &self.kind {
            Kind::Exact(exact) => text == exact,
            Kind::Prefix(prefix) => text.starts_with(prefix),
            Kind::Suffix(suffix) => text.ends_with(suffix),
            Kind::Contains(part) => text.contains(part),
            Kind::Regex(regex) => regex.is_match(text),
        }
    }
}

/// A regular expression that has to match all of a text. It takes time in proportion to the text.
pub(super) fn whole(regex: &str) -> Result<Regex, String> {
    Regex::new(&format!("^(?:{regex})$")).map_err(|error| format!("not a regular expression: {error}"))
}
