//! Between hyper's messages and the host's: headers are bytes on both sides, bodies pass in pieces.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::{request, response};
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use proxy_wasm_kit_host::engine::Passed;
use proxy_wasm_kit_host::exchange::{Headers, Message};
use tokio::sync::mpsc;

/// What concerns one connection only, or is answered by the proxy, as `expect` is.
const HOP_BY_HOP: [&str; 7] =
    ["connection", "expect", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];
/// Pieces that wait for whoever reads a body.
const WAITING: usize = 4;

/// The headers of a request as a plugin sees them.
pub(super) fn request_head(head: &request::Parts) -> Headers {
    let host = head.headers.get("host").map(HeaderValue::as_bytes);
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes()).or(host);
    let mut headers = Headers(Vec::with_capacity(head.headers.len() + 6));
    headers.add(":authority", authority.unwrap_or_default());
    headers.add(":path", head.uri.path_and_query().map_or("/", |path| path.as_str()));
    headers.add(":method", head.method.as_str());
    headers.add(":scheme", "http");
    take_fields(&mut headers, &head.headers);
    headers
}

/// The headers of a response as a plugin sees them.
pub(super) fn response_head(head: &response::Parts) -> Headers {
    let mut headers = Headers(Vec::with_capacity(head.headers.len() + 4));
    headers.add(":status", head.status.as_str());
    take_fields(&mut headers, &head.headers);
    headers
}

/// The fields that concern more than one connection.
fn take_fields(fields: &mut Headers, headers: &HeaderMap) {
    let kept = |name: &HeaderName, value: &HeaderValue| {
        // Of `te` a proxy passes on the one word that gRPC asks for.
        name != "host" && (!HOP_BY_HOP.contains(&name.as_str()) || (name == "te" && value == "trailers"))
    };
    let all = headers.iter().filter(|(name, value)| kept(name, value));
    all.for_each(|(name, value)| fields.0.push((name.as_str().into(), value.as_bytes().into())));
}

/// A request for a server. The error says what of it cannot be sent.
pub(super) fn give_request(
    headers: &Headers,
    body: Outgoing,
    address: &str,
    version: Version,
) -> Result<Request<Outgoing>, String> {
    let part = |name: &str| headers.first(name).unwrap_or_default();
    let text = |name: &str| String::from_utf8_lossy(part(name)).into_owned();
    let method = Method::from_bytes(part(":method")).map_err(|_| format!("method {:?}", text(":method")))?;
    // The connection goes to `address` whatever stands here; an authority that is none is not sent.
    let authority = Some(text(":authority")).filter(|text| !text.is_empty()).unwrap_or(address.to_owned());
    let uri = |authority: &str| format!("http://{authority}{}", text(":path")).parse::<Uri>();
    let uri = uri(&authority).or_else(|_| uri(address)).map_err(|_| format!("path {:?}", text(":path")))?;
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    *request.headers_mut() = map(headers);
    Ok(request)
}

/// A response for the client.
pub(super) fn give_response(headers: &Headers, body: Outgoing) -> Response<Outgoing> {
    let status = headers.first(":status").and_then(|status| StatusCode::from_bytes(status).ok());
    let mut fields = map(headers);
    if let Some(trailers) = body.trailers() {
        // Without an announcement HTTP/1.1 leaves trailers out, and beside a length it has no room for them.
        let names = trailers.keys().map(HeaderName::as_str).collect::<Vec<_>>().join(", ");
        fields.remove("content-length");
        if let Ok(names) = HeaderValue::from_str(&names) {
            fields.insert("trailer", names);
        }
    }
    let mut response = Response::new(body);
    *response.status_mut() = status.unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = fields;
    response
}

/// A field that HTTP cannot carry is left out.
fn map(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.0.len());
    for (name, value) in headers.0.iter().filter(|(name, _)| !name.starts_with(b":")) {
        let parsed = HeaderName::from_bytes(name).ok().zip(HeaderValue::from_bytes(value).ok());
        if let Some((name, value)) = parsed
            && (name == "te" || !HOP_BY_HOP.contains(&name.as_str()))
        {
            map.append(name, value);
        }
    }
    map
}

/// A body that arrives.
pub(super) struct Inflow {
    body: Incoming,
    /// As in HTTP/1.1 the end comes behind the last piece, and not with it.
    ends_apart: bool,
}

/// What arrives of it.
pub(super) enum Piece {
    /// Bytes, and whether they are the last.
    Data(Vec<u8>, bool),
    /// Trailers end it.
    Trailers(Headers),
    /// It broke off.
    Broken(String),
}

impl Inflow {
    /// What follows the headers; nothing, if they end the message.
    pub(super) fn new(body: Incoming, version: Version) -> Option<Self> {
        (!body.is_end_stream()).then_some(Self { body, ends_apart: version != Version::HTTP_2 })
    }

    pub(super) async fn next(&mut self) -> Piece {
        match self.body.frame().await {
            None => Piece::Data(Vec::new(), true),
            Some(Err(error)) => Piece::Broken(error.to_string()),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Piece::Data(data.into(), !self.ends_apart && self.body.is_end_stream()),
                Err(frame) => {
                    let mut trailers = Headers::default();
                    take_fields(&mut trailers, &frame.into_trailers().unwrap_or_default());
                    Piece::Trailers(trailers)
                }
            },
        }
    }
}

/// The body of what is sent.
pub(super) enum Outgoing {
    /// All of it is there.
    Whole(VecDeque<Frame<Bytes>>),
    /// Some of it is still to come.
    Pipe(mpsc::Receiver<Item>),
}

/// What passes a pipe: without an end the body breaks off.
pub(super) enum Item {
    Frame(Frame<Bytes>),
    End,
}

/// The body breaks off.
#[derive(Debug)]
pub(super) struct Reset;

impl fmt::Display for Reset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the stream was reset")
    }
}

impl std::error::Error for Reset {}

impl Outgoing {
    /// The body of a message of the proxy's own.
    pub(super) fn of(message: &Message) -> Self {
        let mut out = Out::default();
        let Message { body, trailers, .. } = message.clone();
        out.push(Passed { headers: None, body, trailers: Some(trailers), end: true });
        out.whole()
    }

    fn trailers(&self) -> Option<&HeaderMap> {
        match self {
            Self::Whole(frames) => frames.back().and_then(Frame::trailers_ref),
            Self::Pipe(_) => None,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Reset;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Reset>>> {
        match &mut *self {
            Self::Whole(frames) => Poll::Ready(frames.pop_front().map(Ok)),
            Self::Pipe(pieces) => pieces.poll_recv(context).map(|piece| match piece {
                Some(Item::Frame(frame)) => Some(Ok(frame)),
                Some(Item::End) => None,
                None => Some(Err(Reset)),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(frames) if frames.is_empty())
    }
}

/// Where pieces wait until they are sent.
#[derive(Default)]
pub(super) struct Out {
    waiting: VecDeque<Item>,
    sender: Option<mpsc::Sender<Item>>,
    /// The end has been added.
    ended: bool,
}

/// How it goes on with an [`Out`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// A piece was taken.
    Piece,
    /// The end was taken.
    End,
    /// Nobody wants any more.
    Gone,
}

impl Out {
    /// Adds what has left the plugins.
    pub(super) fn push(&mut self, passed: Passed) {
        let pieces = passed.body.into_iter().filter(|piece| !piece.is_empty());
        self.waiting.extend(pieces.map(|piece| Item::Frame(Frame::data(piece.into()))));
        let trailers = passed.trailers.filter(|trailers| !trailers.0.is_empty());
        self.waiting.extend(trailers.map(|trailers| Item::Frame(Frame::trailers(map(&trailers)))));
        if passed.end && !std::mem::replace(&mut self.ended, true) {
            self.waiting.push_back(Item::End);
        }
    }

    /// All that has been added, which is all that there is.
    pub(super) fn whole(&mut self) -> Outgoing {
        let frame = |item| match item {
            Item::Frame(frame) => Some(frame),
            Item::End => None,
        };
        Outgoing::Whole(self.waiting.drain(..).filter_map(frame).collect())
    }

    /// A body to which pieces are still added.
    pub(super) fn pipe(&mut self) -> Outgoing {
        let (sender, receiver) = mpsc::channel(WAITING);
        self.sender = Some(sender);
        Outgoing::Pipe(receiver)
    }

    /// Nothing waits.
    pub(super) fn is_clear(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Sends a piece when there is room for it; without one it waits for the reader to go away.
    pub(super) async fn send(&mut self) -> Sent {
        let Some(sender) = &self.sender else { return std::future::pending().await };
        if self.waiting.is_empty() {
            sender.closed().await;
            return Sent::Gone;
        }
        match sender.reserve().await {
            Ok(room) => {
                let item = self.waiting.pop_front().unwrap_or(Item::End);
                let sent = if matches!(item, Item::End) { Sent::End } else { Sent::Piece };
                room.send(item);
                sent
            }
            Err(_) => Sent::Gone,
        }
    }
}
