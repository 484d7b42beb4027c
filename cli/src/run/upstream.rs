//! Where requests go: a server that is reached by HTTP/1.1 or HTTP/2 without TLS, or the echo that is built in.

use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};
use std::time::Duration;

use super::message::{self, Outgoing};
use hyper::body::Incoming;
use hyper::{Response, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use proxy_wasm_kit_host::engine::{Outage, Passed};
use proxy_wasm_kit_host::exchange::{Headers, Message};
use proxy_wasm_kit_host::outside::{REFUSED, TERMINATED};
use tower_service::Service;

/// So much of a body the echo repeats.
const ECHOED: usize = 1024 * 1024;
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

/// Speaks to one server, keeping connections.
#[derive(Clone)]
pub(super) struct Sender {
    client: Client<Fixed, Outgoing>,
    address: String,
    version: Version,
}

/// A request on its way: the beginning of the answer.
pub(super) type Asked = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Down>>>>;

impl Sender {
    /// None for the echo.
    pub(super) fn new(upstream: &Upstream) -> Option<Self> {
        let Upstream::Server { address, http2 } = upstream else { return None };
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_PATIENCE));
        let mut builder = Client::builder(TokioExecutor::new());
        let builder = builder.pool_timer(TokioTimer::new()).http2_only(*http2);
        Some(Self {
            client: builder.build(Fixed { http, address: address.clone() }),
            address: address.clone(),
            version: if *http2 { Version::HTTP_2 } else { Version::HTTP_11 },
        })
    }

    /// Sends a request.
    pub(super) fn ask(&self, headers: &Headers, body: Outgoing) -> Asked {
        let address = self.address.clone();
        match message::give_request(headers, body, &address, self.version) {
            Ok(request) => {
                let answer = self.client.request(request);
                Box::pin(async move { answer.await.map_err(|error| Down::of(&address, &error)) })
            }
            Err(what) => Box::pin(std::future::ready(Err(Down::unsendable(&address, &what)))),
        }
    }

    /// What is said when there was no answer for that long.
    pub(super) fn late(&self, patience: Duration) -> Down {
        let text = format!("upstream {} did not answer within {} s", self.address, patience.as_secs());
        Down { outage: Outage::Late, text }
    }

    /// What is said when the answer is not whole.
    pub(super) fn cut(&self, reason: &str) -> Down {
        let text = format!("upstream {} broke off its answer: {reason}", self.address);
        Down { outage: Outage::Broken, text }
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
    pub(super) outage: Outage,
    /// What is said on the terminal.
    pub(super) text: String,
}

impl Down {
    fn of(address: &str, error: &hyper_util::client::legacy::Error) -> Self {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let (outage, what) = match error.is_connect() {
            true => (Outage::Refused, "cannot be reached"),
            false => (Outage::Broken, "did not answer"),
        };
        Self { outage, text: format!("upstream {address} {what}: {cause}; is it running?") }
    }

    /// Why a callout has failed, as a plugin gets to know it.
    pub(super) fn in_words_of_envoy(&self) -> &'static str {
        match self.outage {
            Outage::Refused => REFUSED,
            Outage::Broken | Outage::Late => TERMINATED,
        }
    }

    fn unsendable(address: &str, what: &str) -> Self {
        let text = format!("the {what} cannot be sent to upstream {address}");
        Self { outage: Outage::Broken, text }
    }
}

/// The upstream that is built in: it answers with the request, when that is whole.
#[derive(Default)]
pub(super) struct Echo {
    request: Headers,
    body: Vec<u8>,
    size: usize,
    trailers: Headers,
}

impl Echo {
    /// Takes what arrives. Returns the answer when the request is whole.
    pub(super) fn take(&mut self, passed: Passed) -> Option<Message> {
        if let Some(headers) = passed.headers {
            self.request = headers;
        }
        for piece in passed.body {
            self.size += piece.len();
            let room = ECHOED.saturating_sub(self.body.len()).min(piece.len());
            self.body.extend(piece.get(..room).unwrap_or_default());
        }
        self.trailers.0.extend(passed.trailers.unwrap_or_default().0);
        passed.end.then(|| self.answer())
    }

    /// The request as it arrived, as text.
    fn answer(&self) -> Message {
        let part = |name: &str| self.request.first(name).unwrap_or_default();
        let first = [part(":method"), b" ", part(":path"), b" HTTP/1.1\nhost: ", part(":authority"), b"\n"];
        let mut text = b"The upstream saw:\n".to_vec();
        text.extend(first.concat());
        text.extend(lines(&self.request));
        if self.size > 0 {
            text.extend([b"\n", self.body.as_slice(), b"\n"].concat());
        }
        if self.size > self.body.len() {
            text.extend(format!("... ({} bytes in all)\n", self.size).into_bytes());
        }
        if !self.trailers.0.is_empty() {
            text.push(b'\n');
            text.extend(lines(&self.trailers));
        }
        let answer = Message::response(200)
            .header("content-type", "text/plain; charset=utf-8")
            .header("content-length", text.len().to_string());
        if part(":method") == b"HEAD" { answer } else { answer.body(text) }
    }
}

fn lines(fields: &Headers) -> Vec<u8> {
    let fields = fields.0.iter().filter(|(name, _)| !name.starts_with(b":"));
    fields.flat_map(|(name, value)| [name, &b": "[..], value, b"\n"].concat()).collect()
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
