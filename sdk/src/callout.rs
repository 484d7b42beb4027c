//! HTTP calls to clusters of the proxy.

mod error;
mod exchange;

pub use error::CallError;

use crate::abi::calls::Field;
use crate::bytes::Bytes;
use crate::dispatch::tasks;
use crate::headers::{Snapshot, is_safe};
use exchange::Exchange;
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
        let pseudo = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
        let headers = vec![
            pseudo(":method", method.as_ref()),
            pseudo(":path", path.as_ref()),
            pseudo(":authority", self.0.as_bytes()),
        ];
        let (body, trailers, mistake) = (Vec::new(), Vec::new(), None);
        Call { cluster: self.clone(), headers, body, trailers, timeout: None, limit: LIMIT, mistake }
    }
}

/// More than a service has to say to a filter.
const LIMIT: usize = 1024 * 1024;

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
pub struct Call {
    cluster: Cluster,
    headers: Vec<Field>,
    body: Vec<u8>,
    trailers: Vec<Field>,
    timeout: Option<Duration>,
    limit: usize,
    /// What is wrong with it; told when it is sent.
    mistake: Option<String>,
}

impl Call {
    /// Adds a header.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(cluster: Cluster, token: &Bytes) -> Call {
    /// cluster.get("/introspect").header("authorization", token)
    /// # }
    /// ```
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.check(name.as_ref(), value.as_ref());
        self.headers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Sets `:authority`, the `Host` of HTTP/1, which is the cluster's name otherwise.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(cluster: Cluster) -> Call {
    /// cluster.get("/jwks").authority("login.example.com")
    /// # }
    /// ```
    pub fn authority(mut self, authority: impl AsRef<[u8]>) -> Self {
        let authority = authority.as_ref();
        self.check(b":authority", authority);
        self.headers.retain(|(name, _)| name != b":authority");
        self.headers.push((b":authority".to_vec(), authority.to_vec()));
        self
    }

    /// Sets the body. The proxy sets `content-length`.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(cluster: Cluster, line: String) -> Call {
    /// cluster.post("/log").body(line)
    /// # }
    /// ```
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
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
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.header("content-type", "application/json").body(body),
            Err(error) => {
                self.mistake = Some(format!("no JSON: {error}"));
                self
            }
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
    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.check(name.as_ref(), value.as_ref());
        self.trailers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
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
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
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
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    fn check(&mut self, name: &[u8], value: &[u8]) {
        if !is_safe(name) || !is_safe(value) {
            self.mistake = Some(format!("CR, LF or NUL in the field {}", name.escape_ascii()));
        }
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
    pub async fn send(self) -> Result<CallResponse, CallError> {
        if let Some(mistake) = self.mistake {
            return Err(CallError::mistake(mistake));
        }
        let Some(wait) = tasks::current() else { return Err(CallError::nobody_waits()) };
        let asked = self.timeout.unwrap_or(TIMEOUT);
        let timeout = wait.left().map_err(CallError::refused)?.map_or(asked, |left| left.min(asked));
        if timeout.is_zero() {
            return Err(CallError::timeout(timeout));
        }
        let exchange = Exchange::begin(&self, timeout, wait)?;
        exchange.await
    }
}

impl std::fmt::Debug for Call {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.headers.iter().map(|(name, _)| name.escape_ascii().to_string());
        f.debug_list().entry(&self.cluster.name()).entries(names).finish()
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
