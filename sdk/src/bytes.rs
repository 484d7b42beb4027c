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

/// Whether all bytes are ASCII and none is below `least`; eight at a time, since nearly all texts are.
pub(crate) fn is_plain(text: &[u8], least: u8) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let least = EACH.wrapping_mul(least.into());
    // A byte below the least one borrows, which sets its highest bit.
    let is_odd = |word: u64| (word.wrapping_sub(least) | word) & EACH.wrapping_mul(128) != 0;
    if let Some(last) = text.last_chunk() {
        let (words, _) = text.as_chunks();
        return !words.iter().any(|word| is_odd(u64::from_le_bytes(*word)))
            && !is_odd(u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return !is_odd(u64::from(first) << 32 | u64::from(last));
    }
    match *text {
        [a, b, c] => !is_odd(u64::from_le_bytes([a, b, c, c, c, c, c, c])),
        [a, b] => !is_odd(u64::from_le_bytes([a, b, b, b, b, b, b, b])),
        [a] => !is_odd(u64::from_le_bytes([a; 8])),
        _ => true,
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Whether two texts of one length are the same; eight bytes at a time.
pub(crate) fn is_equal(one: &[u8], other: &[u8]) -> bool {
    if let (Some(one_end), Some(other_end)) = (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        return one_end == other_end && one.as_chunks::<8>().0 == other.as_chunks::<8>().0;
    }
    if let (Some(one_end), Some(other_end)) = (one.last_chunk::<4>(), other.last_chunk::<4>()) {
        return one_end == other_end && one.first_chunk::<4>() == other.first_chunk::<4>();
    }
    one == other
}

#[cfg(test)]
mod tests {
    //! Texts of every length, with one byte of every value in every place.

    use super::*;

    #[test]
    fn what_is_not_plain_is_found_wherever_it_stands() {
        for length in 1..20 {
            for at in 0..length {
                for byte in 0..=255 {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    for least in [14, 33] {
                        assert_eq!(is_plain(&text, least), (least..128).contains(&byte), "{text:?}");
                    }
                }
            }
        }
        assert!(is_plain(b"", 14));
    }
}
