//! The proxy: accepts connections, serves what comes on them, and tells what came of it.

use std::cell::{Cell, RefCell};
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use super::engine::Engine;
use super::metrics::Statistics;
use super::passage::Passage;
use super::terminal::Terminal;
use super::trace::{self, Story};
use super::upstream::Sender;
use hyper::service::service_fn;
use hyper::{Request, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use proxy_wasm_kit_host::engine::Link;
use proxy_wasm_kit_host::exchange::{Headers, Protocol};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// So long requests under way, and plugins that are not done yet, may take when the proxy is told to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// What all connections have in common.
pub(super) struct Proxy {
    pub(super) engine: Rc<Engine>,
    /// None for the echo.
    pub(super) upstream: Option<Sender>,
    /// The paths that each plugin serves; all of them if there is none.
    pub(super) prefixes: Vec<Option<String>>,
    pub(super) workers: usize,
    pub(super) quiet: bool,
    /// What becomes of requests when a plugin has failed.
    pub(super) prospect: &'static str,
    /// The failure that was told last.
    pub(super) failure: RefCell<Option<String>>,
    pub(super) terminal: Terminal,
    pub(super) statistics: RefCell<Statistics>,
    pub(super) connections: Cell<u64>,
}

impl Proxy {
    /// Serves until it is to stop; then requests under way are answered, and plugins are told of the end.
    pub(super) async fn serve(self: &Rc<Self>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener that does not block");
        let mut connections = JoinSet::new();
        let stopped = stop.clone();
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Ok((stream, _)) = listener.accept() => {
                    connections.spawn_local(Rc::clone(self).connection(stream, stopped.clone()));
                }
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, all).await;
        connections.shutdown().await;
        self.engine.shut_down(FAREWELL).await;
    }

    async fn connection(self: Rc<Self>, stream: TcpStream, mut stop: watch::Receiver<bool>) {
        let (Ok(client), Ok(listener)) = (stream.peer_addr(), stream.local_addr()) else { return };
        let _ = stream.set_nodelay(true);
        let number = self.connections.replace(self.connections.get() + 1);
        // A connection stays with the worker that has accepted it.
        let worker = usize::try_from(number).unwrap_or_default() % self.workers;
        let service = service_fn(move |request: Request<_>| {
            let protocol = match request.version() {
                Version::HTTP_2 => Protocol::Http2,
                _ => Protocol::Http1,
            };
            let link = Link { number: number + 1, protocol, client, listener };
            let proxy = Rc::clone(&self);
            async move { Passage::begin(proxy, request, link, worker).answer().await }
        });
        let mut builder = auto::Builder::new(OnThisThread);
        builder.http1().timer(TokioTimer::new());
        builder.http2().timer(TokioTimer::new());
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        // What a client does wrong on its connection is answered there, or ends it.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    /// What a request is called on the terminal.
    pub(super) fn title(&self, request: &Headers) -> String {
        if self.quiet { String::new() } else { trace::title(request) }
    }

    /// The longest prefix that fits the path of a request, which loses it.
    pub(super) fn route(&self, request: &mut Headers) -> Option<&str> {
        if self.prefixes.iter().all(Option::is_none) {
            return None;
        }
        let path = request.0.iter_mut().find(|(name, _)| name == b":path").map(|(_, path)| path)?;
        let prefixes = self.prefixes.iter().filter_map(Option::as_deref);
        let fitting = prefixes.filter_map(|prefix| Some((prefix, below(prefix, path)?)));
        let (prefix, rest) = fitting.max_by_key(|(prefix, _)| prefix.len())?;
        *path = rest;
        Some(prefix)
    }

    /// Whether the plugin in this place serves requests with this prefix.
    pub(super) fn serves(&self, place: usize, prefix: Option<&str>) -> bool {
        let own = self.prefixes.get(place).and_then(Option::as_deref);
        own.is_none() || own == prefix
    }

    /// A request is over.
    pub(super) fn tell(&self, story: &Story) {
        self.statistics.borrow_mut().count(story.outcome.status);
        let mut text = if self.quiet { trace::render_quietly(story) } else { trace::render(story) };
        if self.quiet
            && let Some(failure) = trace::render_failure(story)
        {
            // Once, and not with every request that is refused from then on.
            if self.failure.replace(Some(failure.clone())).as_ref() != Some(&failure) {
                text += &failure;
            }
        }
        if !text.is_empty() {
            self.terminal.print(&text);
        }
    }
}

/// A path without a prefix, if it lies below it: `/a/b` and `/a?b` lie below `/a`, and `/ab` does not.
fn below(prefix: &str, path: &[u8]) -> Option<Vec<u8>> {
    match path.strip_prefix(prefix.as_bytes())? {
        rest @ [b'/', ..] => Some(rest.to_vec()),
        rest @ ([] | [b'?', ..]) => Some([b"/", rest].concat()),
        _ => None,
    }
}

/// Runs tasks on the thread that makes them, where the engine is.
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_a_segment_ends() {
        let found = |path: &str| below("/a", path.as_bytes()).map(|rest| String::from_utf8(rest).unwrap());
        assert_eq!(found("/a/b?c").as_deref(), Some("/b?c"));
        assert_eq!(found("/a?c").as_deref(), Some("/?c"));
        assert_eq!(found("/a").as_deref(), Some("/"));
        assert_eq!((found("/ab"), found("/b/a")), (None, None));
    }
}
