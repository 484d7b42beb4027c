//! Between hyper's messages and the host's: headers are bytes on both sides, bodies are collected up to a limit.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Display;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::response;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use proxy_wasm_kit_host::exchange::{Headers, Message};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What concerns one connection only.
const HOP_BY_HOP: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];

/// The body of what is sent.
pub(super) type Outgoing = UnsyncBoxBody<Bytes, Infallible>;

/// Why a message could not be taken in.
#[derive(Debug)]
pub(super) enum Refused {
    /// Its body is larger than the limit.
    TooLarge,
    /// It broke off.
    Broken(String),
}

/// A request as a plugin sees it.
pub(super) async fn take_request<B>(request: Request<B>, limit: usize) -> Result<Message, Refused>
where
    B: Body<Data = Bytes, Error: Display> + Unpin,
{
    let (head, body) = request.into_parts();
    let mut message = Message::default();
    let host = head.headers.get("host").map(HeaderValue::as_bytes);
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes()).or(host);
    message.headers.add(":authority", authority.unwrap_or_default());
    message.headers.add(":path", head.uri.path_and_query().map_or("/", |path| path.as_str()));
    message.headers.add(":method", head.method.as_str());
    message.headers.add(":scheme", "http");
    message.headers.0.extend(fields(&head.headers).0);
    take_body(message, body, limit).await
}

/// A response as a plugin sees it.
pub(super) async fn take_response<B>(response: Response<B>, limit: usize) -> Result<Message, Refused>
where
    B: Body<Data = Bytes, Error: Display> + Unpin,
{
    let (head, body) = response.into_parts();
    take_body(response_head(&head), body, limit).await
}

/// A response without its body.
pub(super) fn response_head(head: &response::Parts) -> Message {
    let mut message = Message::response(head.status.as_u16());
    message.headers.0.extend(fields(&head.headers).0);
    message
}

/// The fields that concern more than one connection.
pub(super) fn fields(headers: &HeaderMap) -> Headers {
    let kept = |name: &HeaderName, value: &HeaderValue| {
        // Of `te` a proxy passes on the one word that gRPC asks for.
        name != "host" && (!HOP_BY_HOP.contains(&name.as_str()) || (name == "te" && value == "trailers"))
    };
    let mut fields = Headers::default();
    let all = headers.iter().filter(|(name, value)| kept(name, value));
    all.for_each(|(name, value)| fields.add(name.as_str(), value.as_bytes()));
    fields
}

async fn take_body<B>(mut message: Message, mut body: B, limit: usize) -> Result<Message, Refused>
where
    B: Body<Data = Bytes, Error: Display> + Unpin,
{
    let too_large = |size: u64| size > limit as u64;
    if too_large(body.size_hint().lower()) {
        return Err(Refused::TooLarge);
    }
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        match frame.map_err(|error| Refused::Broken(error.to_string()))?.into_data() {
            Ok(piece) => {
                size += piece.len() as u64;
                if too_large(size) {
                    return Err(Refused::TooLarge);
                }
                message.body.push(piece.to_vec());
            }
            Err(frame) => message.trailers = fields(&frame.into_trailers().unwrap_or_default()),
        }
    }
    message.body.retain(|piece| !piece.is_empty());
    Ok(message)
}

/// A request for a server. The error says what of it cannot be sent.
pub(super) fn give_request(
    message: &Message,
    body: Outgoing,
    address: &str,
    version: Version,
) -> Result<Request<Outgoing>, String> {
    let part = |name: &str| message.headers.first(name).unwrap_or_default();
    let text = |name: &str| String::from_utf8_lossy(part(name)).into_owned();
    let method = Method::from_bytes(part(":method")).map_err(|_| format!("method {:?}", text(":method")))?;
    // The connection goes to `address` whatever stands here; an authority that is none is not sent.
    let authority = Some(text(":authority")).filter(|text| !text.is_empty()).unwrap_or(address.to_owned());
    let uri = |authority: &str| format!("http://{authority}{}", text(":path")).parse::<Uri>();
    let uri = uri(&authority).or_else(|_| uri(address)).map_err(|_| format!("path {:?}", text(":path")))?;
    let mut headers = map(&message.headers);
    if !message.trailers.0.is_empty() {
        // HTTP/1.1 has room for trailers only behind chunks.
        headers.remove("content-length");
    }
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = version;
    *request.headers_mut() = headers;
    Ok(request)
}

/// A response for the client.
pub(super) fn give_response(message: &Message) -> Response<Outgoing> {
    let mut response = Response::new(whole_body(message));
    *response.status_mut() = StatusCode::from_u16(message.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = map(&message.headers);
    if !message.trailers.0.is_empty() {
        let names = message.trailers.0.iter().map(|(name, _)| String::from_utf8_lossy(name));
        let names = names.collect::<Vec<_>>().join(", ");
        response.headers_mut().remove("content-length");
        // Without an announcement HTTP/1.1 leaves trailers out.
        if let Ok(names) = HeaderValue::from_str(&names) {
            response.headers_mut().insert("trailer", names);
        }
    }
    response
}

/// A field that HTTP cannot carry is left out.
fn map(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers.0.iter().filter(|(name, _)| !name.starts_with(b":")) {
        let parsed = HeaderName::from_bytes(name).ok().zip(HeaderValue::from_bytes(value).ok());
        if let Some((name, value)) = parsed {
            map.append(name, value);
        }
    }
    for name in HOP_BY_HOP.iter().filter(|name| **name != "te") {
        map.remove(*name);
    }
    map
}

/// The body and the trailers of a message.
pub(super) fn whole_body(message: &Message) -> Outgoing {
    let pieces = message.body.iter().filter(|piece| !piece.is_empty());
    let mut frames: VecDeque<_> = pieces.map(|piece| Frame::data(Bytes::copy_from_slice(piece))).collect();
    let trailers = map(&message.trailers);
    // With a known size HTTP/1.1 would leave out the trailers.
    let size = if trailers.is_empty() { SizeHint::with_exact(length(message)) } else { SizeHint::default() };
    if !trailers.is_empty() {
        frames.push_back(Frame::trailers(trailers));
    }
    Whole { frames, size }.boxed_unsync()
}

/// The bytes of a message's body.
pub(super) fn length(message: &Message) -> u64 {
    message.body.iter().map(|piece| piece.len() as u64).sum()
}

/// Whether the stated length is that of the body. A plugin that changes a body has to take the length away.
pub(super) fn length_is_right(message: &Message) -> bool {
    let stated = message.headers.first("content-length");
    stated.is_none_or(|stated| stated == length(message).to_string().as_bytes())
}

/// Puts a wrong length right. Envoy sends what it is told, which helps nobody who is about to learn of it by the trace.
pub(super) fn mend_length(message: &mut Message) {
    if !length_is_right(message) {
        message.headers.set("content-length", length(message).to_string());
    }
}

/// A body whose pieces are still to come; it ends when the sender is dropped.
pub(super) fn pipe() -> (UnboundedSender<Vec<u8>>, Outgoing) {
    let (sender, pieces) = unbounded_channel();
    (sender, Pipe(pieces).boxed_unsync())
}

/// A body that is all there.
struct Whole {
    frames: VecDeque<Frame<Bytes>>,
    size: SizeHint,
}

/// A body in the making.
struct Pipe(UnboundedReceiver<Vec<u8>>);

type Polled = Poll<Option<Result<Frame<Bytes>, Infallible>>>;

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Polled {
        Poll::Ready(self.frames.pop_front().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.size
    }
}

impl Body for Pipe {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece.into()))))
    }
}
