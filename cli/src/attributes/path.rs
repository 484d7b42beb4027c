//! Paths with parameters: what is one, and which of two that overlap is the more specific.

use std::cmp::Reverse;

use proxy_wasm_kit_paths::unescaped;

/// How specific a segment is; the smaller, the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Text,
    /// Text and parameters, by how much text that is.
    Mixed(Reverse<usize>),
    Parameter,
}

/// Whether attribute_gen can compare a path with that of a request, and else why not.
pub(super) fn check(path: &str) -> Result<(), String> {
    if !path.starts_with('/') {
        return Err("expected a path that begins with /".to_owned());
    }
    if let Some(odd) = path.chars().find(|character| ['?', '#'].contains(character)) {
        return Err(format!(
            "a path with `{odd}` is never that of a request; take it and what is behind it out"
        ));
    }
    let mut names = Vec::new();
    for segment in path.split('/') {
        names.extend(parameters(segment)?);
    }
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => Err(format!("the parameter `{}` is there twice; rename one", twice[0])),
        None => Ok(()),
    }
}

/// The names of the parameters in a segment.
fn parameters(segment: &str) -> Result<Vec<&str>, String> {
    let (mut names, mut rest) = (Vec::new(), segment);
    while let Some((before, behind)) = rest.split_once('{') {
        let closed = behind.split_once('}').filter(|(name, _)| !name.is_empty() && !name.contains('{'));
        let Some((name, behind)) = closed else {
            return Err(format!(
                "expected a name and a }} behind the {{ in `{segment}`; a parameter is within one segment"
            ));
        };
        if before.is_empty() && !names.is_empty() {
            return Err(format!(
                "nothing tells where the parameter before `{{{name}}}` ends; put a text between them"
            ));
        }
        if before.contains('}') {
            break;
        }
        names.push(name);
        rest = behind;
    }
    if rest.contains('}') { Err(format!("expected a {{ before the }} in `{segment}`")) } else { Ok(names) }
}

/// How specific a path is, from its beginning on. It is one that was checked.
pub(super) fn ranks(path: &str) -> Vec<Rank> {
    path.split('/').map(rank).collect()
}

fn rank(segment: &str) -> Rank {
    let texts = texts(segment);
    match (texts.len(), texts.iter().map(Vec::len).sum()) {
        (1, _) => Rank::Text,
        (_, 0) => Rank::Parameter,
        (_, text) => Rank::Mixed(Reverse(text)),
    }
}

/// What tells the requests of one path from those of another: of each segment the texts around its parameters, without
/// percent-encoding, as attribute_gen compares them.
pub(super) type Shape = Vec<Vec<Vec<u8>>>;

/// Of two operations with the same one, only the first is ever found.
pub(super) fn shape(path: &str) -> Shape {
    path.split('/').map(texts).collect()
}

/// The texts before, between and behind the parameters of a segment.
fn texts(segment: &str) -> Vec<Vec<u8>> {
    let text = |piece: &str| {
        let text = piece.split_once('}').map_or(piece, |(_, behind)| behind);
        unescaped(text.as_bytes()).into_owned()
    };
    segment.split('{').map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_before_parameters() {
        let mut paths = ["/{a}/b", "/a/{b}", "/a/x{b}", "/a/b", "/a/xy{b}", "/{a}/{b}", "/a/{b}z{c}y"];
        paths.sort_by_key(|path| ranks(path));
        assert_eq!(paths, ["/a/b", "/a/xy{b}", "/a/{b}z{c}y", "/a/x{b}", "/a/{b}", "/{a}/b", "/{a}/{b}"]);
        assert_eq!(ranks("/a%20{b}"), ranks("/xy{b}"));
    }

    #[test]
    fn names_of_parameters_do_not_tell_paths_apart() {
        for (one, other) in [
            ("/a/{b}/c{d}e", "/a/{x}/c{y}e"),
            ("/caf%C3%A9/{id}", "/caf\u{e9}/{x}"),
            ("/%61%2fb{c}%7D", "/a%2Fb{x}%7d"),
            ("/%zz", "/%25zz"),
        ] {
            assert_eq!(shape(one), shape(other), "{one}");
        }
        for (one, other) in
            [("/{a}", "/%7Ba%7D"), ("/a%2Fb", "/a/b"), ("/{a}b", "/b{a}"), ("/a", "/A"), ("/a", "/a/")]
        {
            assert_ne!(shape(one), shape(other), "{one}");
        }
    }

    #[test]
    fn what_no_request_has_is_refused() {
        for (path, reason) in [
            ("a", "begins with /"),
            ("/a?b={c}", "with `?`"),
            ("/{a", "expected a name and a }"),
            ("/{}", "expected a name and a }"),
            ("/{{a}}", "expected a name and a }"),
            ("/a}", "expected a { before"),
            ("/a}{b}", "expected a { before"),
            ("/{a}{b}", "ends; put a text"),
            ("/{a}/{a}", "`a` is there twice"),
        ] {
            let found = check(path).unwrap_err();
            assert!(found.contains(reason), "{path}: {found}");
        }
        assert_eq!(check("/{a}-{b}/c.{d}"), Ok(()));
    }
}
