//! HTTP calls to clusters of the proxy.

mod error;
mod exchange;

pub use error::CallError;

use crate::abi::pairs::Fields;
use crate::bytes::Bytes;
use crate::headers::{Snapshot, is_safe};
use exchange::Sending;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::rc::Rc;
use std::time::Duration;

/// A cluster of the proxy, by its name: where callouts go. Given by [`Root::cluster`](crate::Root::cluster).
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// async fn is_allowed(policy: Cluster, user: &str) -> Result<bool> {
///     let answer = policy.get(format!("/users/{user}")).send().await?;
///     Ok(answer.status() == 200)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster(Rc<str>);

impl Cluster {
    pub(crate) fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The cluster's name in the proxy's configuration.
    ///
    /// ```
    /// # use proxy_wasm_kit::Cluster;
    /// fn report(cluster: &Cluster) -> String {
    ///     format!("{} does not answer", cluster.name())
    /// }
    /// ```
    pub fn name(&self) -> &str {
        &self.0
    }

    /// A `GET`.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # async fn hook(cluster: Cluster) -> Result<()> {
    /// let keys = cluster.get("/jwks").send().await?.body().len();
    /// # Ok(()) }
    /// ```
    pub fn get(&self, path: impl AsRef<[u8]>) -> Call {
        self.call("GET", path)
    }

    /// A `POST`.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # async fn hook(cluster: Cluster) -> Result<()> {
    /// cluster.post("/events").body("something happened").send().await?;
    /// # Ok(()) }
    /// ```
    pub fn post(&self, path: impl AsRef<[u8]>) -> Call {
        self.call("POST", path)
    }

    /// A request with another method.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # async fn hook(cluster: Cluster) -> Result<()> {
    /// cluster.call("DELETE", "/sessions/1").send().await?;
    /// # Ok(()) }
    /// ```
    pub fn call(&self, method: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Call {
        Call::new(self, method.as_ref(), path.as_ref())
    }
}

/// More than a service has to say to a filter.
const LIMIT: usize = 1024 * 1024;

const TOO_LONG: &str = "a field does not fit into 32 bits";

/// Long for a filter; every call of an extension that matters names its own.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// A request that is being built. [`send`](Self::send) sends it.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// # async fn hook(cluster: Cluster, input: Vec<String>) -> Result<bool> {
/// let call = cluster.post("/v1/data/allow").header("x-tag", "a").json(&input).timeout_ms(200);
/// let allowed: bool = call.send().await?.json()?;
/// # Ok(allowed) }
/// ```
#[must_use = "a call does nothing before it is sent"]
#[derive(Clone)]
pub struct Call(Sending);

/// What is sent.
#[derive(Clone)]
struct Request {
    cluster: Cluster,
    /// Until it is sent.
    headers: Option<Fields>,
    body: Option<Vec<u8>>,
    /// Few have any.
    trailers: Option<Box<Fields>>,
    timeout: Option<Duration>,
    limit: usize,
    /// What is wrong with it; told when it is sent.
    mistake: Option<Box<str>>,
}

impl Call {
    fn new(cluster: &Cluster, method: &[u8], path: &[u8]) -> Self {
        let pseudo: [(&[u8], &[u8]); 3] =
            [(b":method", method), (b":path", path), (b":authority", cluster.0.as_bytes())];
        let headers = Fields::begin(&pseudo);
        Self(Sending::new(Request {
            cluster: cluster.clone(),
            mistake: if headers.is_some() { None } else { Some(TOO_LONG.into()) },
            headers,
            body: None,
            trailers: None,
            timeout: None,
            limit: LIMIT,
        }))
    }

    fn edit(mut self, edit: impl FnOnce(&mut Request)) -> Self {
        self.0.request().map(edit);
        self
    }

    /// Adds a header.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(cluster: Cluster, token: &Bytes) -> Call {
    /// cluster.get("/introspect").header("authorization", token)
    /// # }
    /// ```
    pub fn header(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.edit(|request| request.header(name.as_ref(), value.as_ref()))
    }

    /// Sets `:authority`, the `Host` of HTTP/1, which is the cluster's name otherwise.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(cluster: Cluster) -> Call {
    /// cluster.get("/jwks").authority("login.example.com")
    /// # }
    /// ```
    pub fn authority(self, authority: impl AsRef<[u8]>) -> Self {
        self.edit(|request| {
            let before = request.headers.take().unwrap_or_default();
            let others = before.iter().filter(|(name, _)| *name != b":authority");
            others.for_each(|(name, value)| request.push(name, value));
            request.header(b":authority", authority.as_ref());
        })
    }

    /// Sets the body. The proxy sets `content-length`.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(cluster: Cluster, line: String) -> Call {
    /// cluster.post("/log").body(line)
    /// # }
    /// ```
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        self.edit(|request| request.body = Some(body.into()))
    }

    /// Sets the body to a value as JSON, and `content-type`. What cannot be JSON fails when it is sent.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// #[derive(serde::Serialize)]
    /// struct Input {
    ///     path: String,
    /// }
    ///
    /// # fn hook(cluster: Cluster, path: String) -> Call {
    /// cluster.post("/v1/data").json(&Input { path })
    /// # }
    /// ```
    pub fn json(self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.header("content-type", "application/json").body(body),
            Err(error) => self.edit(|request| request.mistake = Some(format!("no JSON: {error}").into())),
        }
    }

    /// Adds a trailer behind the body.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(cluster: Cluster) -> Call {
    /// cluster.post("/upload").body("data").trailer("x-checksum", "7")
    /// # }
    /// ```
    pub fn trailer(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.edit(|request| request.trailer(name.as_ref(), value.as_ref()))
    }

    /// How long the response may take; 5 seconds unless this says otherwise, and never longer than the work that waits for
    /// it has left.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(cluster: Cluster) -> Call {
    /// cluster.get("/slow").timeout(std::time::Duration::from_secs(10))
    /// # }
    /// ```
    pub fn timeout(self, timeout: Duration) -> Self {
        self.edit(|request| request.timeout = Some(timeout))
    }

    /// The same in milliseconds.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(cluster: Cluster) -> Call {
    /// cluster.get("/quick").timeout_ms(20)
    /// # }
    /// ```
    pub fn timeout_ms(self, milliseconds: u64) -> Self {
        self.timeout(Duration::from_millis(milliseconds))
    }

    /// How large the body of the response may be; 1 MiB unless this says otherwise. More is not copied into the VM.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(cluster: Cluster) -> Call {
    /// cluster.get("/jwks").limit(64 * 1024)
    /// # }
    /// ```
    pub fn limit(self, bytes: usize) -> Self {
        self.edit(|request| request.limit = bytes)
    }

    /// Sends the request and waits for the response. Any status that a server sends is a response; one that the proxy makes
    /// up because no server answered is an error.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # async fn hook(cluster: Cluster) -> Result<u16> {
    /// let status = match cluster.get("/check").send().await {
    ///     Ok(answer) => answer.status(),
    ///     Err(error) if error.is_timeout() => 504,
    ///     Err(error) => return Err(error.into()),
    /// };
    /// # Ok(status) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CallError`] tells why there is no response.
    pub fn send(self) -> impl Future<Output = Result<CallResponse, CallError>> {
        self.0
    }
}

impl Request {
    fn header(&mut self, name: &[u8], value: &[u8]) {
        self.check(name, value);
        self.push(name, value);
    }

    fn push(&mut self, name: &[u8], value: &[u8]) {
        if self.headers.get_or_insert_default().push(name, value).is_none() {
            self.mistake = Some(TOO_LONG.into());
        }
    }

    fn trailer(&mut self, name: &[u8], value: &[u8]) {
        self.check(name, value);
        if self.trailers.get_or_insert_default().push(name, value).is_none() {
            self.mistake = Some(TOO_LONG.into());
        }
    }

    fn check(&mut self, name: &[u8], value: &[u8]) {
        if !is_safe(name) || !is_safe(value) {
            self.mistake = Some(format!("CR, LF or NUL in the field {}", name.escape_ascii()).into());
        }
    }
}

impl std::fmt::Debug for Call {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let request = self.0.unsent();
        write!(f, "[{:?}, {:?}]", request.cluster.name(), request.headers.clone().unwrap_or_default())
    }
}

/// The response to a callout.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn user(answer: &CallResponse) -> Option<&[u8]> {
///     if answer.status() == 200 { answer.headers().first("x-user") } else { None }
/// }
/// ```
#[derive(Debug)]
pub struct CallResponse {
    status: u16,
    headers: Snapshot,
    body: Bytes,
    trailers: Snapshot,
}

impl CallResponse {
    /// The status.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn denied(answer: &CallResponse) -> bool {
    ///     answer.status() == 403
    /// }
    /// ```
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The headers.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn is_json(answer: &CallResponse) -> bool {
    ///     answer.headers().first("content-type") == Some(b"application/json")
    /// }
    /// ```
    pub fn headers(&self) -> &Snapshot {
        &self.headers
    }

    /// The body.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn text(answer: &CallResponse) -> Option<&str> {
    ///     answer.body().as_str()
    /// }
    /// ```
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The trailers; empty when there were none.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn checksum(answer: &CallResponse) -> Option<&[u8]> {
    ///     answer.trailers().first("x-checksum")
    /// }
    /// ```
    pub fn trailers(&self) -> &Snapshot {
        &self.trailers
    }

    /// The body as JSON.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// #[derive(serde::Deserialize)]
    /// struct Verdict {
    ///     allowed: bool,
    /// }
    ///
    /// fn allowed(answer: &CallResponse) -> Result<bool> {
    ///     Ok(answer.json::<Verdict>()?.allowed)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// The body does not fit `T` ([`CallError::is_malformed`]).
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|error| CallError::malformed(error.to_string()))
    }
}
