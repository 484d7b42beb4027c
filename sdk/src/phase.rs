//! Phase views: what a hook may touch while it runs, and not a moment longer.
//!
//! The proxy keeps a header map or a body chunk readable only during the callback that delivers it. Each hook therefore gets
//! a view whose lifetime ends with the callback.

use crate::abi::{self, Buffer, Map};
use crate::bytes::Bytes;
use crate::chunk::Chunk;
use crate::error::HostError;
use crate::extension::Result;
use crate::headers::{Headers, HeadersMut};
use crate::length;
use crate::response::{BodyFlow, Flow, Later};
use std::marker::PhantomData;

/// Declares a view of a message's headers.
macro_rules! header_views {
    ($($(#[$doc:meta])* $name:ident($map:ident))*) => {$(
        $(#[$doc])*
        pub struct $name<'a> {
            end_of_stream: bool,
            phase: PhantomData<&'a mut ()>,
        }

        impl $name<'_> {
            pub(crate) fn new(end_of_stream: bool) -> Self {
                Self { end_of_stream, phase: PhantomData }
            }

            /// The headers, to read and to edit.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("# fn hook(message: &mut ", stringify!($name), "<'_>) -> Result<()> {")]
            /// message.headers().set("x-seen", "yes")?;
            /// # Ok(()) }
            /// ```
            pub fn headers(&mut self) -> HeadersMut<'_> {
                HeadersMut::new(Map::$map)
            }

            /// Whether neither a body nor trailers follow.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn has_body(message: &", stringify!($name), "<'_>) -> bool {")]
            ///     !message.end_of_stream()
            /// }
            /// ```
            pub fn end_of_stream(&self) -> bool {
                self.end_of_stream
            }

            /// Announces that body hooks will change the length of the body: `content-length` is removed, and the proxy
            /// frames the body by itself. Without it, an edit that changes the length is refused.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("# fn hook(message: &mut ", stringify!($name), "<'_>) -> Result<()> {")]
            /// message.rewrites_body()?;
            /// # Ok(()) }
            /// ```
            ///
            /// # Errors
            ///
            /// `proxy_remove_header_map_value` failed.
            pub fn rewrites_body(&mut self) -> Result<(), HostError> {
                if self.end_of_stream {
                    return Ok(());
                }
                length::free(Map::$map);
                self.headers().remove("content-length")
            }

            /// Does work that has to wait: callouts, [`sleep`](crate::sleep), anything with `.await`.
            ///
            /// The work begins at once. Is it done at once, its flow is the hook's, and nothing has waited. Otherwise the
            /// message is held until it is done; it sees and edits what it holds through the view it is given. Its error
            /// goes to [`on_error`](crate::HttpFilter::on_error), and it ends with its stream or after 15 seconds
            /// ([`within`](crate::Flow::within)).
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn check(message: &mut ", stringify!($name), "<'_>, policy: Cluster) -> Flow {")]
            ///     message.later(async move |_held| match policy.get("/check").send().await?.status() {
            ///         200 => Ok(Flow::Continue),
            ///         _ => Ok(Flow::Reply(Response::new(403))),
            ///     })
            /// }
            /// ```
            pub fn later(&mut self, work: impl AsyncFnOnce(&mut $name<'_>) -> Result + 'static) -> Flow {
                let end_of_stream = self.end_of_stream;
                Flow::Later(Later::new(async move { work(&mut $name::new(end_of_stream)).await }))
            }
        }
    )*};
}

header_views! {
    /// The request's headers have arrived; nothing has gone to the upstream yet.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn on_request_headers(request: &mut RequestHeaders<'_>) -> Result {
    ///     if request.method()? == "TRACE" {
    ///         return Ok(Flow::Reply(Response::new(405).details("trace_refused")));
    ///     }
    ///     request.headers().set("x-checked", "1")?;
    ///     Ok(Flow::Continue)
    /// }
    /// ```
    ///
    /// The proxy keeps the headers readable until the hook returns, and the view ends with it; keeping it does not compile:
    ///
    /// ```compile_fail
    /// use proxy_wasm_kit::prelude::*;
    ///
    /// fn keep_for_later(request: &mut RequestHeaders<'_>) -> HeadersMut<'static> {
    ///     request.headers()
    /// }
    /// ```
    ///
    /// The same holds for the view that [`later`](Self::later) gives to its work: it does not leave it,
    ///
    /// ```compile_fail
    /// use proxy_wasm_kit::prelude::*;
    /// use std::cell::RefCell;
    ///
    /// type Kept = Rc<RefCell<Option<&'static mut RequestHeaders<'static>>>>;
    ///
    /// fn keep_the_held(request: &mut RequestHeaders<'_>, kept: Kept) -> Flow {
    ///     request.later(async move |held| {
    ///         *kept.borrow_mut() = Some(held);
    ///         Ok(Flow::Continue)
    ///     })
    /// }
    /// ```
    ///
    /// and the view of the hook does not get in:
    ///
    /// ```compile_fail
    /// use proxy_wasm_kit::prelude::*;
    ///
    /// fn take_along(request: &mut RequestHeaders<'_>) -> Flow {
    ///     let headers = request.headers();
    ///     request.later(async move |_| {
    ///         headers.set("x-late", "1")?;
    ///         Ok(Flow::Continue)
    ///     })
    /// }
    /// ```
    RequestHeaders(RequestHeaders)

    /// The response's headers are about to go to the client: those of the upstream, or of a reply that the proxy or a
    /// filter made.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn on_response_headers(response: &mut ResponseHeaders<'_>) -> Result {
    ///     if response.status()? >= 500 {
    ///         response.headers().set("cache-control", "no-store")?;
    ///     }
    ///     Ok(Flow::Continue)
    /// }
    /// ```
    ResponseHeaders(ResponseHeaders)
}

impl RequestHeaders<'_> {
    fn pseudo(&self, name: &str) -> Result<Bytes, HostError> {
        abi::map_value(Map::RequestHeaders, name.as_bytes()).map(Option::unwrap_or_default)
    }

    /// `:method`, for example `GET`. Empty when there is none, which no HTTP codec lets through.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(request: &mut RequestHeaders<'_>) -> Result<()> {
    /// let is_read = request.method()? == "GET";
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_header_map_value` failed.
    pub fn method(&self) -> Result<Bytes, HostError> {
        self.pseudo(":method")
    }

    /// `:path` as the client sent it: with the query, not decoded, not normalised. Empty for `CONNECT`.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(request: &mut RequestHeaders<'_>) -> Result<()> {
    /// let health_check = request.path()? == "/healthz";
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_header_map_value` failed.
    pub fn path(&self) -> Result<Bytes, HostError> {
        self.pseudo(":path")
    }

    /// `:authority`, the `Host` of HTTP/1, with a port if the client sent one.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(request: &mut RequestHeaders<'_>) -> Result<()> {
    /// let internal = request.authority()?.ends_with(b".internal");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_header_map_value` failed.
    pub fn authority(&self) -> Result<Bytes, HostError> {
        self.pseudo(":authority")
    }
}

impl ResponseHeaders<'_> {
    /// `:status` as a number; 0 when it is missing or not a number, which no HTTP codec lets through.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(response: &mut ResponseHeaders<'_>) -> Result<()> {
    /// let failed = response.status()? >= 500;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_header_map_value` failed.
    pub fn status(&self) -> Result<u16, HostError> {
        let value = abi::map_value(Map::ResponseHeaders, b":status")?.unwrap_or_default();
        Ok(value.as_str().and_then(|digits| digits.parse().ok()).unwrap_or(0))
    }
}

/// Declares a view of a chunk of a message's body.
macro_rules! body_views {
    ($($(#[$doc:meta])* $name:ident($buffer:ident, $trailers:ident))*) => {$(
        $(#[$doc])*
        pub struct $name<'a> {
            pub(crate) chunk: Chunk,
            phase: PhantomData<&'a mut ()>,
        }

        impl $name<'_> {
            pub(crate) fn new(size: usize, end_of_stream: bool) -> Self {
                Self { chunk: Chunk::new(Buffer::$buffer, size, end_of_stream), phase: PhantomData }
            }

            /// The number of bytes at hand: this chunk, with what [`BodyFlow::Buffer`](crate::BodyFlow::Buffer) held
            /// back before it.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn too_large(body: &", stringify!($name), "<'_>) -> bool {")]
            ///     body.len() > 1_000_000
            /// }
            /// ```
            pub fn len(&self) -> usize {
                self.chunk.size
            }

            /// Whether no bytes are at hand; the last chunk of a stream may be empty.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn nothing_to_do(body: &", stringify!($name), "<'_>) -> bool {")]
            ///     body.is_empty()
            /// }
            /// ```
            pub fn is_empty(&self) -> bool {
                self.chunk.size == 0
            }

            /// Whether this is the last chunk and no trailers follow. With trailers no chunk says so; the trailers hook
            /// is then the end.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn decide(body: &", stringify!($name), "<'_>) -> BodyFlow {")]
            ///     if body.end_of_stream() { BodyFlow::Continue } else { BodyFlow::Buffer }
            /// }
            /// ```
            pub fn end_of_stream(&self) -> bool {
                self.chunk.end_of_stream
            }

            /// A copy of all bytes at hand. One host call, none when there are no bytes.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn mentions(body: &", stringify!($name), "<'_>, word: &str) -> Result<bool> {")]
            ///     Ok(body.bytes()?.windows(word.len()).any(|part| part == word.as_bytes()))
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// `proxy_get_buffer_bytes` failed.
            pub fn bytes(&self) -> Result<Bytes, HostError> {
                self.range(0, self.chunk.size)
            }

            /// A copy of up to `size` bytes from `start` on; shorter where the bytes at hand end.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn is_png(body: &", stringify!($name), "<'_>) -> Result<bool> {")]
            ///     Ok(&*body.range(0, 4)? == b"\x89PNG")
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// `proxy_get_buffer_bytes` failed.
            pub fn range(&self, start: usize, size: usize) -> Result<Bytes, HostError> {
                self.chunk.range(start, size)
            }

            /// Puts `data` in the place of all bytes at hand.
            ///
            /// Another length has to be announced in the headers hook: see `rewrites_body` there.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn hide(body: &mut ", stringify!($name), "<'_>) -> Result<(), HostError> {")]
            ///     body.replace("hidden")
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// `proxy_set_buffer_bytes` failed, or the length would change unannounced.
            pub fn replace(&mut self, data: impl AsRef<[u8]>) -> Result<(), HostError> {
                self.chunk.replace(data.as_ref())
            }

            /// Puts `data` behind the bytes at hand.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn sign(body: &mut ", stringify!($name), "<'_>) -> Result<(), HostError> {")]
            ///     if body.end_of_stream() { body.append("\n-- the proxy\n") } else { Ok(()) }
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// `proxy_set_buffer_bytes` failed, or the length would change unannounced.
            pub fn append(&mut self, data: impl AsRef<[u8]>) -> Result<(), HostError> {
                self.chunk.append(data.as_ref())
            }

            /// Puts `data` before the bytes at hand.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn mark(body: &mut ", stringify!($name), "<'_>) -> Result<(), HostError> {")]
            ///     body.prepend("\u{feff}")
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// `proxy_set_buffer_bytes` failed, or the length would change unannounced.
            pub fn prepend(&mut self, data: impl AsRef<[u8]>) -> Result<(), HostError> {
                self.chunk.prepend(data.as_ref())
            }

            /// Trailers to add behind a body that came without; `None` before the end of the stream.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn close(body: &mut ", stringify!($name), "<'_>) -> Result<(), HostError> {")]
            ///     match body.new_trailers() {
            ///         Some(trailers) => trailers.add("x-complete", "1"),
            ///         None => Ok(()),
            ///     }
            /// }
            /// ```
            pub fn new_trailers(&mut self) -> Option<HeadersMut<'_>> {
                self.chunk.end_of_stream.then(|| HeadersMut::new(Map::$trailers))
            }

            /// Does work that has to wait: callouts, [`sleep`](crate::sleep), anything with `.await`.
            ///
            /// The work begins at once. Is it done at once, its flow is the hook's, and nothing has waited. Otherwise the
            /// message is held until it is done; it sees and edits what it holds through the view it is given. Its error
            /// goes to [`on_error`](crate::HttpFilter::on_error), and it ends with its stream or after 15 seconds
            /// ([`within`](crate::BodyFlow::within)).
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn check(message: &mut ", stringify!($name), "<'_>, policy: Cluster) -> BodyFlow {")]
            ///     message.later(async move |_held| match policy.get("/check").send().await?.status() {
            ///         200 => Ok(Flow::Continue),
            ///         _ => Ok(Flow::Reply(Response::new(403))),
            ///     })
            /// }
            /// ```
            pub fn later(&mut self, work: impl AsyncFnOnce(&mut $name<'_>) -> Result + 'static) -> BodyFlow {
                let Chunk { size, end_of_stream, .. } = self.chunk;
                BodyFlow::Later(Later::new(async move { work(&mut $name::new(size, end_of_stream)).await }))
            }
        }
    )*};
}

body_views! {
    /// A chunk of the request's body, on its way to the upstream.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn on_request_body(body: &mut RequestBody<'_>) -> Result<BodyFlow> {
    ///     if body.len() > 4096 {
    ///         return Ok(BodyFlow::Reply(Response::new(413)));
    ///     }
    ///     Ok(BodyFlow::Continue)
    /// }
    /// ```
    ///
    /// The headers have gone on by then, so there are none:
    ///
    /// ```compile_fail
    /// use proxy_wasm_kit::prelude::*;
    ///
    /// fn on_request_body(body: &mut RequestBody<'_>) -> Result<BodyFlow> {
    ///     body.headers().set("x-seen", "yes")?;
    ///     Ok(BodyFlow::Continue)
    /// }
    /// ```
    RequestBody(RequestBody, RequestTrailers)

    /// A chunk of the response's body, on its way to the client. Its headers have already gone out, unless the chunk is
    /// buffered.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn on_response_body(body: &mut ResponseBody<'_>) -> Result<BodyFlow> {
    ///     if !body.end_of_stream() {
    ///         return Ok(BodyFlow::Buffer);
    ///     }
    ///     let upper = body.bytes()?.to_ascii_uppercase();
    ///     body.replace(upper)?;
    ///     Ok(BodyFlow::Continue)
    /// }
    /// ```
    ResponseBody(ResponseBody, ResponseTrailers)
}

/// Declares a view of a message's trailers.
macro_rules! trailer_views {
    ($($(#[$doc:meta])* $name:ident($map:ident))*) => {$(
        $(#[$doc])*
        pub struct $name<'a> {
            phase: PhantomData<&'a mut ()>,
        }

        impl $name<'_> {
            pub(crate) fn new() -> Self {
                Self { phase: PhantomData }
            }

            /// The trailers, to read and to edit.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("# fn hook(message: &mut ", stringify!($name), "<'_>) -> Result<()> {")]
            /// let status = message.trailers().first("grpc-status")?;
            /// # Ok(()) }
            /// ```
            pub fn trailers(&mut self) -> HeadersMut<'_> {
                HeadersMut::new(Map::$map)
            }

            /// Does work that has to wait: callouts, [`sleep`](crate::sleep), anything with `.await`.
            ///
            /// The work begins at once. Is it done at once, its flow is the hook's, and nothing has waited. Otherwise the
            /// message is held until it is done; it sees and edits what it holds through the view it is given. Its error
            /// goes to [`on_error`](crate::HttpFilter::on_error), and it ends with its stream or after 15 seconds
            /// ([`within`](crate::Flow::within)).
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn check(message: &mut ", stringify!($name), "<'_>, policy: Cluster) -> Flow {")]
            ///     message.later(async move |_held| match policy.get("/check").send().await?.status() {
            ///         200 => Ok(Flow::Continue),
            ///         _ => Ok(Flow::Reply(Response::new(403))),
            ///     })
            /// }
            /// ```
            pub fn later(&mut self, work: impl AsyncFnOnce(&mut $name<'_>) -> Result + 'static) -> Flow {
                Flow::Later(Later::new(async move { work(&mut $name::new()).await }))
            }
        }
    )*};
}

trailer_views! {
    /// The request's trailers have arrived: the end of the request.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn on_request_trailers(request: &mut RequestTrailers<'_>) -> Result {
    ///     request.trailers().remove("x-internal")?;
    ///     Ok(Flow::Continue)
    /// }
    /// ```
    RequestTrailers(RequestTrailers)

    /// The response's trailers have arrived: the end of the response.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn on_response_trailers(response: &mut ResponseTrailers<'_>) -> Result {
    ///     let failed = response.trailers().first("grpc-status")?.is_some_and(|status| status != "0");
    ///     if failed {
    ///         log::info!("the call failed");
    ///     }
    ///     Ok(Flow::Continue)
    /// }
    /// ```
    ResponseTrailers(ResponseTrailers)
}

/// The stream is over and is being logged: copies of its headers, to read only.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn on_log(log: &Log<'_>) -> Result<()> {
///     let agent = log.request_headers().first("user-agent")?.unwrap_or_default();
///     log::info!("answered {agent:?}");
///     Ok(())
/// }
/// ```
pub struct Log<'a> {
    phase: PhantomData<&'a mut ()>,
}

impl Log<'_> {
    pub(crate) fn new() -> Self {
        Self { phase: PhantomData }
    }

    /// The request's headers, as the filters left them.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(log: &Log<'_>) -> Result<()> {
    /// let path = log.request_headers().first(":path")?;
    /// # Ok(()) }
    /// ```
    pub fn request_headers(&self) -> Headers<'_> {
        Headers::new(Map::RequestHeaders)
    }

    /// The response's headers; empty when no response was sent.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(log: &Log<'_>) -> Result<()> {
    /// let status = log.response_headers().first(":status")?;
    /// # Ok(()) }
    /// ```
    pub fn response_headers(&self) -> Headers<'_> {
        Headers::new(Map::ResponseHeaders)
    }

    /// The response's trailers; empty when there were none.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(log: &Log<'_>) -> Result<()> {
    /// let status = log.response_trailers().first("grpc-status")?;
    /// # Ok(()) }
    /// ```
    pub fn response_trailers(&self) -> Headers<'_> {
        Headers::new(Map::ResponseTrailers)
    }
}
