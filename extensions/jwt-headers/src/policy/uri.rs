//! A URL, as far as a request to a cluster needs it.

/// What is asked of whom.
#[derive(Debug, PartialEq, Eq)]
pub struct Uri {
    /// Host and port.
    pub authority: String,
    /// The path with its query.
    pub path: String,
}

impl Uri {
    /// Reads `http://` or `https://`, host, port, path and query.
    ///
    /// # Errors
    ///
    /// It is not such a URL.
    pub fn read(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let end = |rest: &str| rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let parts = rest.and_then(|rest| rest.split_at_checked(end(rest)));
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        let Some((authority, path)) =
            parts.filter(|(host, _)| is_plain && !host.is_empty() && !host.contains('@'))
        else {
            return Err(format!("expected a URL such as https://issuer.example/keys, found {text:?}"));
        };
        let path = path.split('#').next().unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { authority: authority.to_owned(), path: format!("{slash}{path}") })
    }
}

#[cfg(test)]
mod tests {
    //! What is a URL.

    use super::*;

    #[test]
    fn urls() {
        let read = |text| Uri::read(text).map(|uri| (uri.authority, uri.path));
        let expect = |host: &str, path: &str| Ok((host.to_owned(), path.to_owned()));
        assert_eq!(read("https://a.b:8443/c/d?e=f#g"), expect("a.b:8443", "/c/d?e=f"));
        assert_eq!(read("http://a"), expect("a", "/"));
        assert_eq!(read("http://[::1]:80?x"), expect("[::1]:80", "/?x"));
        for text in [
            "",
            "a.b/c",
            "ftp://a",
            "https://",
            "https:///a",
            "https://user@a",
            "https://a b",
            "https://a/\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
