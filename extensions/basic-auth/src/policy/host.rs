//! Hosts: a request's `:authority` and a rule's host patterns, in the one form in which they are compared.

use proxy_wasm_kit_paths::unescaped;
use std::net::Ipv6Addr;

/// What a rule says about the host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum HostPattern {
    Any,
    Exact(Vec<u8>),
    Prefix(Vec<u8>),
    Suffix(Vec<u8>),
}

/// A request's host: without user, port and the root's dot, in lower case, an IPv6 address in its canonical form.
///
/// The port begins at the first colon. The original cut at the last, so that `example.com:80:80` was another host.
pub(super) fn normalise(authority: &[u8]) -> Vec<u8> {
    let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
    if host.starts_with(b"[") {
        let address = host.split_inclusive(|byte| *byte == b']').next().unwrap_or_default();
        return canonical_address(address).unwrap_or_else(|| address.to_ascii_lowercase());
    }
    let name = host.split(|byte| *byte == b':').next().unwrap_or_default();
    // A registered name may be percent-encoded (RFC 3986, section 3.2.2).
    let mut name = unescaped(name).to_ascii_lowercase();
    while name.last() == Some(&b'.') {
        name.pop();
    }
    name
}

/// Reads a rule's pattern as the original did: a star in front means a suffix, else a star at the end a prefix.
pub(super) fn pattern(text: &str) -> HostPattern {
    if let Some(rest) = text.strip_prefix('*') {
        return match normalise(rest.as_bytes()) {
            rest if rest.is_empty() => HostPattern::Any,
            rest => HostPattern::Suffix(rest),
        };
    }
    match text.strip_suffix('*') {
        // `example.com:*` speaks of every port, and ports are not compared.
        Some(rest) if rest.contains(':') && !rest.starts_with('[') => {
            HostPattern::Exact(normalise(rest.as_bytes()))
        }
        Some(rest) => HostPattern::Prefix(rest.as_bytes().to_ascii_lowercase()),
        None => HostPattern::Exact(normalise(text.as_bytes())),
    }
}

/// Why the pattern does not mean what it seems to, if so.
pub(super) fn doubt(text: &str) -> Option<&'static str> {
    let inner = text.strip_prefix('*').or_else(|| text.strip_suffix('*')).unwrap_or(text);
    if inner.contains('*') {
        Some("never matches: only a star at the beginning, or else one at the end, stands for anything")
    } else if !text.contains('[') && text.contains(':') {
        Some("holds a port, which is not compared: every port of the host is covered")
    } else {
        None
    }
}

fn canonical_address(bracketed: &[u8]) -> Option<Vec<u8>> {
    let inner = bracketed.strip_prefix(b"[")?.strip_suffix(b"]")?;
    let address: Ipv6Addr = std::str::from_utf8(inner).ok()?.parse().ok()?;
    Some(format!("[{address}]").into_bytes())
}

#[cfg(test)]
mod tests {
    //! Spellings of hosts.

    use super::*;

    #[test]
    fn spellings_of_one_host() {
        for authority in [
            "example.com",
            "EXAMPLE.com",
            "example.com.",
            "example.com.:443",
            "example.com:80",
            "example.com:",
            "example.com:80:80",
            "user:pass@example.com:80",
            "ex%61mple.com",
        ] {
            assert_eq!(
                normalise(authority.as_bytes()).escape_ascii().to_string(),
                "example.com",
                "{authority}"
            );
        }
        for authority in ["[::1]", "[::1]:8080", "[0:0:0:0:0:0:0:1]", "[0000::0001]:1", "[::0.0.0.1]"] {
            assert_eq!(normalise(authority.as_bytes()), b"[::1]", "{authority}");
        }
        assert_eq!(normalise(b"[FE80::1%25eth0]:1"), b"[fe80::1%25eth0]");
        assert_eq!(normalise(b""), b"");
        assert_eq!(normalise(b"["), b"[");
    }

    #[test]
    fn patterns() {
        use HostPattern::{Any, Exact, Prefix, Suffix};
        let cases = [
            ("*", Any),
            ("*.Example.com", Suffix(b".example.com".into())),
            ("*.example.com.", Suffix(b".example.com".into())),
            ("*:8080", Any),
            ("Example.*", Prefix(b"example.".into())),
            ("example.com:*", Exact(b"example.com".into())),
            ("Example.com.:80", Exact(b"example.com".into())),
            ("[::0001]:80", Exact(b"[::1]".into())),
            ("[2001:DB8:*", Prefix(b"[2001:db8:".into())),
        ];
        for (text, expected) in cases {
            assert_eq!(pattern(text), expected, "{text}");
        }
        assert!(doubt("a*b").is_some() && doubt("**").is_some() && doubt("a:80").is_some());
        assert!(doubt("*").is_none() && doubt("a.*").is_none() && doubt("[::1]").is_none());
    }
}
