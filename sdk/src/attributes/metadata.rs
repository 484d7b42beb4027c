//! Metadata by namespace and key: of the stream, and of the configuration that the stream meets.

use super::{Xds, read};
use crate::bytes::Bytes;
use crate::decode::Decode;
use crate::error::HostError;
use crate::headers::Snapshot;

/// Dynamic metadata that other filters wrote for this stream in `namespace`, for example
/// `envoy.filters.http.jwt_authn`. The proxy lets no plugin write any.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// # fn hook() -> Result<()> {
/// let claims = proxy_wasm_kit::attributes::dynamic_metadata("envoy.filters.http.jwt_authn").at("payload");
/// let issuer = claims.text("iss")?;
/// # Ok(()) }
/// ```
pub fn dynamic_metadata(namespace: &str) -> Metadata {
    Metadata { present: format!("metadata\0filter_metadata\0{namespace}"), older: None }
}

/// The values of one namespace in metadata. In it a number is a floating-point number, whatever its source looked like.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// # fn hook() -> Result<()> {
/// let route = proxy_wasm_kit::attributes::xds().route_metadata("com.example.limits");
/// let burst = route.number("burst")?.unwrap_or(10.0);
/// let tier = route.at("tenant").text("tier")?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Metadata {
    present: String,
    older: Option<String>,
}

impl Metadata {
    fn of(attribute: &str, namespace: &str) -> Self {
        let path = format!("{attribute}\0filter_metadata\0{namespace}");
        Self { present: format!("xds\0{path}"), older: Some(path) }
    }

    pub(super) fn of_node() -> Self {
        Self { present: "xds\0node\0metadata".into(), older: Some("node\0metadata".into()) }
    }

    /// The values one level deeper, below `key`.
    ///
    /// ```
    /// # let metadata = proxy_wasm_kit::attributes::dynamic_metadata("com.example");
    /// let tenant = metadata.at("tenant");
    /// ```
    #[must_use]
    pub fn at(&self, key: &str) -> Self {
        let deeper = |path: &String| format!("{path}\0{key}");
        Self { present: deeper(&self.present), older: self.older.as_ref().map(deeper) }
    }

    fn get<T: Decode>(&self, key: &str) -> Result<Option<T>, HostError> {
        let Self { present, older } = self.at(key);
        match older {
            Some(older) => read(&[&present, &older]),
            None => read(&[&present]),
        }
    }
}

/// Declares the readers of the kinds of values.
macro_rules! readers {
    ($($(#[$about:meta])* $name:ident: $value:ty,)*) => {
        impl Metadata {$(
            $(#[$about])*
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            /// # fn hook(metadata: proxy_wasm_kit::attributes::Metadata) -> Result<()> {
            #[doc = concat!("let value = metadata.", stringify!($name), "(\"key\")?;")]
            /// # Ok(()) }
            /// ```
            ///
            /// # Errors
            ///
            /// `proxy_get_property` failed, or the value is of another kind.
            pub fn $name(&self, key: &str) -> Result<Option<$value>, HostError> {
                self.get(key)
            }
        )*}
    };
}

readers! {
    /// A text.
    text: Bytes,
    /// A number.
    number: f64,
    /// `true` or `false`.
    flag: bool,
    /// A map: its values as bytes, each as it would be read alone.
    map: Snapshot,
    /// A list: its items as bytes, each as it would be read alone.
    list: Vec<Bytes>,
}

/// Declares the metadata of the configuration.
macro_rules! of_the_configuration {
    ($($(#[$about:meta])* $name:ident,)*) => {
        impl Xds {$(
            $(#[$about])*
            ///
            /// ```
            #[doc = concat!("let metadata = proxy_wasm_kit::attributes::xds().", stringify!($name), "(\"com.example\");")]
            /// ```
            pub fn $name(self, namespace: &str) -> Metadata {
                Metadata::of(stringify!($name), namespace)
            }
        )*}
    };
}

of_the_configuration! {
    /// The metadata of the cluster that the route chose.
    cluster_metadata,
    /// The metadata of the listener.
    listener_metadata,
    /// The metadata of the route.
    route_metadata,
    /// The metadata of the virtual host.
    virtual_host_metadata,
    /// The metadata of the upstream host, once there is one.
    upstream_host_metadata,
    /// The metadata of the upstream host's locality, once there is one.
    upstream_host_locality_metadata,
}
