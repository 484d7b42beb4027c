//! HTTP/2 at both ends of a proxy: a client that sends and receives in pieces, and servers that do.

use http_body_util::BodyExt;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

type Pieces = UnboundedSender<Frame<Bytes>>;

/// A body in the making.
pub(crate) struct Making(UnboundedReceiver<Frame<Bytes>>);

impl hyper::body::Body for Making {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

/// A body, and where its pieces are put.
pub(crate) fn making() -> (Pieces, Making) {
    let (pieces, inbox) = unbounded_channel();
    (pieces, Making(inbox))
}

pub(crate) fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

pub(crate) fn trailers(name: &'static str, value: &str) -> Frame<Bytes> {
    let mut fields = HeaderMap::new();
    fields.insert(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
    Frame::trailers(fields)
}

/// Runs a client.
pub(crate) fn client<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
    runtime.block_on(work)
}

/// Sends a request on a connection of its own.
pub(crate) async fn send<B>(address: SocketAddr, request: Request<B>) -> Response<Incoming>
where
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let stream = tokio::net::TcpStream::connect(address).await.expect("somebody listens");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.expect("HTTP/2 is spoken");
    tokio::spawn(connection);
    sender.send_request(request).await.expect("an answer")
}

/// A server that ends with the test.
pub(crate) fn serve<F>(answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static) -> SocketAddr
where
    F: Future<Output = Response<Making>> + Send + 'static,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("it need not block");
    std::thread::spawn(move || {
        client(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let answer = answer.clone();
                let service = hyper::service::service_fn(move |request| {
                    let answer = answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
    });
    address
}

/// Says back each piece of a request as it comes, in capitals, and its trailer `x-sum` as `x-total`.
pub(crate) async fn converse(request: Request<Incoming>) -> Response<Making> {
    let (pieces, body) = making();
    tokio::spawn(async move {
        let mut incoming = request.into_body();
        while let Some(Ok(frame)) = incoming.frame().await {
            let said = match frame.into_data() {
                Ok(bytes) => Frame::data(bytes.to_ascii_uppercase().into()),
                Err(frame) => {
                    let fields = frame.into_trailers().unwrap_or_default();
                    let told =
                        |name: &str| fields.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
                    trailers("x-total", &format!("{} {}", told("x-sum"), told("x-added")))
                }
            };
            let _ = pieces.send(said);
        }
    });
    Response::new(body)
}

/// A gRPC server: says back each message behind the method's name, and ends well.
pub(crate) async fn grpc(request: Request<Incoming>) -> Response<Making> {
    let method = request.uri().path().to_owned();
    assert_eq!(request.headers().get("te").map(HeaderValue::as_bytes), Some(&b"trailers"[..]));
    let (pieces, body) = making();
    tokio::spawn(async move {
        let mut incoming = request.into_body();
        let mut held = Vec::new();
        while let Some(Ok(frame)) = incoming.frame().await {
            held.extend_from_slice(&frame.into_data().unwrap_or_default());
            while let Some(message) = take_message(&mut held) {
                let text = [method.as_bytes(), b" ", &message].concat();
                let size = u32::try_from(text.len()).expect("a short text").to_be_bytes();
                let _ = pieces.send(Frame::data([&[0], &size[..], &text].concat().into()));
            }
        }
        let _ = pieces.send(trailers("grpc-status", "0"));
    });
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn take_message(held: &mut Vec<u8>) -> Option<Vec<u8>> {
    let size = u32::from_be_bytes(held.get(1..5)?.try_into().ok()?) as usize;
    held.get(..5 + size)?;
    Some(held.drain(..5 + size).skip(5).collect())
}
