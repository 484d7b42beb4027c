//! What has to be there so that an expression in CEL has a value: asked before, nothing fails where it is absent.
//!
//! CEL has nothing that catches an error, and one expression of a list that fails takes the list with it. What fails in
//! practice is a header, an attribute or a filter state that a request does not have, and that can be told from the text.

use crate::legacy::lexer::{Kind, Token, tokens};

/// Maps of Envoy, whose fields `has` tells exactly. Of a message it would take a field of no length for an absent one.
const OF_ENVOY: [&str; 7] = ["connection", "destination", "request", "response", "source", "upstream", "xds"];

/// Where these stand, an expression may have a value although a part of it has none.
const NOT_ALL: [&str; 7] = ["all", "exists", "exists_one", "filter", "has", "map", "type"];

/// A condition under which an expression may have a value. Where it does not hold, the expression fails. `None`: nothing
/// can be told.
///
/// ```
/// use proxy_wasm_kit_mesh::presence::condition;
///
/// let told = condition("int(request.headers['x-size']) + 1").unwrap();
/// assert_eq!(told, "has(request.headers) && 'x-size' in request.headers");
/// assert_eq!(condition("has(request.path) ? request.path : 'none'"), None);
/// ```
pub fn condition(expression: &str) -> Option<String> {
    let tokens: Vec<_> = tokens(expression).filter(|token| token.kind != Kind::Gap).collect();
    if tokens.iter().any(is_not_strict) {
        return None;
    }
    let (mut conditions, mut rest, mut before) = (Vec::new(), tokens.as_slice(), None);
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        // What stands behind `in` is a list and no key.
        if first.kind == Kind::Name && first.text != "in" && before != Some(".") {
            rest = follow(first.text, behind, &mut conditions);
        }
        before = Some(first.text);
    }
    (!conditions.is_empty()).then(|| conditions.join(" && "))
}

/// Whether an expression is nothing but the value of a header, which is text already.
///
/// ```
/// use proxy_wasm_kit_mesh::presence::is_header;
///
/// assert!(is_header("request.headers[\"x-team\"]"));
/// assert!(!is_header("request.headers['x-team'] + 'a'"));
/// ```
pub fn is_header(expression: &str) -> bool {
    let words: Vec<_> = tokens(expression).filter(|token| token.kind != Kind::Gap).collect();
    let [of, dot, field, open, key, close] = words.as_slice() else { return false };
    let is_map = matches!(
        (of.text, dot.text, field.text),
        ("request", ".", "headers") | ("response", ".", "headers" | "trailers")
    );
    is_map && open.text == "[" && key.kind == Kind::Text && close.text == "]"
}

fn is_not_strict(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Mark => matches!(token.text, "?" | "&" | "|" | "{"),
        Kind::Name => NOT_ALL.contains(&token.text),
        Kind::Text => token.text.starts_with('`'),
        _ => false,
    }
}

/// Follows a name through its fields and keys; what is left behind them.
fn follow<'a, 't>(name: &str, mut rest: &'t [Token<'a>], conditions: &mut Vec<String>) -> &'t [Token<'a>] {
    let (mut path, mut depth) = (name.to_owned(), 0_usize);
    loop {
        let condition = match rest {
            [dot, field, behind @ ..] if dot.text == "." && field.kind == Kind::Name => {
                if behind.first().is_some_and(|next| next.text == "(") {
                    return rest;
                }
                rest = behind;
                path = format!("{path}.{}", field.text);
                (depth == 0 && OF_ENVOY.contains(&name)).then(|| format!("has({path})"))
            }
            [open, key, close, behind @ ..]
                if open.text == "[" && key.kind == Kind::Text && close.text == "]" =>
            {
                rest = behind;
                let is_there = format!("{} in {path}", key.text);
                path = format!("{path}[{}]", key.text);
                Some(is_there)
            }
            _ => return rest,
        };
        depth = depth.saturating_add(1);
        conditions.extend(condition.filter(|condition| !conditions.contains(condition)));
    }
}

#[cfg(test)]
mod tests {
    //! Which expressions tell what they need.

    use super::*;

    #[test]
    fn what_is_read_has_to_be_there() {
        for (expression, told) in [
            ("request.path", "has(request.path)"),
            ("request . path // of the request", "has(request.path)"),
            ("request.path.startsWith('/a')", "has(request.path)"),
            ("filter_state['wasm.a']", "'wasm.a' in filter_state"),
            ("filter_state['wasm.a'].b", "'wasm.a' in filter_state"),
            ("xds.node.metadata['A']", "has(xds.node) && 'A' in xds.node.metadata"),
            ("xds.node.metadata.A", "has(xds.node)"),
            ("request.headers[r'a'] == \"b?c\"", "has(request.headers) && r'a' in request.headers"),
            ("request.host + request.host", "has(request.host)"),
            ("'a' in request.headers", "has(request.headers)"),
            ("request.method in ['GET']", "has(request.method)"),
            ("request.method in['GET', 'PUT']", "has(request.method)"),
            (
                "request.method in [request.headers['a']]",
                "has(request.method) && has(request.headers) && 'a' in request.headers",
            ),
            ("[request.path][source.port - source.port]", "has(request.path) && has(source.port)"),
            ("request.headers[request.path]", "has(request.headers) && has(request.path)"),
        ] {
            assert_eq!(condition(expression).as_deref(), Some(told), "{expression}");
        }
    }

    #[test]
    fn what_may_have_a_value_all_the_same_tells_nothing() {
        for expression in [
            "",
            "1 + 2",
            "'a' in ['a']",
            "'request.path'",
            "upstream_peer.labels",
            "a.request.path",
            "request",
            "request.path == '/' ? 'a' : 'b'",
            "request.path == '/' || true",
            "request.path == '/' && false",
            "has(request.path)",
            "['a'].exists(request, request.path == '/')",
            "Type{request: request.path}",
            "request.`path`",
            "request.path(",
        ] {
            assert_eq!(condition(expression), None, "{expression}");
        }
    }

    #[test]
    fn a_header_is_nothing_else() {
        for header in ["request.headers['a']", " response.trailers [\"a\"] ", "response.headers['a'] // b"] {
            assert!(is_header(header), "{header}");
        }
        for other in
            ["request.trailers['a']", "request.headers[a]", "request.headers", "request.headers['a'] == 'b'"]
        {
            assert!(!is_header(other), "{other}");
        }
    }
}
