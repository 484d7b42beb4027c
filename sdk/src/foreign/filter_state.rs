//! Filter state beyond `set_filter_state`: declared properties, and the objects that Envoy itself reads.

use crate::context;
use crate::error::HostError;
use crate::protobuf::Writer;

/// How long filter state lives.
///
/// ```
/// use proxy_wasm_kit::foreign::LifeSpan;
///
/// assert_eq!(LifeSpan::default(), LifeSpan::FilterChain);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LifeSpan {
    /// As long as the filter chain: in HTTP the request, unless it is redirected internally.
    #[default]
    FilterChain = 0,
    /// As long as the request, with its internal redirects.
    Request = 1,
    /// As long as the downstream connection: later requests of it see the value.
    Connection = 2,
}

/// How expressions and access logs see a property.
///
/// ```
/// use proxy_wasm_kit::foreign::PropertyType;
///
/// assert_eq!(PropertyType::default(), PropertyType::Bytes);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PropertyType {
    /// As bytes.
    #[default]
    Bytes = 0,
    /// As text: comparable with text in CEL.
    Text = 1,
}

/// What [`set_filter_state`](crate::set_filter_state) writes under a name, declared beforehand: its type, its life, whether it
/// can be written once only.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// use proxy_wasm_kit::foreign::{LifeSpan, Property, PropertyType};
///
/// fn configure(root: &Root) -> Result<(), HostError> {
///     Property::new("user").of_type(PropertyType::Text).lives(LifeSpan::Request).read_only().declare(root)
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is declared before `declare`"]
pub struct Property<'a> {
    name: &'a str,
    read_only: bool,
    of_type: PropertyType,
    lives: LifeSpan,
    /// Of a FlatBuffer.
    schema: Option<&'a [u8]>,
}

/// The type of a property whose value is a FlatBuffer.
const FLAT_BUFFER: u64 = 2;

impl<'a> Property<'a> {
    /// A property as one that is not declared: bytes, writable, as long as the filter chain.
    ///
    /// ```
    /// let user = proxy_wasm_kit::foreign::Property::new("user");
    /// ```
    pub fn new(name: &'a str) -> Self {
        let (of_type, lives) = (PropertyType::default(), LifeSpan::default());
        Self { name, read_only: false, of_type, lives, schema: None }
    }

    /// Its type.
    ///
    /// ```
    /// # use proxy_wasm_kit::foreign::{Property, PropertyType};
    /// let user = Property::new("user").of_type(PropertyType::Text);
    /// ```
    pub fn of_type(mut self, of_type: PropertyType) -> Self {
        self.of_type = of_type;
        self
    }

    /// Its value is a FlatBuffer of this schema, in binary (`flatc --binary --schema`): expressions and access logs then see
    /// its fields. Envoy believes both, so a value that is not of the schema, or a schema that is none, ends the proxy
    /// (measured on 1.40): make the bytes by a generated or tested writer, never from what a client sent.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn configure(root: &Root, schema: &[u8]) -> Result<(), HostError> {
    ///     proxy_wasm_kit::foreign::Property::new("peer").flat_buffer(schema).declare(root)
    /// }
    /// ```
    pub fn flat_buffer(mut self, schema: &'a [u8]) -> Self {
        self.schema = Some(schema);
        self
    }

    /// How long it lives.
    ///
    /// ```
    /// # use proxy_wasm_kit::foreign::{LifeSpan, Property};
    /// let seen = Property::new("seen").lives(LifeSpan::Connection);
    /// ```
    pub fn lives(mut self, span: LifeSpan) -> Self {
        self.lives = span;
        self
    }

    /// It can be written once; a second write is refused (`BadArgument`).
    ///
    /// ```
    /// # use proxy_wasm_kit::foreign::Property;
    /// let user = Property::new("user").read_only();
    /// ```
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Declares it, for all streams of this plugin. Only at configure: the proxy keeps what a stream declares for that
    /// stream alone and never looks at it, which is why this asks for the [`Root`](crate::Root).
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn configure(root: &Root) -> Result<(), HostError> {
    ///     proxy_wasm_kit::foreign::Property::new("user").read_only().declare(root)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The proxy does not have the function `declare_property`, or the name was declared before (`BadArgument`): on one worker
    /// a plugin configures each root once.
    pub fn declare(self, _root: &crate::Root) -> Result<(), HostError> {
        const CALL: &str = "declare_property";
        context::require_own(CALL)?;
        let message = Writer::default()
            .bytes(1, self.name.as_bytes())
            .number(2, self.read_only.into())
            .number(3, self.schema.map_or(self.of_type as u64, |_| FLAT_BUFFER))
            .bytes(4, self.schema.unwrap_or_default())
            .number(5, self.lives as u64);
        super::call(CALL, &message.finish()).map(|_| ())
    }
}

/// Sets an object that Envoy itself reads from filter state, for example `envoy.tcp_proxy.cluster` or
/// `envoy.network.upstream_server_name` (Envoy's documentation: "Well Known Filter State Objects"). The value is text in
/// the form that the object has.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// use proxy_wasm_kit::foreign::{LifeSpan, set_envoy_filter_state};
///
/// fn choose_server_name(name: &str) -> Result<(), HostError> {
///     set_envoy_filter_state("envoy.network.upstream_server_name", name, LifeSpan::FilterChain)
/// }
/// ```
///
/// # Errors
///
/// Envoy has no such object (`NotFound`; also on the root context), or the value does not have its form (`BadArgument`).
pub fn set_envoy_filter_state(name: &str, value: &str, lives: LifeSpan) -> Result<(), HostError> {
    let message =
        Writer::default().bytes(1, name.as_bytes()).bytes(2, value.as_bytes()).number(3, lives as u64);
    super::call("set_envoy_filter_state", &message.finish()).map(|_| ())
}

/// Lets the proxy choose the route anew, before the request goes on. Edits of request headers do so by themselves; this is
/// for routes that depend on something else, such as filter state.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn on_request_headers(_request: &mut RequestHeaders<'_>) -> Result {
///     proxy_wasm_kit::set_filter_state("tier", "gold")?;
///     proxy_wasm_kit::foreign::clear_route_cache()?;
///     Ok(Flow::Continue)
/// }
/// ```
///
/// # Errors
///
/// The proxy does not have the function.
pub fn clear_route_cache() -> Result<(), HostError> {
    super::call("clear_route_cache", &[]).map(|_| ())
}
