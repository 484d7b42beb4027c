//! Network filters: TCP connections instead of HTTP streams.

use crate::abi::Buffer;
use crate::bytes::Bytes;
use crate::chunk::Chunk;
use crate::config::{ConfigError, UnknownKeys};
use crate::error::HostError;
use crate::extension::{Extension, Result};
use crate::failure::Error;
use crate::root::Root;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::rc::Rc;

/// A plugin whose streams are TCP connections. As [`Extension`](crate::Extension), for a module in Envoy's
/// `envoy.filters.network.wasm`; `entry!(tcp: Type)` makes the module.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     greeting: String,
/// }
///
/// struct Gate(Config);
///
/// struct Connection(Rc<Gate>);
///
/// impl TcpExtension for Gate {
///     type Config = Config;
///     type Filter = Connection;
///
///     fn configure(config: Config, _root: &Root) -> Result<Self, ConfigError> {
///         Ok(Self(config))
///     }
///
///     fn filter(self: &Rc<Self>) -> Connection {
///         Connection(self.clone())
///     }
/// }
///
/// impl TcpFilter for Connection {
///     fn on_downstream_data(&mut self, data: &mut DownstreamData<'_>) -> Result<TcpFlow> {
///         let greeting = self.0.0.greeting.as_bytes();
///         if data.len() < greeting.len() {
///             return Ok(TcpFlow::Buffer);
///         }
///         let greets = &*data.range(0, greeting.len())? == greeting;
///         Ok(if greets { TcpFlow::Continue } else { TcpFlow::Close })
///     }
/// }
///
/// proxy_wasm_kit::entry!(tcp: Gate);
/// # use proxy_wasm_kit_host as _;
/// # fn main() {}
/// ```
pub trait TcpExtension: Sized + 'static {
    /// The plugin configuration, as in [`Extension::Config`](crate::Extension::Config).
    type Config: DeserializeOwned;

    /// The filter that [`filter`](Self::filter) makes for each connection.
    type Filter: TcpFilter;

    /// What becomes of keys that the configuration does not know.
    const UNKNOWN_KEYS: UnknownKeys = UnknownKeys::Refuse;

    /// Builds the plugin.
    ///
    /// # Errors
    ///
    /// An error refuses the configuration.
    fn configure(config: Self::Config, root: &Root) -> Result<Self, ConfigError>;

    /// Makes the filter of a new connection.
    fn filter(self: &Rc<Self>) -> Self::Filter;
}

/// An [`Extension`](crate::Extension) whose plugins may also be network filters, in `envoy.filters.network.wasm`;
/// `entry!(http, tcp: Type)` makes one module for both.
///
/// The proxy decides by where the plugin stands in its configuration: each HTTP stream gets a filter of
/// [`Extension::filter`](crate::Extension::filter), each connection one of [`connection`](Self::connection). A plugin in
/// both places with the same configuration is one plugin: what it holds, both kinds of filter share.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// struct Count(Counter, Counter);
/// struct Pass;
///
/// impl Extension for Count {
///     type Config = ();
///     type Filter = Pass;
///
///     fn configure(_config: (), root: &Root) -> Result<Self, ConfigError> {
///         Ok(Self(root.counter("requests")?, root.counter("connections")?))
///     }
///
///     fn filter(self: &Rc<Self>) -> Pass {
///         let _ = self.0.add(1);
///         Pass
///     }
/// }
///
/// impl AlsoTcp for Count {
///     type Connection = Pass;
///
///     fn connection(self: &Rc<Self>) -> Pass {
///         let _ = self.1.add(1);
///         Pass
///     }
/// }
///
/// impl HttpFilter for Pass {}
/// impl TcpFilter for Pass {}
///
/// proxy_wasm_kit::entry!(http, tcp: Count);
/// # use proxy_wasm_kit_host as _;
/// # fn main() {}
/// ```
pub trait AlsoTcp: Extension {
    /// The filter that [`connection`](Self::connection) makes for each connection.
    type Connection: TcpFilter;

    /// Makes the filter of a new connection.
    fn connection(self: &Rc<Self>) -> Self::Connection;
}

/// One TCP connection: bytes from the client (downstream) and from the server (upstream).
///
/// A hook that fails hands its error to [`on_error`](Self::on_error), which decides about the connection; by default it is
/// closed. Data can be read and edited only in its own hook. A plugin cannot send by itself, for example a greeting before the
/// server has said anything: Envoy has no buffer to write to then.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// struct Shout;
///
/// impl TcpFilter for Shout {
///     fn on_upstream_data(&mut self, data: &mut UpstreamData<'_>) -> Result<TcpFlow> {
///         let loud = data.bytes()?.to_ascii_uppercase();
///         data.replace(loud)?;
///         Ok(TcpFlow::Continue)
///     }
/// }
/// ```
#[allow(unused_variables, reason = "who overrides a hook gets its names from here")]
pub trait TcpFilter: 'static {
    /// A client has connected. [`TcpFlow::Buffer`] keeps the connection waiting until it ends: nothing is read.
    fn on_connection(&mut self) -> Result<TcpFlow> {
        Ok(TcpFlow::Continue)
    }

    /// Bytes have come from the client.
    fn on_downstream_data(&mut self, data: &mut DownstreamData<'_>) -> Result<TcpFlow> {
        Ok(TcpFlow::Continue)
    }

    /// Bytes have come from the server.
    fn on_upstream_data(&mut self, data: &mut UpstreamData<'_>) -> Result<TcpFlow> {
        Ok(TcpFlow::Continue)
    }

    /// The client's side is closed.
    fn on_downstream_close(&mut self, by: Closer) {}

    /// The server's side is closed. Envoy tells it when the server sends no more, and not by whom.
    fn on_upstream_close(&mut self, by: Closer) {}

    /// The connection is being logged. Envoy calls it after [`on_done`](Self::on_done).
    fn on_log(&mut self) {}

    /// The proxy is done with the connection.
    fn on_done(&mut self) {}

    /// A hook failed: what happens to the connection? The error has been logged. The default closes it.
    fn on_error(&mut self, error: &Error) -> TcpFlow {
        TcpFlow::Close
    }
}

/// What happens to bytes after a hook of a [`TcpFilter`].
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// fn need(bytes: usize, data: &DownstreamData<'_>) -> TcpFlow {
///     if data.len() < bytes { TcpFlow::Buffer } else { TcpFlow::Continue }
/// }
/// ```
///
/// A decision that is not returned is none, and the compiler says so:
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// use proxy_wasm_kit::prelude::*;
///
/// fn refuse() -> TcpFlow {
///     TcpFlow::Close
/// }
///
/// fn on_downstream_data(data: &mut DownstreamData<'_>) -> Result<TcpFlow> {
///     refuse();
///     Ok(TcpFlow::Continue)
/// }
/// ```
#[must_use = "a decision has to be returned from the hook"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpFlow {
    /// They go on.
    Continue,
    /// They wait, and stand before the next ones when the hook runs again.
    Buffer,
    /// The connection is closed, on both sides.
    Close,
}

/// Who closed a side of a connection.
///
/// ```
/// # use proxy_wasm_kit::Closer;
/// fn hung_up(by: Closer) -> bool {
///     by == Closer::Remote
/// }
/// ```
// Its form is fixed because exported functions take it (see `narrow_door!`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Closer {
    /// The proxy does not say.
    Unknown,
    /// The proxy, or a filter in it.
    Local,
    /// The other end.
    Remote,
}

/// Declares a view of bytes on a connection.
macro_rules! data_views {
    ($($(#[$doc:meta])* $name:ident($buffer:ident))*) => {$(
        $(#[$doc])*
        pub struct $name<'a> {
            chunk: Chunk,
            phase: PhantomData<&'a mut ()>,
        }

        impl $name<'_> {
            pub(crate) fn new(size: usize, end_of_stream: bool) -> Self {
                Self { chunk: Chunk::new(Buffer::$buffer, size, end_of_stream), phase: PhantomData }
            }

            /// The number of bytes at hand, with those that [`TcpFlow::Buffer`] held back.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn size(data: &", stringify!($name), "<'_>) -> usize {")]
            ///     data.len()
            /// }
            /// ```
            pub fn len(&self) -> usize {
                self.chunk.size
            }

            /// Whether no bytes are at hand.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn nothing(data: &", stringify!($name), "<'_>) -> bool {")]
            ///     data.is_empty()
            /// }
            /// ```
            pub fn is_empty(&self) -> bool {
                self.chunk.size == 0
            }

            /// Whether this end sends no more.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn last(data: &", stringify!($name), "<'_>) -> bool {")]
            ///     data.end_of_stream()
            /// }
            /// ```
            pub fn end_of_stream(&self) -> bool {
                self.chunk.end_of_stream
            }

            /// A copy of all bytes at hand.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn greets(data: &", stringify!($name), "<'_>) -> Result<bool> {")]
            ///     Ok(data.bytes()?.starts_with(b"EHLO"))
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// `proxy_get_buffer_bytes` failed.
            pub fn bytes(&self) -> Result<Bytes, HostError> {
                self.chunk.range(0, self.chunk.size)
            }

            /// A copy of up to `size` bytes from `start` on.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn is_tls(data: &", stringify!($name), "<'_>) -> Result<bool> {")]
            ///     Ok(&*data.range(0, 2)? == b"\x16\x03")
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// `proxy_get_buffer_bytes` failed.
            pub fn range(&self, start: usize, size: usize) -> Result<Bytes, HostError> {
                self.chunk.range(start, size)
            }

            /// Puts `with` in the place of all bytes at hand.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn hide(data: &mut ", stringify!($name), "<'_>) -> Result<(), HostError> {")]
            ///     data.replace("")
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// `proxy_set_buffer_bytes` failed.
            pub fn replace(&mut self, with: impl AsRef<[u8]>) -> Result<(), HostError> {
                self.chunk.replace(with.as_ref())
            }

            /// Takes the first `size` bytes away; what is behind them is not copied.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn skip_greeting(data: &mut ", stringify!($name), "<'_>) -> Result<(), HostError> {")]
            ///     data.cut(8)
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// `proxy_set_buffer_bytes` failed.
            pub fn cut(&mut self, size: usize) -> Result<(), HostError> {
                self.chunk.cut(size)
            }

            /// Puts `more` behind the bytes at hand.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn end(data: &mut ", stringify!($name), "<'_>) -> Result<(), HostError> {")]
            ///     data.append("\r\n")
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// `proxy_set_buffer_bytes` failed.
            pub fn append(&mut self, more: impl AsRef<[u8]>) -> Result<(), HostError> {
                self.chunk.append(more.as_ref())
            }

            /// Puts `more` before the bytes at hand.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn begin(data: &mut ", stringify!($name), "<'_>) -> Result<(), HostError> {")]
            ///     data.prepend("PROXY ")
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// `proxy_set_buffer_bytes` failed.
            pub fn prepend(&mut self, more: impl AsRef<[u8]>) -> Result<(), HostError> {
                self.chunk.prepend(more.as_ref())
            }
        }
    )*};
}

data_views! {
    /// Bytes from the client, on their way to the server.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn on_downstream_data(data: &mut DownstreamData<'_>) -> Result<TcpFlow> {
    ///     Ok(if data.range(0, 1)? == "Q" { TcpFlow::Close } else { TcpFlow::Continue })
    /// }
    /// ```
    ///
    /// The proxy holds them until the hook returns, and the view ends with it; keeping it does not compile:
    ///
    /// ```compile_fail
    /// use proxy_wasm_kit::prelude::*;
    ///
    /// fn keep_for_later<'a>(data: &'a mut DownstreamData<'_>) -> &'a mut DownstreamData<'static> {
    ///     data
    /// }
    /// ```
    DownstreamData(DownstreamData)

    /// Bytes from the server, on their way to the client.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn on_upstream_data(data: &mut UpstreamData<'_>) -> Result<TcpFlow> {
    ///     data.append("\n")?;
    ///     Ok(TcpFlow::Continue)
    /// }
    /// ```
    UpstreamData(UpstreamData)
}
