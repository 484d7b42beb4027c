//! TCP connections through network filters: what both ends do goes in, what both ends got comes out.

use crate::exchange::Exchange;
use std::net::SocketAddr;
use std::time::Duration;

/// What happens on a connection, in this order. When it is through, the client ends what it sends, and then the upstream.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// What the two ends do.
    pub acts: Vec<Act>,
    /// Nobody listens at the upstream's address.
    pub refused: bool,
    /// Where the client says that it comes from.
    pub source: Option<SocketAddr>,
}

/// What one of the ends does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The client sends bytes.
    ClientSends(Vec<u8>),
    /// The client will send no more; it still receives.
    ClientEnds,
    /// The client is gone.
    ClientResets,
    /// The upstream sends bytes.
    UpstreamSends(Vec<u8>),
    /// The upstream will send no more; it still receives.
    UpstreamEnds,
    /// The upstream is gone.
    UpstreamResets,
    /// Time passes.
    Wait(Duration),
}

/// What could be seen of a connection.
#[derive(Clone, Debug, Default)]
pub struct Connected {
    /// What the client got.
    pub client: Vec<u8>,
    /// The client was told that no more will come.
    pub client_ended: bool,
    /// What the upstream got; none when it was never connected to.
    pub upstream: Option<Vec<u8>>,
    /// The cluster that it was sent to; none when the upstream was never connected to, or the connection never ended.
    pub cluster: Option<String>,
    /// The upstream was told that no more will come.
    pub upstream_ended: bool,
    /// A plugin held the connection back, and never let it go on.
    pub held_back: bool,
    /// Everything else, as of a request.
    pub seen: Exchange,
}
