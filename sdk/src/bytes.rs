//! Owned bytes that came from the host: text only when asked for as text.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

/// Bytes that the host handed over: a header value, a body, an attribute.
///
/// What a network sends is bytes and not always UTF-8, so a `Bytes` is a `[u8]` that gives text on demand. Its `Debug` form
/// is escaped ASCII, safe for a log line.
///
/// ```
/// use proxy_wasm_kit::Bytes;
///
/// let value = Bytes::from(b"caf\xc3\xa9".to_vec());
/// assert_eq!(value.as_str(), Some("café"));
/// assert_eq!(value, "café");
///
/// let hostile = Bytes::from(b"\xff".to_vec());
/// assert_eq!(hostile.as_str(), None);
/// assert_eq!(format!("{hostile:?}"), r#"b"\xff""#);
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(Box<[u8]>);

impl Bytes {
    /// The bytes as text, or `None` when they are not UTF-8.
    ///
    /// ```
    /// # use proxy_wasm_kit::Bytes;
    /// assert_eq!(Bytes::from(b"ok".to_vec()).as_str(), Some("ok"));
    /// ```
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The bytes as a `Vec`, without a copy.
    ///
    /// ```
    /// # use proxy_wasm_kit::Bytes;
    /// assert_eq!(Bytes::from(vec![1, 2]).into_vec(), [1, 2]);
    /// ```
    pub fn into_vec(self) -> Vec<u8> {
        self.0.into_vec()
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// So that maps are asked by slices, and lists of `Bytes` can be joined.
impl Borrow<[u8]> for Bytes {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<Box<[u8]>> for Bytes {
    fn from(bytes: Box<[u8]>) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into_boxed_slice())
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        bytes.into_vec()
    }
}

impl PartialEq<str> for Bytes {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for Bytes {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl PartialEq<[u8]> for Bytes {
    fn eq(&self, other: &[u8]) -> bool {
        *self.0 == *other
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}
