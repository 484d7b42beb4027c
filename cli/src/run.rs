//! `pwkit run`: a local HTTP proxy that serves real traffic through plugins, and shows what they do.
//!
//! One engine of the host holds all plugins on all workers (`engine`), and one thread runs it. Connections (`proxy`) bring
//! requests, which pass the plugins on their way to the upstream and back (`passage`); what each of them did is told
//! (`trace`). Plugins call out (`outside`), and are replaced when their files change (`reload`).

mod admin;
mod engine;
mod message;
mod metrics;
mod outside;
mod passage;
pub(crate) mod plugin;
mod proxy;
mod reload;
mod terminal;
mod trace;
mod upstream;

use std::cell::{Cell, RefCell};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;

use crate::failure::Failure;
use clap::ValueEnum;
use engine::Engine;
use plugin::{Plugin, Spec};
use proxy::Proxy;
use proxy_wasm_kit_host::engine::Detail;
use proxy_wasm_kit_host::exchange::{FailurePolicy, Level, Setup};
use reload::Sources;
use terminal::Terminal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::LocalSet;
use upstream::{Sender, Upstream};

/// Room for a guest's own stack and for the host functions that it calls at its deepest.
const STACK: usize = 16 * 1024 * 1024;

/// What `pwkit run --help` ends with.
const EXAMPLES: &str = "\
Examples:
  pwkit run --plugin dist/basic_auth.wasm:auth.yaml
  pwkit run --plugin a.wasm --plugin b.wasm:b.json --upstream http://127.0.0.1:9000 --watch";

/// Serves HTTP through plugins, for development: nothing else has to be installed
///
/// A request passes the plugins in the order in which they are named, then the
/// upstream. What each plugin did is printed: headers, body, local reply, callouts,
/// host calls, log lines, time. Both sides speak HTTP/1.1 and HTTP/2 without TLS.
#[derive(clap::Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A module and, behind a colon, its configuration; repeat it for a chain
    ///
    /// The configuration is JSON, or YAML that the plugin gets as JSON. With /PREFIX=
    /// in front the plugin serves what lies below that path, and sees paths without it.
    #[arg(
        long = "plugin",
        value_name = "[/PREFIX=]NAME.wasm[:CONFIG]",
        required = true,
        verbatim_doc_comment
    )]
    plugins: Vec<Spec>,
    /// Where requests go: http://HOST:PORT, h2c://HOST:PORT for HTTP/2, or echo
    ///
    /// The echo is built in: it answers with the request, as text.
    #[arg(long, value_name = "URL|echo", default_value = "echo", verbatim_doc_comment)]
    upstream: Upstream,
    /// A server that plugins call out to by this name; repeat it for several
    ///
    /// For gRPC the URL has to begin with h2c://.
    #[arg(long = "cluster", value_name = "NAME=URL", value_parser = cluster, verbatim_doc_comment)]
    clusters: Vec<(String, Upstream)>,
    /// Where the proxy listens; port 0 takes a free one, which is printed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where /ready and /stats/prometheus are answered
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// Loads modules and configurations again when their files change
    ///
    /// No request is dropped: those under way end with the plugins they began with.
    /// What does not start changes nothing, and the terminal says why.
    #[arg(long, verbatim_doc_comment)]
    watch: bool,
    /// Workers, as Envoy has them: each has VMs of its own
    ///
    /// A connection stays with the worker that accepted it.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// What becomes of requests when a plugin's VM has failed
    ///
    /// The request that fails it is answered with 503 in any case.
    #[arg(long, value_name = "POLICY", default_value = "reload")]
    failure_policy: Policy,
    /// The lowest level that plugins log at
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LogLevel,
    /// Shows nothing of a request but what plugins log
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Policy {
    /// The next one starts the plugin again, at most once a second
    Reload,
    /// Later ones are answered with 503, too
    Closed,
    /// Later ones skip the plugin
    Open,
}

impl Policy {
    /// What becomes of requests when a plugin has failed.
    fn prospect(self) -> &'static str {
        match self {
            Self::Reload => "the next request starts it again, at most once a second",
            Self::Closed => "requests are answered 503 until it is loaded again",
            Self::Open => "requests skip it from now on",
        }
    }
}

impl From<Policy> for FailurePolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Reload => Self::Reload,
            Policy::Closed => Self::Closed,
            Policy::Open => Self::Open,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Trace => Self::Trace,
            LogLevel::Debug => Self::Debug,
            LogLevel::Info => Self::Info,
            LogLevel::Warn => Self::Warn,
            LogLevel::Error => Self::Error,
            LogLevel::Critical => Self::Critical,
        }
    }
}

fn cluster(text: &str) -> Result<(String, Upstream), String> {
    let (name, url) = text.split_once('=').ok_or("has no =; write NAME=URL")?;
    match url.parse()? {
        Upstream::Echo => Err("the echo answers requests, not callouts; name a server".into()),
        server => Ok((name.to_owned(), server)),
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    // Before anything that takes long: a port that is taken is known at once.
    let listener = listen(arguments.listen, "--listen")?;
    let admin = arguments.admin.map(|address| listen(address, "--admin")).transpose()?;
    let serve = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, serve(arguments, listener, admin))
    };
    let thread = std::thread::Builder::new().name("proxy".into()).stack_size(STACK).spawn(serve)?;
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn listen(address: SocketAddr, option: &str) -> Result<TcpListener, Failure> {
    let failure = |error| {
        Failure::Address(format!("{address} cannot be listened on: {error}; choose another by {option}"))
    };
    let listener = TcpListener::bind(address).map_err(failure)?;
    listener.set_nonblocking(true).map_err(failure)?;
    Ok(listener)
}

async fn serve(
    arguments: Arguments,
    listener: TcpListener,
    admin: Option<TcpListener>,
) -> Result<(), Failure> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let sources = sources(&arguments);
    // Before the files are read: what changes later is noticed.
    let known = sources.signature();
    let plugins = tokio::select! {
        plugins = sources.load() => plugins?,
        _ = interrupted.recv() => return Ok(()),
        _ = terminated.recv() => return Ok(()),
    };
    let proxy = proxy(&arguments, &plugins).map_err(|rejection| sources.rejected(&rejection))?;
    proxy.terminal.print(&introduction(&arguments, &listener, admin.as_ref())?);
    let (stop, stopped) = watch::channel(false);
    admin.map(|admin| tokio::task::spawn_local(admin::serve(admin, Rc::clone(&proxy))));
    let ending = async {
        tokio::select! {
            () = sources.watch(known, &proxy), if arguments.watch => {}
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        let _ = stop.send(true);
    };
    tokio::join!(proxy.serve(listener, stopped), ending);
    proxy.terminal.print("Stopped.\n");
    Ok(())
}

fn sources(arguments: &Arguments) -> Sources {
    let setup = Setup {
        log_level: arguments.log_level.into(),
        workers: arguments.workers.into(),
        failure_policy: arguments.failure_policy.into(),
        ..Setup::default()
    };
    Sources { specs: arguments.plugins.clone(), setup }
}

fn proxy(arguments: &Arguments, plugins: &[Plugin]) -> Result<Rc<Proxy>, engine::Rejection> {
    let terminal = Terminal::default();
    let clusters = arguments.clusters.iter();
    let clusters = clusters.filter_map(|(name, server)| Some((name.clone(), Sender::new(server)?)));
    let detail = if arguments.quiet { Detail::Lines } else { Detail::Everything };
    let output = terminal.clone();
    let tell = move |news: engine::News<'_>| output.print(&trace::render_news(&news));
    let engine = Engine::start(plugins, Rc::new(clusters.collect()), detail, Box::new(tell))?;
    Ok(Rc::new(Proxy {
        engine,
        upstream: Sender::new(&arguments.upstream),
        prefixes: arguments.plugins.iter().map(|spec| spec.prefix.clone()).collect(),
        workers: arguments.workers.into(),
        quiet: arguments.quiet,
        prospect: arguments.failure_policy.prospect(),
        failure: RefCell::default(),
        terminal,
        statistics: RefCell::default(),
        connections: Cell::default(),
    }))
}

fn introduction(
    arguments: &Arguments,
    listener: &TcpListener,
    admin: Option<&TcpListener>,
) -> Result<String, Failure> {
    let plugins: Vec<String> = arguments.plugins.iter().map(Spec::name).collect();
    let upstream = match &arguments.upstream {
        Upstream::Echo => "an echo".to_owned(),
        Upstream::Server { address, .. } => address.clone(),
    };
    let workers = arguments.workers;
    let mut text = format!(
        "{} before {upstream}, {workers} worker{}\n",
        plugins.join(", "),
        if workers == 1 { "" } else { "s" }
    );
    text += &format!("listening on http://{}\n", listener.local_addr()?);
    if let Some(admin) = admin {
        text += &format!("metrics on http://{}/stats/prometheus\n", admin.local_addr()?);
    }
    Ok(text + "Ctrl-C ends.\n\n")
}
