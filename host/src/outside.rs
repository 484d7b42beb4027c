//! What lies around a proxy besides its client: the clusters that a plugin calls, and how they answer.
//!
//! The engine asks an [`Outside`] whenever a plugin calls out. The [`Scripted`] one of tests answers from [`Cluster`]s
//! that a [`Setup`](crate::exchange::Setup) names, on the engine's virtual clock. One for a live proxy starts a real
//! request, answers nothing, and reports what comes back by [`Worker::arrive`](crate::engine::Worker::arrive).
//!
//! gRPC is HTTP here: the engine frames messages and reads the status from trailers, as Envoy does.

mod grpc;
mod scripted;

pub use grpc::{Compressed, Frames, framed, grpc_response};
pub use scripted::Scripted;

use crate::exchange::{Headers, Message};
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// A request that a plugin sends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callout {
    /// What the plugin was given for it: unique in its VM.
    pub id: u32,
    /// The cluster it goes to.
    pub cluster: String,
    /// The request. Of a gRPC stream only the headers; its messages follow by [`Outside::send`].
    pub request: Message,
    /// Whether the request is whole; a gRPC stream is not.
    pub whole: bool,
    /// How long the plugin waits; the engine sees to it.
    pub timeout: Option<Duration>,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The headers, with `:status`; true when nothing follows.
    Headers(Headers, bool),
    /// A piece of the body; true when nothing follows.
    Data(Vec<u8>, bool),
    /// Trailers end the answer.
    Trailers(Headers),
    /// There is no answer, since the connection could not be made or broke off before; in Envoy's words ([`REFUSED`],
    /// [`TERMINATED`]).
    Failed(String),
    /// The stream breaks off in the middle of the answer, or the answer is larger than the proxy takes.
    Reset,
}

/// A piece of an answer, and when it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Counted from the call, or from what was sent last on a stream.
    pub after: Duration,
    /// What comes.
    pub part: Part,
}

/// The clusters around a proxy.
pub trait Outside: Send + Sync {
    /// Whether there is a cluster of this name.
    fn knows(&self, cluster: &str) -> bool;

    /// A callout leaves. None: it fails on the spot, since the cluster has no host. Otherwise what is known of the answer
    /// by now; a live outside knows nothing yet.
    fn call(&mut self, callout: &Callout) -> Option<Vec<Arrival>>;

    /// A plugin sends on a gRPC stream: framed messages, and whether its side ends with them.
    fn send(&mut self, id: u32, data: &[u8], end_of_stream: bool) -> Vec<Arrival>;

    /// A callout is of no interest any more: cancelled, or timed out.
    fn cancel(&mut self, id: u32);

    /// Takes what has reached the clusters so far, by cluster and in order.
    fn take_reached(&mut self) -> Vec<(String, Message)> {
        Vec::new()
    }
}

/// A cluster of a test: what it answers to one request after the other; the last answer is repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// In order. None at all means 200 without a body.
    pub answers: Vec<Answer>,
}

/// How a server of a test answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The response.
    pub message: Message,
    /// When it comes.
    pub delay: Duration,
    /// What goes wrong instead.
    pub fault: Option<Fault>,
    /// A gRPC answer, instead of a plain one.
    pub grpc: Option<GrpcAnswer>,
}

/// More than the proxy takes as the answer to a callout.
const OVERSIZE: usize = (32 << 20) + 1;

impl Answer {
    /// What arrives when the connection breaks off in the middle: all of the message but its end, which nothing has announced.
    pub fn cut_off(&self) -> Message {
        let Message { mut headers, body, .. } = self.message.clone();
        headers.remove("content-length");
        headers.set("transfer-encoding", "chunked");
        Message { headers, body, ..Message::default() }
    }

    /// The message with a body that is too large for the answer to a callout.
    pub fn oversized(&self) -> Message {
        let mut headers = self.message.headers.clone();
        headers.remove("transfer-encoding");
        headers.set("content-length", OVERSIZE.to_string());
        let mut body = vec![vec![b'x'; 1 << 16]; OVERSIZE >> 16];
        body.push(vec![b'x'; OVERSIZE % (1 << 16)]);
        Message { headers, body, ..Message::default() }
    }
}

impl From<Message> for Answer {
    fn from(message: Message) -> Self {
        Self { message, ..Self::default() }
    }
}

/// How a gRPC server of a test answers: its first message to the first of the client, and so on. It ends the stream when
/// the client has ended its side, or, to report an error, right after its last message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrpcAnswer {
    /// The status; 0 is success.
    pub status: u32,
    /// The text of the status.
    pub text: String,
    /// Initial metadata, besides what gRPC needs.
    pub metadata: Headers,
    /// Trailing metadata, besides the status.
    pub trailers: Headers,
    /// Messages, not framed.
    pub messages: Vec<Vec<u8>>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nobody listens: the connection is refused.
    Refuse,
    /// The cluster has no host at all.
    NoHost,
    /// The connection breaks off before the answer.
    Disconnect,
    /// The connection breaks off in the middle of the answer.
    Reset,
    /// There is never an answer.
    Timeout,
    /// The answer is larger than the proxy takes.
    Oversize,
}

/// Why a connection could not be made, in Envoy's words.
pub const REFUSED: &str =
    "remote connection failure, transport failure reason: delayed connect error: Connection refused";
/// Why a connection ended, in Envoy's words.
pub const TERMINATED: &str = "connection termination";

/// A whole message, in parts.
pub fn parts(message: Message) -> Vec<Part> {
    let Message { headers, body, trailers } = message;
    let trailers = Some(trailers).filter(|trailers| !trailers.0.is_empty());
    let last = body.len();
    let mut parts = vec![Part::Headers(headers, last == 0 && trailers.is_none())];
    let pieces = body.into_iter().enumerate();
    parts.extend(pieces.map(|(index, piece)| Part::Data(piece, index + 1 == last && trailers.is_none())));
    parts.extend(trailers.map(Part::Trailers));
    parts
}
