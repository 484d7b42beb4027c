//! A plugin as a network filter in a real Envoy: its listener, and connections through it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::SockRef;

use super::{Error, PATIENCE, Plugin, bootstrap, during, wait};
use crate::connection::{Act, Connected, Connection};
use crate::exchange::{Exchange, Setup};

/// How long something is waited for that need not come: the proxy may hold a connection back.
const HOLDBACK: Duration = Duration::from_millis(300);
/// The name of the cluster behind the plugin.
pub(super) const CLUSTER: &str = "tcp_upstream";

/// The server behind Envoy, which says and hears what a case wants.
#[derive(Debug)]
pub(super) struct Upstream(TcpListener);

impl Upstream {
    pub(super) fn start() -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    pub(super) fn address(&self) -> Result<SocketAddr, Error> {
        Ok(self.0.local_addr()?)
    }

    /// The connection that Envoy makes, if it makes one.
    fn accept(&self) -> Result<Option<End>, Error> {
        let stream = soon(|| match self.0.accept() {
            Ok((stream, _)) => Ok(Some(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        })?;
        stream.map(End::new).transpose()
    }
}

/// The listener that puts plugins, at least one, before the upstream.
pub(super) fn listener(
    (folder, vm_id): (&Path, &str),
    plugins: &[(PathBuf, &Setup)],
    filter_state: &[&str],
    announced: bool,
) -> Value {
    let (wasm, proxy) =
        ("envoy.extensions.filters.network.wasm.v3", "envoy.extensions.filters.network.tcp_proxy.v3");
    let filter = |(module, setup): &(PathBuf, &Setup)| {
        let plugin = json!({"config": bootstrap::plugin(vm_id, module, setup)});
        json!({"name": setup.name, "typed_config": bootstrap::any(wasm, "Wasm", plugin)})
    };
    let options = json!({
        "stat_prefix": "cases",
        "cluster": CLUSTER,
        "access_log": bootstrap::access_log(folder, vm_id, filter_state, plugins[0].1),
    });
    let mut filters: Vec<_> = plugins.iter().map(filter).collect();
    filters.push(json!({"name": "tcp", "typed_config": bootstrap::any(proxy, "TcpProxy", options)}));
    let mut listener = bootstrap::listener_with(vm_id, &json!(filters));
    if announced {
        let kind = "envoy.extensions.filters.listener.proxy_protocol.v3";
        let filter = bootstrap::any(kind, "ProxyProtocol", json!({}));
        listener["listener_filters"] = json!([{"name": "proxy_protocol", "typed_config": filter}]);
    }
    bootstrap::discovered(listener, plugins[0].1)
}

/// How a connection that comes from elsewhere begins, by the PROXY protocol.
fn announcement(source: SocketAddr) -> String {
    let (family, here) = if source.is_ipv4() { ("TCP4", "127.0.0.1") } else { ("TCP6", "::1") };
    format!("PROXY {family} {} {here} {} 10000\r\n", source.ip(), source.port())
}

impl Plugin<'_> {
    /// Makes one connection through the plugin.
    pub fn connect(&mut self, connection: &Connection) -> Result<Connected, Error> {
        let listening = self.envoy.tcp.address()?;
        let host = if connection.refused { self.envoy.closed.address() } else { listening };
        self.envoy.place(CLUSTER, Some(host))?;
        let log_start = self.envoy.process.log().end()?;
        let access_start = self.envoy.process.access().end()?;
        // Whatever an earlier connection has left behind.
        while self.envoy.tcp.0.accept().is_ok() {}
        let client = TcpStream::connect(self.address).map_err(during("cannot connect to Envoy"))?;
        let mut ends = Ends { client: End::new(client)?, upstream: None };
        if let Some(source) = connection.source {
            ends.client.send(announcement(source).as_bytes());
        }
        self.settle()?;
        for act in connection.acts.iter().chain(&[Act::ClientEnds, Act::UpstreamEnds]) {
            ends.act(act, &self.envoy.tcp)?;
            self.settle()?;
            ends.read()?;
        }
        let closed = soon(|| ends.read().map(|()| ends.client.over.then_some(())))?.is_some();
        let (upstream, upstream_ended) =
            ends.upstream.map_or((None, false), |end| (Some(end.received), end.over));
        let client_ended = ends.client.over;
        let received = std::mem::take(&mut ends.client.received);
        drop(ends.client);
        let (mut seen, mut cluster) = (Exchange::default(), None);
        if closed {
            let access = || self.envoy.process.access().of_vm(access_start, &self.vm_id);
            let record = wait("the access log", access)?;
            (seen.filter_state, seen.expressions, cluster) =
                (record.filter_state, record.expressions, record.cluster);
        }
        self.settle()?;
        seen.log = self.envoy.process.log().of_vm_from(log_start, &self.vm_id)?;
        let held_back = !closed;
        Ok(Connected { client: received, client_ended, upstream, cluster, upstream_ended, held_back, seen })
    }

    /// Twice: what the worker does for a connection may take another turn of its loop.
    fn settle(&self) -> Result<(), Error> {
        self.envoy.settle()?;
        self.envoy.settle()
    }
}

/// Both ends of a connection through the proxy.
struct Ends {
    client: End,
    upstream: Option<End>,
}

impl Ends {
    fn act(&mut self, act: &Act, upstream: &Upstream) -> Result<(), Error> {
        if self.upstream.is_none() && !self.client.over {
            self.upstream = upstream.accept()?;
        }
        let (end, bytes) = match act {
            Act::Wait(time) => {
                std::thread::sleep(*time);
                return Ok(());
            }
            Act::ClientSends(bytes) => (Some(&mut self.client), Some(bytes)),
            Act::UpstreamSends(bytes) => (self.upstream.as_mut(), Some(bytes)),
            Act::ClientEnds | Act::ClientResets => (Some(&mut self.client), None),
            Act::UpstreamEnds | Act::UpstreamResets => (self.upstream.as_mut(), None),
        };
        let Some(end) = end else { return Ok(()) };
        match (act, bytes) {
            (_, Some(bytes)) => end.send(bytes),
            (Act::ClientResets | Act::UpstreamResets, _) => end.reset(),
            _ => end.finish(),
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), Error> {
        self.client.read()?;
        self.upstream.as_mut().map_or(Ok(()), End::read)
    }
}

/// One end: what it has got, and whether more can come.
struct End {
    stream: Option<TcpStream>,
    received: Vec<u8>,
    over: bool,
}

impl End {
    fn new(stream: TcpStream) -> Result<Self, Error> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        stream.set_nonblocking(false)?;
        Ok(Self { stream: Some(stream), received: Vec::new(), over: false })
    }

    /// What the proxy does not want any more is lost, as in any network.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.as_mut().map(|stream| stream.write_all(bytes));
    }

    fn finish(&mut self) {
        let _ = self.stream.as_mut().map(|stream| stream.shutdown(Shutdown::Write));
    }

    /// Closes without a goodbye.
    fn reset(&mut self) {
        if let Some(stream) = self.stream.take() {
            // If this fails, the proxy sees an end instead, and the case says so.
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
        self.over = true;
    }

    /// Takes what has arrived.
    fn read(&mut self) -> Result<(), Error> {
        let mut piece = [0; 16 * 1024];
        while let Some(stream) = self.stream.as_mut().filter(|_| !self.over) {
            match stream.read(&mut piece) {
                Ok(0) => self.over = true,
                Ok(size) => self.received.extend(&piece[..size]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => self.over = true,
                Err(error) => return Err(during("cannot read from the proxy")(error)),
            }
        }
        Ok(())
    }
}

/// Asks again and again for something that need not come.
fn soon<T, E: Into<Error>>(mut ask: impl FnMut() -> Result<Option<T>, E>) -> Result<Option<T>, Error> {
    let start = Instant::now();
    loop {
        let answer = ask().map_err(Into::into)?;
        if answer.is_some() || start.elapsed() > HOLDBACK {
            return Ok(answer);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
