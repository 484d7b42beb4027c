//! A worker: a thread with VMs of its own, which accepts connections and serves what comes on them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::chain::Chain;
use super::message::{self, Outgoing, Refused};
use super::metrics::Snapshot;
use super::plugin::Plugin;
use super::terminal::Terminal;
use super::trace::{self, Story};
use super::upstream::{Sender, Upstream};
use super::vm::PluginVm;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use proxy_wasm_kit_host::exchange::Message;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinSet, LocalSet};

/// Room for a guest's own stack and for the host functions that it calls at its deepest.
const STACK: usize = 16 * 1024 * 1024;
/// So long requests under way may take when the proxy is told to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// What all workers have in common.
pub(super) struct Settings {
    pub(super) upstream: Upstream,
    pub(super) clusters: BTreeMap<String, Upstream>,
    pub(super) body_limit: usize,
    pub(super) quiet: bool,
    pub(super) terminal: Terminal,
}

/// What a worker is told.
enum Order {
    /// Start these plugins beside those that serve. The answer says why they did not start.
    Prepare(Vec<Plugin>, oneshot::Sender<Result<(), String>>),
    /// Serve new requests with what was prepared; false: forget it.
    Commit(bool),
    Report(oneshot::Sender<Snapshot>),
}

/// A worker as others see it.
pub(super) struct Worker {
    orders: UnboundedSender<Order>,
}

/// How a worker learns that it shall end, and others that it has: `ended` is dropped then.
#[derive(Clone)]
pub(super) struct Stop {
    pub(super) wanted: watch::Receiver<bool>,
    pub(super) ended: mpsc::Sender<Infallible>,
}

impl Worker {
    /// Starts a thread, which serves when it has been given plugins.
    pub(super) fn start(index: usize, listener: TcpListener, settings: Arc<Settings>, stop: Stop) -> Self {
        let (orders, inbox) = unbounded_channel();
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("the machine has room for an event loop");
            let local = Local::new(index, settings);
            LocalSet::new().block_on(&runtime, local.run(listener, inbox, stop.wanted));
            drop(stop.ended);
        };
        let thread = std::thread::Builder::new().name("worker".into()).stack_size(STACK).spawn(run);
        drop(thread.expect("the machine has room for a thread"));
        Self { orders }
    }

    /// Starts plugins beside those that serve.
    pub(super) async fn prepare(&self, plugins: Vec<Plugin>) -> Result<(), String> {
        let (tell, told) = oneshot::channel();
        let _ = self.orders.send(Order::Prepare(plugins, tell));
        told.await.unwrap_or_else(|_| Err("the worker has ended".into()))
    }

    /// New requests are served by what was prepared, or it is forgotten.
    pub(super) fn commit(&self, accepted: bool) {
        let _ = self.orders.send(Order::Commit(accepted));
    }

    pub(super) async fn report(&self) -> Snapshot {
        let (tell, told) = oneshot::channel();
        let _ = self.orders.send(Order::Report(tell));
        told.await.unwrap_or_default()
    }
}

/// A worker on its own thread.
struct Local {
    index: usize,
    settings: Arc<Settings>,
    upstream: Sender,
    clusters: Rc<BTreeMap<String, Sender>>,
    serving: RefCell<Option<Rc<Chain>>>,
    prepared: RefCell<Option<Rc<Chain>>>,
    statuses: Rc<RefCell<BTreeMap<u16, u64>>>,
    next_request: Cell<u64>,
}

impl Local {
    fn new(index: usize, settings: Arc<Settings>) -> Rc<Self> {
        let sender = |upstream: &Upstream| Sender::new(upstream.clone(), settings.body_limit);
        let clusters = settings.clusters.iter().map(|(name, upstream)| (name.clone(), sender(upstream)));
        Rc::new(Self {
            index,
            upstream: sender(&settings.upstream),
            clusters: Rc::new(clusters.collect()),
            settings: Arc::clone(&settings),
            serving: RefCell::default(),
            prepared: RefCell::default(),
            statuses: Rc::default(),
            next_request: Cell::default(),
        })
    }

    async fn run(
        self: Rc<Self>,
        listener: TcpListener,
        mut inbox: UnboundedReceiver<Order>,
        mut stop: watch::Receiver<bool>,
    ) {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener that does not block");
        let mut connections = JoinSet::new();
        let stopped = stop.clone();
        loop {
            let ready = self.serving.borrow().is_some();
            tokio::select! {
                Some(order) = inbox.recv() => self.obey(order),
                _ = stop.wait_for(|stop| *stop) => break,
                Ok((stream, _)) = listener.accept(), if ready => {
                    connections.spawn_local(Rc::clone(&self).connection(stream, stopped.clone()));
                }
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        let all = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, all).await;
    }

    fn obey(&self, order: Order) {
        match order {
            Order::Prepare(plugins, tell) => {
                let outcome = self.chain(&plugins).map(|chain| {
                    *self.prepared.borrow_mut() = Some(Rc::new(chain));
                });
                let _ = tell.send(outcome);
            }
            Order::Commit(accepted) => {
                let prepared = self.prepared.borrow_mut().take().filter(|_| accepted);
                if prepared.is_some() {
                    // Requests under way hold the old chain until they end.
                    *self.serving.borrow_mut() = prepared;
                }
            }
            Order::Report(tell) => {
                let _ = tell.send(self.snapshot());
            }
        }
    }

    /// Starts the plugins. The error says which did not start, and why.
    fn chain(&self, plugins: &[Plugin]) -> Result<Chain, String> {
        let start = |plugin: &Plugin| {
            let terminal = self.settings.terminal.clone();
            let tell = move |name: &str, lines: &[_]| terminal.print(&trace::render_background(name, lines));
            // What all workers log when they start, one of them tells.
            PluginVm::start(plugin, &self.clusters, self.index == 0, Box::new(tell))
                .map(|vm| (plugin.spec.prefix.clone(), vm))
                .map_err(|rejection| plugin.spec.rejected(&rejection.text()))
        };
        let plugins = plugins.iter().map(start).collect::<Result<_, _>>()?;
        let (settings, statuses) = (Arc::clone(&self.settings), Rc::clone(&self.statuses));
        let tell = move |story: &Story| {
            *statuses.borrow_mut().entry(story.status.unwrap_or(0)).or_default() += 1;
            if !settings.quiet {
                settings.terminal.print(&trace::render(story));
            } else if let Some(down) = &story.down {
                settings.terminal.print(&format!("{down}\n"));
            }
        };
        Ok(Chain { plugins, upstream: self.upstream.clone(), tell: Box::new(tell) })
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let serving = self.serving.borrow();
        for (_, plugin) in serving.iter().flat_map(|chain| &chain.plugins) {
            snapshot.add(plugin.metrics());
        }
        snapshot.statuses = self.statuses.borrow().clone();
        snapshot
    }

    async fn connection(self: Rc<Self>, stream: TcpStream, mut stop: watch::Receiver<bool>) {
        let _ = stream.set_nodelay(true);
        let mut builder = auto::Builder::new(OnThisThread);
        builder.http1().timer(TokioTimer::new());
        builder.http2().timer(TokioTimer::new());
        let service = service_fn(move |request| Rc::clone(&self).serve(request));
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        // What a client does wrong on its connection is answered there, or ends it.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    async fn serve(self: Rc<Self>, request: Request<Incoming>) -> Result<Response<Outgoing>, Reset> {
        let limit = self.settings.body_limit;
        let head = request.method() == hyper::Method::HEAD;
        let mut request = match message::take_request(request, limit).await {
            Ok(request) => request,
            Err(Refused::TooLarge) => return Ok(too_large(limit)),
            Err(Refused::Broken(_)) => return Err(Reset),
        };
        self.identify(&mut request);
        let Some(chain) = self.serving.borrow().clone() else { return Err(Reset) };
        let mut response = chain.serve(request).await.ok_or(Reset)?;
        if !head && response.status() != 304 {
            message::mend_length(&mut response);
        }
        Ok(message::give_response(&response))
    }

    /// What the proxy adds: the engine would give the same id in every VM.
    fn identify(&self, request: &mut Message) {
        let number = self.next_request.replace(self.next_request.get() + 1);
        let worker = self.index;
        for (name, value) in [
            ("x-forwarded-proto", "http".to_owned()),
            ("x-request-id", format!("00000000-0000-4000-8{worker:03x}-{number:012x}")),
        ] {
            if request.headers.first(name).is_none() {
                request.headers.add(name, value);
            }
        }
    }
}

fn too_large(limit: usize) -> Response<Outgoing> {
    let text = format!("the body has more than {limit} bytes; raise --max-body\n");
    let length = text.len().to_string();
    let message = Message::response(413)
        .header("content-type", "text/plain; charset=utf-8")
        .header("content-length", length);
    message::give_response(&message.body(text))
}

/// The stream ends without an answer.
#[derive(Debug)]
struct Reset;

impl std::fmt::Display for Reset {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the stream was reset")
    }
}

impl std::error::Error for Reset {}

/// Runs tasks on the thread that makes them, where the VMs are.
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
