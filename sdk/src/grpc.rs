//! gRPC calls to clusters of the proxy: one message each way, or a stream.

mod error;
mod reception;
mod stream;

pub use error::GrpcError;
pub use stream::GrpcStream;

use crate::abi;
use crate::bytes::Bytes;
use crate::callout::{Cluster, TIMEOUT};
use crate::dispatch::tasks;
use reception::{Unary, Waiting};
use std::time::Duration;

impl Cluster {
    /// A gRPC service of the cluster, by its full name. To the proxy the cluster itself is the upstream; its endpoints have to
    /// speak HTTP/2.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # async fn hook(cluster: Cluster, entry: Vec<u8>) -> Result<()> {
    /// let reply: Bytes = cluster.grpc("acme.Log").unary("Write", &entry).await?;
    /// # Ok(()) }
    /// ```
    pub fn grpc(&self, service: &str) -> GrpcService {
        GrpcService { cluster: self.clone(), service: service.into(), metadata: Vec::new(), timeout: TIMEOUT }
    }
}

/// A gRPC service, given by [`Cluster::grpc`].
///
/// Messages are bytes. With the feature `prost`, `call` takes and gives prost messages.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn log(cluster: &Cluster) -> GrpcService {
///     cluster.grpc("acme.Log").metadata("x-tenant", "blue").timeout(std::time::Duration::from_secs(1))
/// }
/// ```
#[derive(Clone)]
pub struct GrpcService {
    cluster: Cluster,
    service: String,
    metadata: Vec<(String, Vec<u8>)>,
    timeout: Duration,
}

impl GrpcService {
    /// Adds initial metadata.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(service: GrpcService) -> GrpcService {
    /// service.metadata("authorization", "Bearer x")
    /// # }
    /// ```
    #[must_use]
    pub fn metadata(mut self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        self.metadata.push((name.into(), value.as_ref().to_vec()));
        self
    }

    /// How long the answer of a call may take; 5 seconds unless this says otherwise, and never longer than the work that
    /// waits for it has left. A stream has no time of its own.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # fn hook(service: GrpcService) -> GrpcService {
    /// service.timeout(std::time::Duration::from_millis(200))
    /// # }
    /// ```
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends one message and waits for the one that answers it.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # async fn hook(service: GrpcService) -> Result<()> {
    /// match service.unary("Check", b"").await {
    ///     Ok(answer) => log::info!("{} bytes", answer.len()),
    ///     Err(error) if error.code() == 7 => log::info!("denied: {}", error.message()),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`GrpcError`] holds the status; the proxy makes one up when no server answers.
    pub async fn unary(&self, method: &str, message: impl AsRef<[u8]>) -> Result<Bytes, GrpcError> {
        let Some(wait) = tasks::current() else { return Err(GrpcError::nobody_waits()) };
        let left = wait.left().map_err(GrpcError::refused)?;
        let timeout = left.map_or(self.timeout, |left| left.min(self.timeout));
        if self.timeout.is_zero() {
            return Err(GrpcError::elapsed());
        }
        if timeout.is_zero() {
            // The deadline is about to end the task. An error would let work try again and again for ever.
            std::future::pending::<()>().await;
        }
        let (cluster, metadata) = (self.cluster.name(), self.fields());
        let token =
            abi::calls::grpc_call(cluster, &self.service, method, &metadata, message.as_ref(), timeout);
        Waiting::new(token.map_err(GrpcError::refused)?, Unary::new(wait)).await
    }

    /// Sends one prost message and waits for the one that answers it. Needs the feature `prost`.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # async fn hook(service: GrpcService) -> Result<()> {
    /// let answer: String = service.call("Echo", &"a google.protobuf.StringValue".to_owned()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`unary`](Self::unary); an answer that is no `R` is an error with code 13.
    #[cfg(feature = "prost")]
    pub async fn call<R: prost::Message + Default>(
        &self,
        method: &str,
        message: &impl prost::Message,
    ) -> Result<R, GrpcError> {
        let answer = self.unary(method, message.encode_to_vec()).await?;
        R::decode(&*answer).map_err(|error| GrpcError::malformed(&error))
    }

    /// Opens a stream.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// # async fn hook(service: GrpcService) -> Result<()> {
    /// let mut stream = service.stream("Watch")?;
    /// stream.send(b"subscribe")?;
    /// while let Some(event) = stream.next().await? {
    ///     log::info!("{event:?}");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The proxy does not know the cluster, or none of its hosts is well.
    pub fn stream(&self, method: &str) -> Result<GrpcStream, GrpcError> {
        let token = abi::calls::grpc_stream(self.cluster.name(), &self.service, method, &self.fields());
        token.map(GrpcStream::new).map_err(GrpcError::refused)
    }

    fn fields(&self) -> Vec<(&str, &[u8])> {
        self.metadata.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }
}

impl std::fmt::Debug for GrpcService {
    /// Names only: metadata may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GrpcService({} at {})", self.service, self.cluster.name())
    }
}
