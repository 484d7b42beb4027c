//! Header and trailer maps: read one value, take a snapshot of all, edit.

use crate::abi::pairs::{self, Wire};
use crate::abi::{self, Map};
use crate::bytes::{Bytes, is_equal, is_plain};
use crate::error::HostError;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

/// A header or trailer map that can be read, for as long as its callback runs.
///
/// Names are matched without regard to case. Each read crosses into the proxy, so take a [`snapshot`](Self::snapshot) when
/// three or more values are wanted. In Envoy a request's map holds the pseudo-headers `:method`, `:path`, `:authority` and
/// `:scheme`, a response's `:status`; a `Host` header of HTTP/1 is `:authority`.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// # fn hook(request: &mut RequestHeaders<'_>) -> Result<()> {
/// let agent = request.headers().first("user-agent")?;
/// let from_curl = agent.is_some_and(|value| value.starts_with(b"curl/"));
/// # Ok(()) }
/// ```
pub struct Headers<'a> {
    map: Map,
    phase: PhantomData<&'a mut ()>,
}

impl Headers<'_> {
    pub(crate) fn new(map: Map) -> Self {
        Self { map, phase: PhantomData }
    }

    /// The first value of `name`; `None` when there is no such header. One host call.
    ///
    /// A repeated header has more values than this one. Decide nothing about security on it: use
    /// [`Snapshot::only`] or [`Snapshot::all`].
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(request: &mut RequestHeaders<'_>) -> Result<()> {
    /// let language = request.headers().first("accept-language")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_header_map_value` failed.
    pub fn first(&self, name: impl AsRef<[u8]>) -> Result<Option<Bytes>, HostError> {
        abi::map_value(self.map, name.as_ref())
    }

    /// All headers, in order, repeated ones included. One host call and one allocation, however many there are.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(request: &mut RequestHeaders<'_>) -> Result<()> {
    /// let headers = request.headers().snapshot()?;
    /// let cookies = headers.all("cookie").count();
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_header_map_pairs` failed, or its answer is malformed. A map that is absent reads as empty.
    pub fn snapshot(&self) -> Result<Snapshot, HostError> {
        match abi::map_pairs(self.map) {
            Ok(wire) => Snapshot::new(wire, "proxy_get_header_map_pairs"),
            Err(error) if error.is_not_found() => Ok(Snapshot::empty()),
            Err(error) => Err(error),
        }
    }
}

/// A header or trailer map that can also be edited. Reads as [`Headers`] do.
///
/// Every edit is a host call. Editing request headers makes Envoy choose the route anew. CR, LF and NUL are refused in
/// names and values: they would let a value become a header of its own.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// # fn hook(response: &mut ResponseHeaders<'_>) -> Result<()> {
/// let headers = response.headers();
/// headers.set("server", "proxy")?;
/// headers.remove("x-powered-by")?;
/// # Ok(()) }
/// ```
pub struct HeadersMut<'a>(Headers<'a>);

impl<'a> Deref for HeadersMut<'a> {
    type Target = Headers<'a>;

    fn deref(&self) -> &Headers<'a> {
        &self.0
    }
}

impl HeadersMut<'_> {
    pub(crate) fn new(map: Map) -> Self {
        Self(Headers::new(map))
    }

    /// Appends a field; values already there stay.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(response: &mut ResponseHeaders<'_>) -> Result<()> {
    /// response.headers().add("set-cookie", "seen=1")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_add_header_map_value` failed, or the field holds CR, LF or NUL.
    pub fn add(&self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), HostError> {
        let (name, value) = (name.as_ref(), value.as_ref());
        refuse_unsafe("proxy_add_header_map_value", &[(name, value)])?;
        abi::add_map_value(self.0.map, name, value)
    }

    /// Replaces all values of `name` by one.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(request: &mut RequestHeaders<'_>) -> Result<()> {
    /// request.headers().set("x-tenant", "blue")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_replace_header_map_value` failed, or the field holds CR, LF or NUL.
    pub fn set(&self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), HostError> {
        let (name, value) = (name.as_ref(), value.as_ref());
        refuse_unsafe("proxy_replace_header_map_value", &[(name, value)])?;
        abi::replace_map_value(self.0.map, name, value)
    }

    /// Removes all values of `name`; it is no error when there are none.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(request: &mut RequestHeaders<'_>) -> Result<()> {
    /// request.headers().remove("x-debug")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_remove_header_map_value` failed.
    pub fn remove(&self, name: impl AsRef<[u8]>) -> Result<(), HostError> {
        abi::remove_map_value(self.0.map, name.as_ref())
    }

    /// Replaces the whole map in one host call: what is not in `pairs` is gone. Of a request's or response's headers the
    /// pseudo-headers have to be among them, or the message is broken.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(request: &mut RequestHeaders<'_>) -> Result<()> {
    /// let all = request.headers().snapshot()?;
    /// let kept: Vec<_> = all.iter().filter(|(name, _)| !name.starts_with(b"x-internal-")).collect();
    /// request.headers().replace_all(&kept)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_set_header_map_pairs` failed, or a field holds CR, LF or NUL.
    pub fn replace_all(&self, pairs: &[(&[u8], &[u8])]) -> Result<(), HostError> {
        const CALL: &str = "proxy_set_header_map_pairs";
        refuse_unsafe(CALL, pairs)?;
        let wire = pairs::encode(pairs).ok_or(HostError::malformed(CALL))?;
        abi::set_map_pairs(self.0.map, &wire)
    }
}

/// Whether the text can stand in a header without ending it.
pub(crate) fn is_safe(text: &[u8]) -> bool {
    is_plain(text, b'\r' + 1) || !text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

fn refuse_unsafe(call: &'static str, pairs: &[(&[u8], &[u8])]) -> Result<(), HostError> {
    let safe = pairs.iter().all(|(name, value)| is_safe(name) && is_safe(value));
    if safe { Ok(()) } else { Err(HostError::unsafe_header(call)) }
}

/// A copy of a whole header map, or of an attribute that is a map. Later edits do not show in it.
///
/// Lookups walk the copy and allocate nothing.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// # fn hook(request: &mut RequestHeaders<'_>) -> Result<()> {
/// let headers = request.headers().snapshot()?;
/// for (name, value) in headers.iter() {
///     log::debug!("{}: {}", name.escape_ascii(), value.escape_ascii());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Snapshot(Wire);

impl Snapshot {
    pub(crate) fn empty() -> Self {
        Self(Wire::default())
    }

    pub(crate) fn new(wire: Bytes, call: &'static str) -> Result<Self, HostError> {
        Wire::new(wire).map(Self).ok_or(HostError::malformed(call))
    }

    /// Names and values in order; names in lower case, as the proxy keeps them.
    ///
    /// ```
    /// # use proxy_wasm_kit::Snapshot;
    /// fn size(headers: &Snapshot) -> usize {
    ///     headers.iter().map(|(name, value)| name.len() + value.len()).sum()
    /// }
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter()
    }

    /// The number of fields; a repeated header counts each time.
    ///
    /// ```
    /// # use proxy_wasm_kit::Snapshot;
    /// fn too_many(headers: &Snapshot) -> bool {
    ///     headers.len() > 100
    /// }
    /// ```
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no field at all.
    ///
    /// ```
    /// # use proxy_wasm_kit::Snapshot;
    /// fn has_trailers(trailers: &Snapshot) -> bool {
    ///     !trailers.is_empty()
    /// }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The first value of `name`.
    ///
    /// ```
    /// # use proxy_wasm_kit::Snapshot;
    /// fn host(headers: &Snapshot) -> &[u8] {
    ///     headers.first(":authority").unwrap_or_default()
    /// }
    /// ```
    pub fn first(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = name.as_ref();
        self.iter().find(|(key, _)| is_same(key, name)).map(|(_, value)| value)
    }

    /// Every value of `name`, in order.
    ///
    /// ```
    /// # use proxy_wasm_kit::Snapshot;
    /// fn forwarded_for(headers: &Snapshot) -> Vec<&[u8]> {
    ///     headers.all("x-forwarded-for").collect()
    /// }
    /// ```
    pub fn all<'a>(&'a self, name: impl AsRef<[u8]> + 'a) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(key, _)| is_same(key, name.as_ref())).map(|(_, value)| value)
    }

    /// The value of a header that must not be repeated: what a decision about security reads.
    ///
    /// Of some sixty names that Envoy itself reads, `authorization` among them, it keeps one value only, and joins a
    /// repeated field with a comma before any plugin sees it (measured on 1.40). Refuse such a value, too, where a comma
    /// cannot be part of it.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn credential(headers: &Snapshot) -> Result<Option<&[u8]>, Response> {
    ///     headers.only("authorization").map_err(|_| Response::new(400).details("repeated_authorization"))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Repeated`] when `name` occurs more than once.
    pub fn only(&self, name: impl AsRef<[u8]>) -> Result<Option<&[u8]>, Repeated> {
        let name = name.as_ref();
        let mut values = self.iter().filter(|(key, _)| is_same(key, name));
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Repeated),
            (first, None) => Ok(first.map(|(_, value)| value)),
        }
    }
}

/// Most names differ in length already, most others in the first letter.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && (is_equal(one, other) || one.eq_ignore_ascii_case(other))
}

impl fmt::Debug for Snapshot {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name.escape_ascii().to_string())).finish()
    }
}

/// A header that must stand once stands there more than once.
///
/// ```
/// assert_eq!(proxy_wasm_kit::Repeated.to_string(), "the header is repeated");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl fmt::Display for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the header is repeated")
    }
}

impl std::error::Error for Repeated {}

#[cfg(test)]
mod tests {
    //! Lookups in a snapshot.

    use super::*;

    fn snapshot(pairs: &[(&[u8], &[u8])]) -> Snapshot {
        Snapshot::new(pairs::encode(pairs).unwrap().into(), "test").unwrap()
    }

    #[test]
    fn only_tells_missing_single_and_repeated_apart() {
        let headers = snapshot(&[(b"a", b"1"), (b"b", b""), (b"a", b"2")]);
        assert_eq!(headers.only("a"), Err(Repeated));
        assert_eq!(headers.only("B"), Ok(Some(&b""[..])));
        assert_eq!(headers.only("c"), Ok(None));
        assert_eq!(headers.all("A").collect::<Vec<_>>(), [b"1", b"2"]);
    }

    #[test]
    fn debug_shows_no_values() {
        assert_eq!(format!("{:?}", snapshot(&[(b"authorization", b"secret")])), r#"["authorization"]"#);
    }

    #[test]
    fn what_ends_a_field_is_unsafe_and_nothing_else() {
        for byte in 0..=255 {
            assert_eq!(is_safe(&[b'a', byte, b'b']), !b"\r\n\0".contains(&byte), "{byte}");
        }
    }

    #[test]
    fn malformed_pairs_are_an_error() {
        assert!(Snapshot::new(vec![1, 0, 0].into(), "test").is_err());
    }
}
