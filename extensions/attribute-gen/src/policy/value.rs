//! What an attribute becomes: a text, in which parts of the request may be filled in.

use std::borrow::Cow;

/// How many bytes a value has at most that parts of the request were filled into.
const LONGEST: usize = 1024;

/// A text with places to fill in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Constant(String),
    Filled(Vec<Part>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    /// What the group or parameter of this name has taken.
    Group(String),
}

impl Value {
    /// Reads `text ${name} text`. A dollar before it, as in `$${name}`, makes it a text.
    pub(super) fn read(text: &str, is_group: impl Fn(&str) -> bool) -> Result<Self, String> {
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some((before, behind)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                plain.extend([before, "${"]);
                rest = behind;
                continue;
            }
            let (name, behind) = behind
                .split_once('}')
                .ok_or("expected a } behind ${; for a text that holds it, write $${")?;
            if !is_group(name) {
                return Err(format!("there is no group or parameter `{}`", name.escape_debug()));
            }
            plain.push_str(before);
            parts.extend([Part::Text(std::mem::take(&mut plain)), Part::Group(name.to_owned())]);
            rest = behind;
        }
        plain.push_str(rest);
        if parts.is_empty() {
            return Ok(Self::Constant(plain));
        }
        parts.push(Part::Text(plain));
        Ok(Self::Filled(parts))
    }

    /// The text of a value that nothing can be filled into.
    pub(super) fn constant(&self) -> Cow<'_, str> {
        self.filled(|_| None)
    }

    pub(super) fn filled(&self, group: impl Fn(&str) -> Option<String>) -> Cow<'_, str> {
        match self {
            Self::Constant(text) => Cow::Borrowed(text),
            Self::Filled(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Text(plain) => text.push_str(plain),
                        Part::Group(name) => {
                            let taken = group(name).unwrap_or_default();
                            text.extend(taken.chars().take(LONGEST).map(harmless));
                        }
                    }
                }
                text.truncate(text.floor_char_boundary(LONGEST));
                Cow::Owned(text)
            }
        }
    }
}

/// A character of a client's text. What would break a line of a log, act on the terminal of who reads it, or turn the
/// direction of what stands around it becomes `_`.
fn harmless(character: char) -> char {
    let acts = character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if acts { '_' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        Value::read(text, |name| ["a", "b"].contains(&name))
    }

    #[test]
    fn groups_are_filled_in() {
        let value = read("x-${a}${b}-$${a}-$5").unwrap();
        assert_eq!(value.filled(|name| (name == "a").then(|| "1".to_owned())), "x-1-${a}-$5");
    }

    #[test]
    fn a_text_is_a_constant() {
        for (text, constant) in [("", ""), ("$", "$"), ("a {b}", "a {b}"), ("$${a}", "${a}"), ("a}", "a}")] {
            assert_eq!(read(text), Ok(Value::Constant(constant.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_place_that_nothing_fills_is_a_mistake() {
        assert!(read("${a").unwrap_err().contains("expected a }"));
        assert!(read("${}").unwrap_err().contains("no group or parameter ``"));
        assert!(read("${c}").unwrap_err().contains("no group or parameter `c`"));
    }

    #[test]
    fn what_is_filled_in_breaks_no_line() {
        let value = read("\n${a}").unwrap();
        for odd in "\0\n\r\t\u{b}\u{1b}\u{7f}\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}".chars() {
            assert_eq!(value.filled(|_| Some(format!("<{odd}>"))), "\n<_>", "{odd:?}");
        }
        let kept = " \"'=,<\u{a0}\u{e9}\u{2027}\u{202f}\u{2065}\u{fffd}";
        assert_eq!(value.filled(|_| Some(kept.to_owned())), format!("\n{kept}"));
    }

    #[test]
    fn a_filled_value_is_bounded_at_a_character() {
        let value = read("x${a}").unwrap();
        let filled = value.filled(|_| Some("\u{e9}".repeat(LONGEST)));
        assert_eq!(filled.len(), LONGEST - 1);
    }
}
