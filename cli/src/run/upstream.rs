//! Where requests go: a server that is reached by HTTP/1.1 or HTTP/2 without TLS, or the echo that is built in.

use std::str::FromStr;
use std::task::{Context, Poll};
use std::time::Duration;

use super::message::{self, Outgoing, Refused};
use hyper::body::Incoming;
use hyper::{Response, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use proxy_wasm_kit_host::exchange::Message;
use tower_service::Service;

const PATIENCE: Duration = Duration::from_secs(60);
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// `echo`, `http://HOST:PORT` or `h2c://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Upstream {
    Echo,
    Server {
        /// Host and port.
        address: String,
        /// HTTP/2, known beforehand.
        http2: bool,
    },
}

impl FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "echo" {
            return Ok(Self::Echo);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("is no URL; write echo, http://HOST:PORT, or h2c://HOST:PORT for HTTP/2".into());
        };
        let http2 = match scheme {
            "http" => false,
            "h2c" => true,
            "https" => {
                return Err("https is not spoken to upstreams; use http://, or h2c:// for HTTP/2".into());
            }
            _ => return Err(format!("scheme {scheme} is unknown; use http://, or h2c:// for HTTP/2")),
        };
        let address = rest.strip_suffix('/').unwrap_or(rest);
        if address.is_empty() || address.contains(['/', '?', '#', '@']) {
            return Err("has to be host and port only; a request brings its own path".into());
        }
        Ok(Self::Server { address: address.to_owned(), http2 })
    }
}

/// Speaks to one upstream, keeping connections.
#[derive(Clone)]
pub(super) struct Sender {
    upstream: Upstream,
    client: Client<Fixed, Outgoing>,
    body_limit: usize,
}

impl Sender {
    pub(super) fn new(upstream: Upstream, body_limit: usize) -> Self {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_PATIENCE));
        let (address, http2) = match &upstream {
            Upstream::Echo => (String::new(), false),
            Upstream::Server { address, http2 } => (address.clone(), *http2),
        };
        let mut builder = Client::builder(TokioExecutor::new());
        let client = builder.pool_timer(TokioTimer::new()).http2_only(http2).build(Fixed { http, address });
        Self { upstream, client, body_limit }
    }

    /// The upstream's whole answer.
    pub(super) async fn send(&self, request: &Message) -> Result<Message, Down> {
        let Upstream::Server { address, .. } = &self.upstream else { return Ok(echo(request)) };
        let answer = async {
            let response = self.open(request, message::whole_body(request)).await?;
            message::take_response(response, self.body_limit)
                .await
                .map_err(|refused| self.cut(address, refused))
        };
        let late =
            || Down::new(504, format!("upstream {address} did not answer within {} s", PATIENCE.as_secs()));
        tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(late()))
    }

    /// The beginning of the upstream's answer.
    pub(super) async fn open(&self, request: &Message, body: Outgoing) -> Result<Response<Incoming>, Down> {
        let Upstream::Server { address, http2 } = &self.upstream else {
            return Err(Down::new(502, "the echo answers requests, not callouts; name a server".into()));
        };
        let version = if *http2 { Version::HTTP_2 } else { Version::HTTP_11 };
        let request = message::give_request(request, body, address, version)
            .map_err(|what| Down::new(502, format!("the {what} cannot be sent to upstream {address}")))?;
        self.client.request(request).await.map_err(|error| unreachable(address, &error))
    }

    fn cut(&self, address: &str, refused: Refused) -> Down {
        let limit = self.body_limit;
        let text = match refused {
            Refused::TooLarge => {
                format!("upstream {address} answered with more than {limit} bytes; raise --max-body")
            }
            Refused::Broken(reason) => format!("upstream {address} broke off its answer: {reason}"),
        };
        Down::new(502, text)
    }
}

/// Connects to one address, whatever the request calls its server.
#[derive(Clone)]
struct Fixed {
    http: HttpConnector,
    address: String,
}

impl Service<Uri> for Fixed {
    type Response = <HttpConnector as Service<Uri>>::Response;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = <HttpConnector as Service<Uri>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.http.poll_ready(context)
    }

    fn call(&mut self, requested: Uri) -> Self::Future {
        let fixed = format!("http://{}/", self.address).parse();
        self.http.call(fixed.unwrap_or(requested))
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Down {
    pub(super) status: u16,
    pub(super) text: String,
}

impl Down {
    fn new(status: u16, text: String) -> Self {
        Self { status, text }
    }

    /// What the client gets instead.
    pub(super) fn response(&self) -> Message {
        let body = format!("{}\n", self.text);
        Message::response(self.status)
            .header("content-type", "text/plain; charset=utf-8")
            .header("content-length", body.len().to_string())
            .body(body)
    }
}

fn unreachable(address: &str, error: &hyper_util::client::legacy::Error) -> Down {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let what = if error.is_connect() { "cannot be reached" } else { "did not answer" };
    Down::new(502, format!("upstream {address} {what}: {cause}; is it running?"))
}

/// The request as it arrived, as text.
fn echo(request: &Message) -> Message {
    let part = |name: &str| request.headers.first(name).unwrap_or_default();
    let mut text = b"The upstream saw:\n".to_vec();
    text.extend(
        [part(":method"), b" ", part(":path"), b" HTTP/1.1\nhost: ", part(":authority"), b"\n"].concat(),
    );
    let fields = request.headers.0.iter().filter(|(name, _)| !name.starts_with(b":"));
    fields.for_each(|(name, value)| text.extend([name, &b": "[..], value, b"\n"].concat()));
    if !request.body.is_empty() {
        text.extend([b"\n", request.whole_body().as_slice(), b"\n"].concat());
    }
    Message::response(200)
        .header("content-type", "text/plain; charset=utf-8")
        .header("content-length", text.len().to_string())
        .body(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_are_named_by_scheme_host_and_port() {
        let server = |address: &str, http2| Ok(Upstream::Server { address: address.into(), http2 });
        assert_eq!("echo".parse(), Ok(Upstream::Echo));
        assert_eq!("http://a:1/".parse(), server("a:1", false));
        assert_eq!("h2c://[::1]:2".parse(), server("[::1]:2", true));
        for wrong in ["a:1", "https://a", "ftp://a", "http://a/b", "http://"] {
            assert!(wrong.parse::<Upstream>().is_err(), "{wrong}");
        }
    }
}
