//! A body over all its chunks, for work that [`later`](crate::RequestBody::later) was given.

use crate::bytes::Bytes;
use crate::chunk::Chunk;
use crate::dispatch::tasks::{self, Extent};
use crate::extension::Result;
use crate::failure::Error;
use crate::phase::{RequestBody, ResponseBody};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::poll_fn;
use std::task::{Context, Poll};

impl Chunk {
    /// Takes over what has arrived since; whether there is more of it, or an end.
    fn look(&mut self) -> bool {
        let Some(wait) = tasks::current() else { return false };
        let Extent { size, end } = wait.message.arrived.get();
        let more = (size, end) != (self.size, self.end_of_stream);
        (self.size, self.end_of_stream) = (size, end);
        wait.message.seen.set(Extent { size, end });
        more
    }

    fn poll_more(&mut self, context: &Context<'_>) -> Poll<bool> {
        if self.end_of_stream {
            return Poll::Ready(false);
        }
        if self.look() {
            return Poll::Ready(true);
        }
        if let Some(wait) = tasks::current() {
            wait.message.waker.set(Some(context.waker().clone()));
        }
        Poll::Pending
    }

    async fn collect(&mut self, limit: usize, is_request: bool) -> Result<()> {
        self.look();
        loop {
            if self.size > limit {
                return Err(Error::too_large(limit, is_request));
            }
            if self.end_of_stream {
                return Ok(());
            }
            poll_fn(|context| self.poll_more(context)).await;
        }
    }
}

/// Declares what both bodies do.
macro_rules! bodies {
    ($($name:ident, $is_request:literal;)*) => {$(
        impl $name<'_> {
            /// Waits for the whole body and gives a copy of it. Trailers end it, too. From then on the view is of all of it:
            /// [`replace`](Self::replace) replaces the whole.
            ///
            /// Use it in work that [`later`](Self::later) was given. The proxy has a limit of its own, by default 1 MiB;
            /// Envoy answers 413 when a request exceeds it (a response: 500).
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn scan(body: &mut ", stringify!($name), "<'_>) -> BodyFlow {")]
            ///     body.later(async |body| match &*body.collect(64 * 1024).await? {
            ///         b"attack" => Ok(Flow::Reply(Response::new(400))),
            ///         _ => Ok(Flow::Continue),
            ///     })
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// There are more than `limit` bytes ([`Error::is_too_large`]), or `proxy_get_buffer_bytes` failed.
            pub async fn collect(&mut self, limit: usize) -> Result<Bytes> {
                self.chunk.collect(limit, $is_request).await?;
                Ok(self.bytes()?)
            }

            /// Waits for the whole body and reads it as JSON.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            /// #[derive(serde::Deserialize)]
            /// struct Order {
            ///     amount: u32,
            /// }
            ///
            #[doc = concat!("fn check(body: &mut ", stringify!($name), "<'_>) -> BodyFlow {")]
            ///     body.later(async |body| match body.collect_json::<Order>(4096).await? {
            ///         Ok(order) if order.amount < 1000 => Ok(Flow::Continue),
            ///         _ => Ok(Flow::Reply(Response::new(422))),
            ///     })
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// As [`collect`](Self::collect). That the body does not fit `T` is the inner error.
            pub async fn collect_json<T: DeserializeOwned>(
                &mut self,
                limit: usize,
            ) -> Result<Result<T, serde_json::Error>> {
                Ok(serde_json::from_slice(&self.collect(limit).await?))
            }

            /// Puts a value as JSON in the place of all bytes at hand.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn empty(body: &mut ", stringify!($name), "<'_>) -> Result<()> {")]
            ///     body.replace_json(&[0; 0])
            /// }
            /// ```
            ///
            /// # Errors
            ///
            /// The value cannot be JSON, or as [`replace`](Self::replace).
            pub fn replace_json(&mut self, value: &impl Serialize) -> Result<()> {
                Ok(self.replace(serde_json::to_vec(value).map_err(Error::new)?)?)
            }

            /// Waits for more of the body than the view knows of; `false` when nothing more comes.
            ///
            /// ```
            /// # use proxy_wasm_kit::prelude::*;
            #[doc = concat!("fn first_line(body: &mut ", stringify!($name), "<'_>) -> BodyFlow {")]
            ///     body.later(async |body| {
            ///         while !body.bytes()?.contains(&b'\n') && body.more().await {}
            ///         Ok(Flow::Continue)
            ///     })
            /// }
            /// ```
            pub async fn more(&mut self) -> bool {
                poll_fn(|context| self.chunk.poll_more(context)).await
            }
        }
    )*};
}

bodies! {
    RequestBody, true;
    ResponseBody, false;
}
