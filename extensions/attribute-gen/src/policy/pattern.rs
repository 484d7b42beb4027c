//! Regular expressions, bounded in how much of a request they look at: some need ten thousand instructions for a byte.

use super::InputNumber;
use regex_lite::{Captures, Regex, RegexBuilder};

/// How many bytes of a request all patterns of a configuration look at together, if they are small.
const TOGETHER: usize = 8 * 1024;

/// And each of them at least, however many there are.
const AT_LEAST: usize = 2 * 1024;

/// And the largest one with the most groups.
const SHORTEST: usize = 16;

/// What a small pattern takes when it is compiled: 512 bytes in the module. Each byte costs the more the larger the pattern is.
const SMALL: usize = 128 * size_of::<usize>();

/// How many times as large one may be. Larger ones are a mistake, or an attack on memory.
const LARGEST: usize = 128;

/// How many groups do not make a byte cost more.
const FEW_GROUPS: usize = 16;

/// How many bytes of a request each of so many patterns may look at, if it is small.
pub fn share(patterns: usize) -> usize {
    TOGETHER.checked_div(patterns).unwrap_or(TOGETHER).max(AT_LEAST)
}

/// A regular expression, and what it is found in.
#[derive(Debug)]
pub(super) struct Pattern {
    /// Where it stands, for example `match[2]`.
    pub(super) at: String,
    pub(super) input: InputNumber,
    /// The longest text that it looks at.
    pub(super) longest: usize,
    regex: Regex,
}

impl Pattern {
    /// With the `share` of [`share`], of which a large pattern has a part.
    pub(super) fn new(text: &str, share: usize, input: InputNumber, at: &str) -> Result<Self, String> {
        let mut times = 1_usize;
        loop {
            let limit = SMALL.saturating_mul(times);
            match RegexBuilder::new(text).size_limit(limit).nest_limit(50).build() {
                Ok(regex) => {
                    let times = times.saturating_mul(regex.captures_len().div_ceil(FEW_GROUPS));
                    let longest = share.checked_div(times).unwrap_or(share).max(SHORTEST);
                    return Ok(Self { at: at.to_owned(), input, longest, regex });
                }
                Err(error) if times >= LARGEST => return Err(error.to_string()),
                Err(_) => times = times.saturating_mul(2),
            }
        }
    }

    pub(super) fn has_group(&self, name: &str) -> bool {
        let number = name.parse::<usize>().ok();
        number.is_some_and(|number| number < self.regex.captures_len())
            || self.regex.capture_names().flatten().any(|known| known == name)
    }

    pub(super) fn found_in<'a>(&self, text: &'a str) -> Option<Captures<'a>> {
        self.regex.captures(text)
    }
}

/// What a group has taken, by its name or its number.
pub(super) fn group(found: &Captures<'_>, name: &str) -> Option<String> {
    let taken = match name.parse() {
        Ok(number) => found.get(number),
        Err(_) => found.name(name),
    };
    taken.map(|group| group.as_str().to_owned())
}
