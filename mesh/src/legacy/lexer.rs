//! The words of an expression in CEL: enough of its grammar to know where names stand.

#[derive(Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// White space or a comment.
    Gap,
    /// An identifier or a keyword.
    Name,
    /// A text or bytes, in quotes.
    Text,
    Number,
    /// Any other character.
    Mark,
}

/// The first token, and what is behind it. All tokens together are the expression.
pub(crate) fn next(rest: &str) -> Option<(Token<'_>, &str)> {
    let first = rest.chars().next()?;
    let (kind, length) = if let Some(length) = quoted(rest) {
        (Kind::Text, length)
    } else if first.is_whitespace() {
        (Kind::Gap, while_all(rest, char::is_whitespace))
    } else if rest.starts_with("//") {
        (Kind::Gap, while_all(rest, |character| character != '\n'))
    } else if first.is_ascii_digit() {
        (Kind::Number, while_all(rest, |character| is_of_name(character) || character == '.'))
    } else if is_of_name(first) {
        (Kind::Name, while_all(rest, is_of_name))
    } else {
        (Kind::Mark, first.len_utf8())
    };
    let (text, behind) = rest.split_at_checked(length)?;
    Some((Token { kind, text }, behind))
}

/// All tokens, one after the other.
pub(crate) fn tokens(expression: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = expression;
    std::iter::from_fn(move || {
        let (token, behind) = next(rest)?;
        rest = behind;
        Some(token)
    })
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// How many bytes the characters at the beginning have that are so.
fn while_all(text: &str, is_so: impl Fn(char) -> bool) -> usize {
    text.find(|character| !is_so(character)).unwrap_or(text.len())
}

/// The length of the literal that the text begins with. One that does not end goes on to the end of the text.
fn quoted(text: &str) -> Option<usize> {
    let inside = text.trim_start_matches(['r', 'R', 'b', 'B']);
    let prefix = text.strip_suffix(inside)?;
    let quotes = ["\"\"\"", "'''", "\"", "'", "`"].into_iter().find(|quotes| inside.starts_with(quotes))?;
    if prefix.len() > 2 {
        return None;
    }
    let is_raw = prefix.contains(['r', 'R']);
    let mut rest = inside.strip_prefix(quotes)?;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix(quotes) {
            return text.len().checked_sub(behind.len());
        }
        let mut characters = rest.chars();
        if characters.next() == Some('\\') && !is_raw {
            characters.next();
        }
        rest = characters.as_str();
    }
    Some(text.len())
}
