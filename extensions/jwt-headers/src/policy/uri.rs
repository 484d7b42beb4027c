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
            let found = Self::shown(text);
            return Err(format!("expected a URL such as https://issuer.example/keys, found {found:?}"));
        };
        let path = path.split('#').next().unwrap_or_default();
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Self { authority: authority.to_owned(), path: format!("{slash}{path}") })
    }

    /// What may stand in a log line: without query and user, where secrets are.
    pub fn shown(text: &str) -> String {
        let text = text.split(['?', '#']).next().unwrap_or_default();
        match text.rsplit_once('@') {
            Some((before, rest)) => {
                let scheme = before.find("://").and_then(|end| before.get(..end));
                format!("{}...@{rest}", scheme.map(|scheme| format!("{scheme}://")).unwrap_or_default())
            }
            None => text.to_owned(),
        }
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

    #[test]
    fn secrets_are_not_shown() {
        let all = [
            ("https://a.b:1/c?apikey=s3cret", "https://a.b:1/c"),
            ("https://user:s3cret@a/k?x", "https://...@a/k"),
            ("//user:s3c@ret@a", "...@a"),
            ("https://a/s#s3cret", "https://a/s"),
        ];
        for (text, shown) in all {
            assert_eq!(Uri::shown(text), shown);
            assert!(!read_error(text).contains("s3c"), "{text}");
        }
    }

    fn read_error(text: &str) -> String {
        Uri::read(text).err().unwrap_or_default()
    }
}
