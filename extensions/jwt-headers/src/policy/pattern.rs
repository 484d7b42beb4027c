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

    /// Whether these bytes are meant. Where they are no UTF-8 they count as U+FFFD: a text is found in that exactly where it is in
    /// the bytes (unless it holds that character itself), and to an expression they are a character as any that a client can send.
    pub(super) fn is_match(&self, bytes: &[u8], effort: &mut Effort) -> Result<bool, Spent> {
        let lower;
        let text = &*String::from_utf8_lossy(bytes);
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

/// A regular expression that has to match all of a text. It takes time in proportion to the text. A `.` is each character: a
/// line break, which a client can write as `%0a`, is no way around an expression.
pub(super) fn whole(regex: &str) -> Result<Regex, String> {
    // Alone first: `a)|(b` is none, and would become one.
    let compiled = Regex::new(regex).and_then(|_| Regex::new(&format!("^(?s:{regex})$")));
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

#[cfg(test)]
mod tests {
    //! Any bytes, as Envoy compares them, and line breaks.

    use super::*;
    use proptest::prelude::*;

    fn is_match(from: StringMatch, bytes: &[u8]) -> bool {
        Pattern::of(&from).unwrap().is_match(bytes, &mut Effort::for_expressions(1)).unwrap()
    }

    fn none() -> StringMatch {
        StringMatch::default()
    }

    proptest! {
        #[test]
        fn texts_are_found_in_bytes(
            text in "[a-bé€]{0,3}",
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    &b"a"[..], b"b", b"\xc3\xa9", b"\xe2\x82\xac", b"\xff", b"\xc3", b"\xe2", b"\xa9", b"\xe2\x82", b"\xac",
                ]),
                0..6,
            ),
        ) {
            let (bytes, wanted) = (parts.concat(), text.as_bytes());
            let (some, part) = (|| Some(text.clone()), wanted.len().max(1));
            prop_assert_eq!(is_match(StringMatch { exact: some(), ..none() }, &bytes), bytes == wanted);
            prop_assert_eq!(is_match(StringMatch { prefix: some(), ..none() }, &bytes), bytes.starts_with(wanted));
            prop_assert_eq!(is_match(StringMatch { suffix: some(), ..none() }, &bytes), bytes.ends_with(wanted));
            let contains = wanted.is_empty() || bytes.windows(part).any(|window| window == wanted);
            prop_assert_eq!(is_match(StringMatch { contains: some(), ..none() }, &bytes), contains);
        }
    }

    #[test]
    fn an_expression_is_about_all_of_a_text_and_its_dot_about_each_character() {
        let is_match = |regex: &str, bytes: &[u8]| {
            let safe_regex = Some(crate::config::Regex { regex: regex.into() });
            is_match(StringMatch { safe_regex, ..none() }, bytes)
        };
        for text in [&b"ab"[..], b"a\n", b"a\r\n", b"a\xff", b"a\xc3", b"a\xc2\x85", b"a\xe2\x80\xa8", b"a\0"]
        {
            assert!(is_match("a.*", text), "{}", text.escape_ascii());
        }
        for (regex, text) in
            [("a", &b"a\n"[..]), ("a", b"\na"), ("a$", b"a\nb"), ("^a|b$", b"a\nb"), ("(?-s)a.*", b"a\n")]
        {
            assert!(!is_match(regex, text), "{regex}, {}", text.escape_ascii());
        }
        for no in ["a)|(b", "(", "a(?s"] {
            whole(no).unwrap_err();
        }
    }
}
