//! `pwkit run`: a local HTTP proxy that serves real traffic through plugins, and shows what they do.
//!
//! Each worker is a thread with an event loop and VMs of its own (`server`), as in Envoy. A request passes the plugins in
//! order (`chain`), each of them a VM behind one seam to the host (`vm`), and what it did is told (`trace`). Workers change
//! their plugins together (`reload`).

mod admin;
mod chain;
mod message;
mod metrics;
mod outside;
pub(crate) mod plugin;
mod reload;
mod server;
mod terminal;
mod trace;
mod upstream;
mod vm;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;

use crate::failure::Failure;
use clap::ValueEnum;
use plugin::Spec;
use proxy_wasm_kit_host::exchange::Level;
use reload::Fleet;
use server::{Settings, Stop, Worker};
use terminal::Terminal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use upstream::Upstream;

/// Serves HTTP through plugins, for development: nothing else has to be installed
///
/// A request passes the plugins in the order in which they are named. What each of them did is printed: headers, body,
/// local reply, callouts, host calls, log lines, time. Both sides speak HTTP/1.1 and HTTP/2 without TLS.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A module, and behind a colon its configuration: JSON, or YAML that the plugin gets as JSON. Repeat it for a chain.
    /// With /PREFIX= in front it serves only what lies below that path, and sees paths without it
    #[arg(long = "plugin", value_name = "[/PREFIX=]NAME.wasm[:CONFIG]", required = true)]
    plugins: Vec<Spec>,
    /// Where requests go: http://HOST:PORT, h2c://HOST:PORT for HTTP/2, or echo, which answers with the request
    #[arg(long, value_name = "URL|echo", default_value = "echo")]
    upstream: Upstream,
    /// A server that plugins call out to by this name. Repeat it for several
    #[arg(long = "cluster", value_name = "NAME=URL", value_parser = cluster)]
    clusters: Vec<(String, Upstream)>,
    /// Where the proxy listens; port 0 takes a free one, which is printed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where /ready and /stats/prometheus are answered
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// Loads modules and configurations again when their files change; no request is dropped
    #[arg(long)]
    watch: bool,
    /// Threads, each with VMs of its own [default: one for each core]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// The longest body of a request (else 413) and of a response (else 502), in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 16 * 1024 * 1024)]
    max_body: usize,
    /// The lowest level that plugins log at
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LogLevel,
    /// Prints nothing of single requests
    #[arg(long, short)]
    quiet: bool,
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(arguments, listener, admin))
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
    let terminal = Terminal::default();
    let ((stop, wanted), (ended, mut all_ended)) = (watch::channel(false), mpsc::channel(1));
    let fleet = Rc::new(fleet(&arguments, &listener, &terminal, Stop { wanted, ended })?);
    // Before the files are read: what changes later is noticed.
    let known = fleet.signature();
    let started = async {
        let plugins = fleet.load().await?;
        fleet.serve_with(&plugins).await
    };
    let outcome = tokio::select! {
        outcome = started => outcome,
        _ = interrupted.recv() => return Ok(()),
        _ = terminated.recv() => return Ok(()),
    };
    if outcome.is_ok() {
        terminal.print(&introduction(&arguments, &listener, admin.as_ref(), fleet.workers.len())?);
        admin.map(|admin| tokio::task::spawn_local(admin::serve(admin, Rc::clone(&fleet))));
        tokio::select! {
            () = fleet.watch(known), if arguments.watch => {}
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    }
    let _ = stop.send(true);
    // Requests under way are answered first; nothing is ever sent.
    all_ended.recv().await;
    if outcome.is_ok() {
        terminal.print("Stopped.\n");
    }
    outcome
}

fn fleet(
    arguments: &Arguments,
    listener: &TcpListener,
    terminal: &Terminal,
    stop: Stop,
) -> Result<Fleet, Failure> {
    let settings = Arc::new(Settings {
        upstream: arguments.upstream.clone(),
        clusters: arguments.clusters.iter().cloned().collect::<BTreeMap<_, _>>(),
        body_limit: arguments.max_body,
        quiet: arguments.quiet,
        terminal: terminal.clone(),
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = arguments.workers.map_or(cores, usize::from);
    let worker = |index| Ok(Worker::start(index, listener.try_clone()?, Arc::clone(&settings), stop.clone()));
    Ok(Fleet {
        workers: (0..count).map(worker).collect::<Result<_, std::io::Error>>()?,
        specs: arguments.plugins.clone(),
        log_level: arguments.log_level.into(),
        terminal: terminal.clone(),
        accepted: Cell::default(),
        rejected: Cell::default(),
    })
}

fn introduction(
    arguments: &Arguments,
    listener: &TcpListener,
    admin: Option<&TcpListener>,
    workers: usize,
) -> Result<String, Failure> {
    let plugins: Vec<String> = arguments.plugins.iter().map(Spec::name).collect();
    let upstream = match &arguments.upstream {
        Upstream::Echo => "an echo".to_owned(),
        Upstream::Server { address, .. } => address.clone(),
    };
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
