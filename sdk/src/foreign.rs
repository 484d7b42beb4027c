//! Foreign functions: what Envoy and Istio's proxy offer beyond the ABI.
//!
//! | function | what it does | on another context than the one whose callback runs |
//! |---|---|---|
//! | [`Expression`] | CEL over the attributes, compiled once | refused here |
//! | [`declare_property`](Property::declare) | type and life of filter state | refused here |
//! | [`set_envoy_filter_state`] | objects that Envoy itself reads | acts on the one that was entered |
//! | [`clear_route_cache`] | the route is chosen anew | acts on the one that was entered |
//! | [`verify_signature`], [`sign`] | RSA and ECDSA at native speed | - |
//! | [`compress`], [`uncompress`] | zlib | - |
//!
//! Where a function is refused, [`HostError::is_wrong_context`] says so: Envoy would have taken the wrong stream, or the
//! root, without a word (measured on 1.40). [`call`] reaches whatever else a proxy offers.

mod expression;
mod filter_state;
#[cfg(feature = "signatures")]
mod keys;
#[cfg(feature = "signatures")]
pub mod sandbox;
mod signature;

pub use expression::{CelType, Expression};
pub use filter_state::{LifeSpan, Property, PropertyType, clear_route_cache, set_envoy_filter_state};
pub use signature::{Hash, PrivateKey, PublicKey, Verdict, sign, verify_signature};

use crate::abi::shared as abi;
use crate::bytes::Bytes;
use crate::error::HostError;

/// Calls a foreign function by its name, with the bytes that it wants, for functions that this module does not know.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// use proxy_wasm_kit::foreign;
///
/// fn own_extension_of_the_proxy(question: &[u8]) -> Result<Option<Bytes>, HostError> {
///     match foreign::call("example_lookup", question) {
///         Err(error) if error.is_not_found() => Ok(None), // this proxy does not have it
///         other => other.map(Some),
///     }
/// }
/// ```
///
/// # Errors
///
/// There is no such function (`NotFound`), or it failed. The error names it, not `proxy_call_foreign_function`.
pub fn call(name: &'static str, arguments: &[u8]) -> Result<Bytes, HostError> {
    abi::call_foreign(name, arguments)
}

/// Compresses bytes to a zlib stream (RFC 1950; HTTP calls it `deflate`).
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn pack(state: &[u8]) -> Result<Bytes, HostError> {
///     proxy_wasm_kit::foreign::compress(state)
/// }
/// ```
///
/// # Errors
///
/// The proxy does not have the function, or it failed.
pub fn compress(bytes: &[u8]) -> Result<Bytes, HostError> {
    call("compress", bytes)
}

/// Undoes [`compress`]. There is no limit to what a small stream may grow to: uncompress only what can be trusted.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn unpack(kept: &Bytes) -> Result<Bytes, HostError> {
///     proxy_wasm_kit::foreign::uncompress(kept)
/// }
/// ```
///
/// # Errors
///
/// The proxy does not have the function, or the bytes are no whole zlib stream.
pub fn uncompress(bytes: &[u8]) -> Result<Bytes, HostError> {
    call("uncompress", bytes)
}
