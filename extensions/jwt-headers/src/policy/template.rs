//! Texts with claims in them: `{sub}@{tenant.name}`. A brace itself is written twice.

use super::claims::{ClaimPath, Claims, header_value, is_whole, scalar};
use super::query;
use proxy_wasm_kit_paths::{readings, unescaped};
use serde_json::Value;

/// A text with holes.
#[derive(Debug)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(String),
    Claim(ClaimPath),
}

/// What claims are put into.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target<'t> {
    /// A header; lists are joined with this, or base64 of their JSON.
    Header(Option<&'t str>),
    /// A segment of a path, where all that has a meaning is escaped.
    Path,
    /// A query, likewise.
    Query,
    /// A host, where only what a name has can stand.
    Host,
}

/// Why there is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoText {
    /// A claim is not there, or empty.
    Missing,
    /// A claim cannot stand here.
    Unusable,
}

impl Template {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let (mut pieces, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at_checked(at).unwrap_or_default();
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                plain.extend(from.chars().next());
                rest = after;
                continue;
            }
            let claim = from.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let (name, after) =
                claim.ok_or("expected a claim in braces, as `{sub}`; a brace itself is written twice")?;
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
            pieces.push(Piece::Claim(ClaimPath::read(name)?));
            rest = after;
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Self(pieces))
    }

    pub(super) fn fill(&self, claims: &Claims, into: Target<'_>) -> Result<String, NoText> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Claim(path) => {
                    let claim = match into {
                        Target::Header(Some(_)) => claims.listed(path),
                        _ => claims.at(path),
                    };
                    out.push_str(&into.text(claim.ok_or(NoText::Missing)?)?);
                }
            }
        }
        Ok(out)
    }

    /// Whether what stands between the claims can stand there.
    pub(super) fn has_only(&self, allowed: impl Fn(u8) -> bool) -> bool {
        self.0.iter().all(|piece| match piece {
            Piece::Text(text) => text.bytes().all(&allowed),
            Piece::Claim(_) => true,
        })
    }

    /// What it is filled with.
    pub(super) fn claims(&self) -> impl Iterator<Item = &ClaimPath> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Claim(path) => Some(path),
        })
    }

    /// What stands before the first claim.
    pub(super) fn start(&self) -> &str {
        match self.0.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }
}

impl Target<'_> {
    fn text(self, claim: &Value) -> Result<String, NoText> {
        match self {
            Self::Header(separator) => {
                header_text(claim, separator).filter(|text| !text.is_empty()).ok_or(NoText::Missing)
            }
            Self::Path => {
                let text = scalar(claim).filter(|text| !text.is_empty()).ok_or(NoText::Missing)?;
                if is_one_segment(&text) { Ok(query::escaped(&text)) } else { Err(NoText::Unusable) }
            }
            Self::Query => {
                let text = scalar(claim).filter(|text| !text.is_empty()).ok_or(NoText::Missing)?;
                if leads_elsewhere(&text) { Err(NoText::Unusable) } else { Ok(query::escaped(&text)) }
            }
            Self::Host => {
                let text = scalar(claim).filter(|text| !text.is_empty()).ok_or(NoText::Missing)?;
                let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
                let ends = |text: &str| text.starts_with('.') || text.ends_with('.') || text.contains("..");
                let usable = text.len() <= 253 && text.bytes().all(is_name) && !ends(&text);
                if usable { Ok(text.to_ascii_lowercase()) } else { Err(NoText::Unusable) }
            }
        }
    }
}

/// Whether each reading of a path with this text as a segment has it as that segment: else it would be another's, or none. With a
/// `%`, what stands beside it could make an escape of it.
fn is_one_segment(text: &str) -> bool {
    if text.contains('%') || text.bytes().any(|byte| byte.is_ascii_control()) {
        return false;
    }
    let path = format!("/x/{}", query::escaped(text));
    // Trimming takes a byte off a letter that ends like a space; what is left is no text, and so nobody's claim.
    let is_it = |segment: &[u8]| {
        !segment.contains(&b'/')
            && (*unescaped(segment) == *text.as_bytes() || std::str::from_utf8(segment).is_err())
    };
    let all = readings(path.as_bytes()).unwrap_or_default();
    !all.is_empty() && all.iter().all(|reading| reading.strip_prefix(b"/x/").is_some_and(is_it))
}

/// Whether a server that takes a query for a part of the path finds another path in it.
fn leads_elsewhere(text: &str) -> bool {
    let once = unescaped(text.as_bytes());
    let twice = unescaped(&once);
    [text.as_bytes(), &once, &twice].into_iter().any(|text| {
        let bare = |part: &[u8]| matches!(part.split(|byte| *byte == b';').next(), Some(b"." | b".."));
        text.iter().any(u8::is_ascii_control) || text.split(|byte| matches!(byte, b'/' | b'\\')).any(bare)
    })
}

/// Of a list none of whose elements could be taken for two, or none. Where lists are joined, one element is a list, too.
fn header_text(claim: &Value, separator: Option<&str>) -> Option<String> {
    let Some(separator) = separator else { return header_value(claim) };
    let (elements, text): (_, fn(&Value) -> Option<String>) = match claim {
        Value::Array(list) => (list.as_slice(), scalar),
        one => (std::slice::from_ref(one), header_value),
    };
    let elements: Option<Vec<String>> = elements.iter().map(text).collect();
    let plain = |one: &String| is_whole(one) && !one.contains(separator);
    elements.filter(|elements| elements.iter().all(plain)).map(|elements| elements.join(separator))
}

#[cfg(test)]
mod tests {
    //! What is filled in, and what is not.

    use super::*;
    use serde_json::json;

    fn fill(template: &str, claims: Value, into: Target<'_>) -> Result<String, NoText> {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        Template::read(template).unwrap().fill(&Claims::of(claims).unwrap(), into)
    }

    #[test]
    fn templates() {
        let claims =
            || json!({"sub": "ann", "a": {"b": 5}, "x.y": true, "roles": ["a", "b"], "bad": ["a,b", "c"]});
        let header = |template| fill(template, claims(), Target::Header(Some(",")));
        assert_eq!(header("{sub}@{a.b}").unwrap(), "ann@5");
        assert_eq!(header("{{{sub}}}").unwrap(), "{ann}");
        assert_eq!(header("{[x.y]}-{[a][b]}").unwrap(), "true-5");
        assert_eq!(header("{roles}").unwrap(), "a,b");
        assert_eq!(fill("{roles}", claims(), Target::Header(None)).unwrap(), "WyJhIiwiYiJd");
        assert_eq!(header("plain").unwrap(), "plain");
        for missing in ["{none}", "{a.c}", "{sub.x}", "{bad}"] {
            assert_eq!(header(missing), Err(NoText::Missing), "{missing}");
        }
        for claim in [json!(" a"), json!("a\t"), json!("a\u{a0}"), json!(" ")] {
            for into in [Target::Header(None), Target::Header(Some(","))] {
                assert_eq!(fill("x{c}", json!({ "c": claim }), into), Err(NoText::Missing), "{claim}");
            }
        }
        for claim in
            [json!("a,b"), json!(["a", "", "b"]), json!(["a", " b"]), json!([""]), json!([]), json!([["a"]])]
        {
            let joined = fill("{c}", json!({ "c": claim }), Target::Header(Some(",")));
            assert_eq!(joined, Err(NoText::Missing), "{claim}");
        }
        assert_eq!(fill("{c}", json!({"c": "a b"}), Target::Header(Some(","))).unwrap(), "a b");
        assert_eq!(fill("{c}", json!({"c": {"a": 1}}), Target::Header(Some(","))).unwrap(), "eyJhIjoxfQ==");
        for text in ["{", "}", "{sub", "{}", "{a..b}", "sub}"] {
            Template::read(text).unwrap_err();
        }
    }

    #[test]
    fn no_claim_leaves_its_place() {
        let path = |text: &str| fill("/t/{t}", json!({ "t": text }), Target::Path);
        assert_eq!(path("a b|c@d:é+").unwrap(), "/t/a%20b%7Cc%40d%3A%C3%A9%2B");
        for text in
            [" a", "..a", ".a", "a.", "...", "~", "voil\u{e0}", "\u{c5}", "\u{1f605}", "a&b=c", "\u{ff0f}"]
        {
            path(text).unwrap();
        }
        for text in [
            "..", "..?x", "..#x", ".. ", "..\u{a0}", "..\u{85}", "..;x", "..\\x", "../x", "..%3fx", "..%20",
            "..%253fx", "%2e%2e", "%252e.",
        ] {
            assert_eq!(path(text), Err(NoText::Unusable), "{text}");
        }
        for text in [
            ".", "a?x", "a#", "a ", "a\u{a0}", "a;x", "a\\b", "a/b", "/", "a%", "%41", "a\0", "a\nb", "%00",
            " ",
        ] {
            assert_eq!(path(text), Err(NoText::Unusable), "{text}");
        }
    }

    #[test]
    fn two_claims_make_no_escape() {
        let claims = json!({"a": "%", "b": "2e"});
        assert_eq!(fill("/t/{a}{b}{a}{b}", claims, Target::Path), Err(NoText::Unusable));
    }

    #[test]
    fn a_query_holds_more_and_no_way_up() {
        let query = |text: &str| fill("{t}", json!({ "t": text }), Target::Query);
        assert_eq!(query("https://a/b?c=100%&d#é").unwrap(), "https%3A%2F%2Fa%2Fb%3Fc%3D100%25%26d%23%C3%A9");
        for text in
            ["a/../b", "a%2f..%2fb", "..\\\\b", "..;x", "%252e%252e", "a\0", "a\nb", "%00", "a/.", ".", ".."]
        {
            assert_eq!(query(text), Err(NoText::Unusable), "{text}");
        }
    }

    #[test]
    fn a_host_is_a_name() {
        let host = |text: &str| fill("{t}.example", json!({ "t": text }), Target::Host);
        assert_eq!(host("Blue-1").unwrap(), "blue-1.example");
        for text in [".", "a.", ".a", "a/b", "a:80", "a b", "a@b", "a..b", "é", "a\r\n"] {
            assert_eq!(host(text), Err(NoText::Unusable), "{text}");
        }
    }

    #[test]
    fn no_claim_ends_a_header() {
        assert_eq!(fill("{t}", json!({"t": "a\r\nb"}), Target::Header(None)), Err(NoText::Missing));
    }
}
