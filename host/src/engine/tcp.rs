//! TCP connections (rows 29, 31, 49, 52): the state of one, and what host functions do to it. `drive` plays Envoy's
//! network filters and its TCP proxy behind them.
//!
//! Measured on Envoy 1.40, beyond the table:
//!
//! - The upstream is connected to when all plugins have let the new connection pass, and nothing is read of the client before.
//!   A plugin that stops there and never resumes keeps the connection for ever: its end is not even noticed.
//! - Any action other than 0 stops. What was stopped is shown again, whole, with the next piece; a resumption lets it pass
//!   behind the plugin without showing it again. Upstream data cannot be resumed.
//! - Of data that an end of stream comes with, the end is told in the same callback; else it is one of its own, of size 0.
//! - The upstream's end is told as data, and then as `proxy_on_upstream_connection_close` with type 0, also when the data was
//!   stopped. A reset of the upstream is neither: the plugin hears of its own side only, closed locally.
//! - Closing either side closes the client's connection; what was shown last is lost.
//! - `proxy_send_local_response` and the continuations of HTTP are Ok and do nothing.

mod drive;

use super::guest::Side;
use super::stream::Stream;
use crate::connection::Connection;
use std::net::SocketAddr;

/// Where a connection goes that no plugin sends elsewhere.
const CLUSTER: &str = "tcp_upstream";

/// A connection, beside what it has in common with an HTTP stream.
#[derive(Debug, Default)]
pub(super) struct Tcp {
    pub(super) downstream: Flow,
    pub(super) upstream: Flow,
    /// How many plugins have been told of the connection.
    introduced: usize,
    /// Nobody listens at the upstream's address.
    refused: bool,
    /// Where the client says that it comes from.
    pub(super) source: Option<SocketAddr>,
    /// The cluster that a plugin has sent it to, as the TCP proxy has read it.
    cluster: Option<String>,
    connected: bool,
    /// The client's connection is closed.
    closed: bool,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// What has not passed the plugins.
    pub(super) buffer: Vec<u8>,
    /// The sender will send no more.
    ended: bool,
    /// The receiver was told so.
    end_passed: bool,
    received: Vec<u8>,
}

impl Flow {
    /// Bytes to be shown, and whether they are the last; none when there is nothing new.
    fn pending(&self) -> Option<(usize, bool)> {
        let end = self.ended && !self.end_passed;
        (end || !self.buffer.is_empty()).then_some((self.buffer.len(), end))
    }

    /// Returns how many bytes have passed.
    fn pass(&mut self) -> usize {
        let size = self.buffer.len();
        self.received.append(&mut self.buffer);
        self.end_passed |= self.ended;
        size
    }
}

impl Tcp {
    fn new(connection: &Connection) -> Self {
        Self { refused: connection.refused, source: connection.source, ..Self::default() }
    }

    /// Where the connection goes.
    pub(super) fn cluster(&self) -> &str {
        self.cluster.as_deref().unwrap_or(CLUSTER)
    }

    pub(super) fn flow(&mut self, side: Side) -> &mut Flow {
        match side {
            Side::Request => &mut self.downstream,
            Side::Response => &mut self.upstream,
        }
    }
}

impl Stream {
    /// The data of a connection that the plugin can reach now.
    pub(super) fn data(&mut self, side: Side) -> Option<&mut Vec<u8>> {
        let reached = self.gate(side).reach.chunk;
        self.tcp.as_mut().filter(|_| reached).map(|tcp| &mut tcp.flow(side).buffer)
    }
}
