//! Attributes by their path, and filter state: what `attributes` is made of, for paths it does not know.

use crate::abi;
use crate::bytes::Bytes;
use crate::error::HostError;

/// Reads an attribute by its path, as the raw bytes the host gives; `None` when there is no such attribute, or not now.
///
/// Text and bytes come as they are, an integer or double as 8 bytes little-endian, a boolean as one byte, a message as
/// protobuf, a map in the header-map format. The typed getters in [`attributes`](crate::attributes) know which is which.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn tenant() -> Result<Option<Bytes>, HostError> {
///     proxy_wasm_kit::property(&["metadata", "filter_metadata", "com.example.tenancy", "tenant"])
/// }
/// ```
///
/// # Errors
///
/// `proxy_get_property` failed.
pub fn property(path: &[&str]) -> Result<Option<Bytes>, HostError> {
    abi::property(&path.join("\0"))
}

/// Writes filter state that later filters, access logs and other plugins read as `filter_state['wasm.NAME']`, and this
/// plugin as `property(&["NAME"])`.
///
/// It lives as long as the stream, and needs one: Envoy answers `NotFound` while a plugin is configured.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn remember_user(name: &str) -> Result<(), HostError> {
///     proxy_wasm_kit::set_filter_state("user", name)
/// }
/// ```
///
/// # Errors
///
/// `proxy_set_property` failed.
pub fn set_filter_state(name: &str, value: impl AsRef<[u8]>) -> Result<(), HostError> {
    abi::set_property(name, value.as_ref())
}
