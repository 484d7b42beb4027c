//! The query of a path: edited without touching what else is there. Servers disagree on the name of a parameter; what one of
//! them takes for a name has that name here.

use proxy_wasm_kit_paths::unescaped;
use std::borrow::Cow;

/// Path, and query without `?`; a fragment belongs to neither.
pub(super) fn split(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let Some((start, rest)) = end.and_then(|end| path.split_at_checked(end)) else { return (path, None) };
    let query =
        rest.strip_prefix(b"?").map(|rest| rest.split(|byte| *byte == b'#').next().unwrap_or_default());
    (start, query)
}

/// Names and values, as they were sent.
pub(super) fn parameters(path: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    pairs(path).map(halves)
}

/// The pairs of a query. There are servers that part them at `;`, too.
fn pairs(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let query = split(path).1.into_iter();
    query.flat_map(|query| query.split(is_separator)).filter(|pair| !pair.is_empty())
}

fn is_separator(byte: &u8) -> bool {
    matches!(byte, b'&' | b';')
}

fn halves(pair: &[u8]) -> (&[u8], &[u8]) {
    let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
    let (name, value) = pair.split_at_checked(at).unwrap_or_default();
    (name, value.get(1..).unwrap_or_default())
}

/// The path without the parameters that some server takes for one of these names.
pub(super) fn without(path: &[u8], names: &[&[u8]]) -> Option<Vec<u8>> {
    without_any(path, |found| names.iter().any(|name| is_alike(found, name, PARTS)))
}

/// The path without the parameters whose names, without their escapes, are chosen.
pub(super) fn without_any(path: &[u8], is_chosen: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let is_named = |pair: &[u8]| is_chosen(&plain(halves(pair).0));
    if !pairs(path).any(is_named) {
        return None;
    }
    let (start, query) = split(path);
    let mut kept = Vec::new();
    // Each with what parts it from the one before.
    for pair in query.unwrap_or_default().split_inclusive(is_separator) {
        let bare = pair.strip_suffix(b"&").or_else(|| pair.strip_suffix(b";")).unwrap_or(pair);
        if !bare.is_empty() && !is_named(bare) {
            kept.extend(pair);
        }
    }
    if kept.last().is_some_and(is_separator) {
        kept.pop();
    }
    Some(if kept.is_empty() { start.to_vec() } else { [start, b"?", &kept].concat() })
}

/// Behind a name these begin that of a part of it: `user[0]`, `user[]`, `user.id`.
pub(super) const PARTS: &[u8] = b"[.";

/// Whether some server takes one name, without its escapes, for another. Without case: ASP.NET, `$arg_NAME` of nginx. `.`, space
/// and `[` for `_`, nothing behind a NUL, no spaces in front: PHP. Without what binds a name to a field: `[user]` in Express, `!user`
/// in Spring.
pub(super) fn is_alike(sent: &[u8], name: &[u8], parts: &[u8]) -> bool {
    let name = plain(name);
    let end =
        name.iter().rposition(|byte| !matches!(byte, b'[' | b']')).map_or(0, |last| last.saturating_add(1));
    let (mut sent, name) = (letters(sent), letters(name.get(..end).unwrap_or_default()));
    let is_start = name.map(folded).all(|byte| sent.next().map(folded) == Some(byte));
    is_start
        && match sent.next() {
            None | Some(0) => true,
            Some(byte) => parts.contains(&byte) || is_space(byte) && sent.all(is_space),
        }
}

/// What of a name counts.
fn letters(name: &[u8]) -> impl Iterator<Item = u8> {
    let in_front = |byte: &u8| is_space(*byte) || matches!(byte, b'[' | b']' | b'!');
    name.iter().copied().skip_while(in_front).filter(|byte| *byte != b']')
}

fn folded(byte: u8) -> u8 {
    match byte {
        b'.' | b'[' | b'+' | b' ' => b'_',
        other => other.to_ascii_lowercase(),
    }
}

fn is_space(byte: u8) -> bool {
    byte <= b' ' || byte == b'+'
}

/// A name with its escapes undone until there are none, also the `%uXXXX` of ASP.NET.
pub(super) fn plain(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.contains(&b'%') {
        return name.into();
    }
    let mut out = Vec::with_capacity(name.len());
    for byte in name {
        out.push(*byte);
        while let Some((byte, length)) = escape_at_end(&out) {
            out.truncate(out.len().saturating_sub(length));
            out.push(byte);
        }
    }
    out.into()
}

/// What the escape at the end of a text means, and how long it is.
fn escape_at_end(text: &[u8]) -> Option<(u8, usize)> {
    let (high, low, length) = match text {
        [.., b'%', b'u' | b'U', b'0', b'0', high, low] => (high, low, 6),
        [.., b'%', high, low] => (high, low, 3),
        _ => return None,
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let byte = digit(high)? << 4 | digit(low)?;
    Some((u8::try_from(byte).ok()?, length))
}

/// A value as most servers read it: in a query, `+` is a space.
pub(super) fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'+') {
        return unescaped(text);
    }
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    unescaped(&spaced).into_owned().into()
}

/// A text as a segment of a path or a part of a query: all but what never has a meaning there is escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    //! Which names are the same to some server.

    use super::*;

    fn are_alike(sent: &str, name: &str) -> bool {
        is_alike(&plain(sent.as_bytes()), name.as_bytes(), PARTS)
    }

    #[test]
    fn names_that_some_server_takes_for_another() {
        for sent in [
            "user",
            "User",
            "USER",
            "%75ser",
            "%2575ser",
            "%25%37%35ser",
            "%u0075ser",
            "%U0075ser",
            "+user",
            "%20user",
            "%2buser",
            "%09user",
            "%00user",
            "user%00",
            "user%00x",
            "user+",
            "user%20%20",
            "user[]",
            "user%5b%5d",
            "user[a]",
            "user[",
            "user[a][b]",
            "user.a",
            "user.",
            "[user]",
            "[user",
            "]user",
            "!user",
            "us]er",
            "user]",
        ] {
            assert!(are_alike(sent, "user"), "{sent}");
        }
        for sent in
            ["user_id", "user.id", "user+id", "user%20id", "user[id]", "user[id", "User_ID", "user_id[0]"]
        {
            assert!(
                are_alike(sent, "user_id") && are_alike(sent, "user.id") && are_alike(sent, "user[id]"),
                "{sent}"
            );
        }
        assert!(are_alike("user", "user[]") && are_alike("a%2Bb", "a+b") && are_alike("a%2525b", "a%b"));
    }

    #[test]
    fn names_that_no_server_takes_for_another() {
        for sent in [
            "", "use", "users", "xuser", "user_", "user_id", "user-id", "user+id", "x.user", "x[user]",
            "_user", "us%er",
        ] {
            assert!(!are_alike(sent, "user"), "{sent}");
        }
        assert!(
            !are_alike("user", "user_id")
                && !are_alike("user-id", "user_id")
                && !are_alike("userid", "user_id")
        );
    }

    #[test]
    fn an_escape_of_an_escape_takes_no_longer() {
        let long = format!("%{}41", "25".repeat(30_000));
        assert_eq!(*plain(long.as_bytes()), *b"A");
    }
}
