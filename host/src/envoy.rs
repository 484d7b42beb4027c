//! A real Envoy as a host: the process, one plugin after the other on a listener of its own, and all that is seen of it.
//!
//! One process serves one proxy (node id, cluster, metadata) with one worker. A plugin is brought by the filesystem
//! listener discovery and taken away when its [`Plugin`] is dropped; one plugin at a time keeps metrics apart, which
//! Envoy holds for the whole process. What Envoy says later than it does (access log, listener updates) is waited for
//! with a deadline.

mod access;
mod admin;
mod bootstrap;
mod closed_port;
mod log;
mod process;
mod servers;
mod tcp;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::engine::Errand;
use crate::exchange::{Exchange, Level, LogLine, Message, Metadata, Setup};
use crate::http1;
use crate::outside::{Cluster, Fault};
pub use admin::Metric;
pub use bootstrap::Node;
use closed_port::ClosedPort;

/// How long anything may take that Envoy does on its own.
const PATIENCE: Duration = Duration::from_secs(30);
/// So long a request or its answer may be between Envoy and a server of ours.
const ON_THE_WAY: Duration = Duration::from_millis(30);

/// What went wrong with Envoy itself, not with a plugin.
#[derive(Debug)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Says what was being done when an error came up.
fn during<E: fmt::Display>(action: impl fmt::Display) -> impl FnOnce(E) -> Error {
    move |error| Error(format!("{action}: {error}"))
}

/// A running Envoy; it ends with this value.
#[derive(Debug)]
pub struct Envoy {
    process: process::Process,
    admin: admin::Admin,
    upstream: servers::Servers,
    tcp: tcp::Upstream,
    closed: ClosedPort,
    /// Where Envoy takes the hosts of its own clusters to be.
    hosts: BTreeMap<&'static str, Option<SocketAddr>>,
    /// The metadata of each of them.
    host_metadata: Metadata,
    /// Answers without a plugin: what the worker had to do before is done when it answers.
    barrier: SocketAddr,
    level: Level,
    plugins: u32,
}

/// What kind of filter a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// It sees requests.
    Http,
    /// It sees connections.
    Network {
        /// Each begins with where it comes from, by the PROXY protocol.
        announced: bool,
    },
}

/// What became of a plugin that was brought to Envoy.
#[derive(Debug)]
pub enum Start<'a> {
    /// It serves.
    Serving(Box<Plugin<'a>>),
    /// Its listener was rejected; with what it logged.
    Rejected(Vec<LogLine>),
}

/// A plugin that serves; it is taken away with this value.
#[derive(Debug)]
pub struct Plugin<'a> {
    envoy: &'a mut Envoy,
    vm_id: String,
    address: SocketAddr,
    clusters: servers::Servers,
    metrics_before: BTreeMap<String, Metric>,
}

impl Envoy {
    /// Starts the program `binary` as the proxy `node`, with so many workers.
    pub fn start(binary: &Path, node: &Node, workers: usize) -> Result<Self, Error> {
        let closed = ClosedPort::new()?;
        let own = [(bootstrap::CLUSTER.to_owned(), Cluster::default())];
        let upstream = servers::Servers::start(&own.into(), &closed)?;
        let tcp = tcp::Upstream::start()?;
        let folder = process::Folder::new()?;
        bootstrap::write_listeners(folder.path(), &[])?;
        bootstrap::write_clusters(folder.path(), &BTreeMap::new())?;
        let hosts = [
            (bootstrap::CLUSTER, upstream.addresses[bootstrap::CLUSTER]),
            (tcp::CLUSTER, Some(tcp.address()?)),
        ];
        for (cluster, host) in hosts {
            bootstrap::write_host(folder.path(), cluster, host, &node.host_metadata)?;
        }
        bootstrap::write(folder.path(), node)?;
        let process = process::Process::start(binary, folder, workers)?;
        let admin = admin::Admin::new(process.admin_address()?);
        let barrier = wait("Envoy to listen", || {
            process.check_alive()?;
            admin.listener("barrier")
        })?;
        let hosts = hosts.into();
        let host_metadata = node.host_metadata.clone();
        Ok(Self {
            process,
            admin,
            upstream,
            tcp,
            closed,
            hosts,
            host_metadata,
            barrier,
            level: Level::Info,
            plugins: 0,
        })
    }

    /// Brings plugins, which requests pass in this order: each a module and its settings. `filter_state` names what
    /// their exchanges shall show.
    ///
    /// # Panics
    /// Without any plugin.
    pub fn load(
        &mut self,
        plugins: &[(PathBuf, &Setup)],
        filter: Filter,
        filter_state: &[&str],
    ) -> Result<Start<'_>, Error> {
        let (_, setup) = plugins[0];
        self.plugins += 1;
        let vm_id = format!("case-{}", self.plugins);
        self.set_log_level(setup.log_level)?;
        let clusters = self.bring_clusters(setup)?;
        let metrics_before = self.metrics()?;
        let plugins = plugins.iter().map(|(module, setup)| Ok((absolute(module)?, *setup)));
        let plugins = plugins.collect::<Result<Vec<_>, Error>>()?;
        let listener = match filter {
            Filter::Http => bootstrap::listener(self.process.folder(), &vm_id, &plugins, filter_state),
            Filter::Network { announced } => {
                let place = (self.process.folder(), vm_id.as_str());
                tcp::listener(place, &plugins, filter_state, announced)
            }
        };
        bootstrap::write_listeners(self.process.folder(), &[listener])?;
        match self.wait_for_listener(&vm_id)? {
            Some(address) => {
                let plugin = Plugin { envoy: self, vm_id, address, clusters, metrics_before };
                Ok(Start::Serving(Box::new(plugin)))
            }
            None => Ok(Start::Rejected(self.process.log().of_vm(&vm_id)?)),
        }
    }

    /// Waits until the proxy has given back the metrics of these names that earlier plugins had. It does so some time after
    /// them, and begins at 0 when one of that name comes again, which would look as if it had not grown.
    pub fn forget(&self, names: &BTreeSet<&str>) -> Result<(), Error> {
        let start = Instant::now();
        while start.elapsed() < GIVEN_BACK
            && self.admin.metrics()?.keys().any(|name| names.contains(name.as_str()))
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Replaces the clusters by those of a plugin, and waits until Envoy has them.
    fn bring_clusters(&self, setup: &Setup) -> Result<servers::Servers, Error> {
        let servers = servers::Servers::start(&setup.clusters, &self.closed)?;
        let mut addresses = servers.addresses.clone();
        let upstream = self.tcp.address()?;
        addresses.extend(setup.tcp_clusters.iter().map(|name| (name.clone(), Some(upstream))));
        bootstrap::write_clusters(self.process.folder(), &addresses)?;
        let wanted: BTreeSet<String> = addresses.into_keys().collect();
        let own = |name: &String| [bootstrap::CLUSTER, tcp::CLUSTER].contains(&name.as_str());
        wait("the clusters", || {
            self.process.check_alive()?;
            let mut known = self.admin.clusters()?;
            known.retain(|name| !own(name));
            Ok((known == wanted).then_some(()))
        })?;
        // What the main thread has, the worker has after what is due there.
        self.settle()?;
        Ok(servers)
    }

    /// Lets one of its own clusters have this host, if any, and waits until Envoy knows.
    fn place(&mut self, cluster: &'static str, host: Option<SocketAddr>) -> Result<(), Error> {
        if self.hosts.get(cluster) == Some(&host) {
            return Ok(());
        }
        bootstrap::write_host(self.process.folder(), cluster, host, &self.host_metadata)?;
        let wanted: Vec<u64> = host.iter().map(|host| host.port().into()).collect();
        wait(format_args!("the host of {cluster}"), || {
            self.process.check_alive()?;
            Ok((self.admin.ports(cluster)? == wanted).then_some(()))
        })?;
        self.hosts.insert(cluster, host);
        self.settle()
    }

    /// Where the listener listens; none when it was rejected because of the plugin.
    fn wait_for_listener(&self, name: &str) -> Result<Option<SocketAddr>, Error> {
        wait(format_args!("listener {name}"), || {
            self.process.check_alive()?;
            if let Some(address) = self.admin.listener(name)? {
                return Ok(Some(Some(address)));
            }
            match self.admin.listener_error(name)? {
                None => Ok(None),
                Some(error) if error.contains("Unable to create Wasm plugin") => Ok(Some(None)),
                Some(error) => Err(Error(format!("Envoy refuses the listener: {error}"))),
            }
        })
    }

    fn set_log_level(&mut self, level: Level) -> Result<(), Error> {
        if level != self.level {
            self.admin.set_log_level(level)?;
            self.level = level;
        }
        Ok(())
    }

    fn metrics(&self) -> Result<BTreeMap<String, Metric>, Error> {
        let metrics = self.admin.metrics()?;
        if !metrics.values().any(|metric| matches!(metric, Metric::Histogram(_))) {
            return Ok(metrics);
        }
        // To ask makes Envoy collect histograms from the worker; what it has collected shows when it is asked again.
        self.settle()?;
        self.admin.metrics()
    }

    fn settle(&self) -> Result<(), Error> {
        ask_worker(self.barrier)
    }
}

/// What the client gets; nothing when it goes away first, which it does no sooner than the proxy has its request.
fn send(address: SocketAddr, barrier: SocketAddr, errand: &Errand) -> Result<Option<Message>, Error> {
    let Some(patience) = errand.patience else {
        return http1::exchange(address, &errand.request, PATIENCE).map_err(no_response);
    };
    let settle = || {
        let _ = ask_worker(barrier);
    };
    match http1::exchange_from(address, &errand.request, patience, settle) {
        Err(error) if is_late(&error) => Ok(None),
        other => other.map_err(no_response),
    }
}

/// Returns when the worker has done all that was due before.
fn ask_worker(barrier: SocketAddr) -> Result<(), Error> {
    let request = Message::request("GET", "/");
    http1::exchange(barrier, &request, PATIENCE).map_err(during("cannot ask Envoy's worker"))?;
    Ok(())
}

fn send_all(
    address: SocketAddr,
    barrier: SocketAddr,
    errands: &[&Errand],
) -> Result<Vec<Option<Message>>, Error> {
    if let [only] = errands {
        return Ok(vec![send(address, barrier, only)?]);
    }
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            errands.iter().map(|errand| scope.spawn(move || send(address, barrier, errand))).collect();
        let gone = |_| Err(Error("a client has panicked".into()));
        clients.into_iter().map(|client| client.join().unwrap_or_else(gone)).collect()
    })
}

fn is_late(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn absolute(module: &Path) -> Result<PathBuf, Error> {
    module.canonicalize().map_err(during(module.display()))
}

fn no_response(error: std::io::Error) -> Error {
    if is_late(&error) {
        return Error(format!("the request hangs: no response within {} s", PATIENCE.as_secs()));
    }
    Error(format!("no response: {error}"))
}

/// How long a proxy may take to give back the metrics of a plugin; it drains listeners for a second.
const GIVEN_BACK: Duration = Duration::from_secs(20);

/// Asks again and again until there is an answer; fails when that takes too long.
fn wait<T>(what: impl fmt::Display, mut ask: impl FnMut() -> Result<Option<T>, Error>) -> Result<T, Error> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if start.elapsed() > PATIENCE {
            return Err(Error(format!("waited {} s for {what}", PATIENCE.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Plugin<'_> {
    /// Sends requests at the same time, each on a new connection; the upstream is that of the first. What was logged and
    /// called is that of all of them, in each exchange; of several, Envoy does not tell whose details and upstream are whose.
    pub fn exchange(&mut self, errands: &[&Errand]) -> Result<Vec<Exchange>, Error> {
        let Some(first) = errands.first() else { return Ok(Vec::new()) };
        let envoy = &mut *self.envoy;
        let host = match first.upstream.fault {
            Some(Fault::NoHost) => None,
            Some(Fault::Refuse) => Some(envoy.closed.address()),
            _ => envoy.upstream.addresses[bootstrap::CLUSTER],
        };
        envoy.place(bootstrap::CLUSTER, host)?;
        let log_start = envoy.process.log().end()?;
        let access_start = envoy.process.access().end()?;
        envoy.upstream.replace(bootstrap::CLUSTER, vec![first.upstream.clone()]);
        let clients = send_all(self.address, envoy.barrier, errands)?;
        let records = wait("the access log", || {
            envoy.process.check_alive()?;
            let records = envoy.process.access().all_of_vm(access_start, &self.vm_id)?;
            Ok((records.len() >= errands.len()).then_some(records))
        })?;
        envoy.settle()?;
        if !self.clusters.addresses.is_empty() {
            // What the plugin has sent last is still on its way to a server, or the answer back.
            std::thread::sleep(ON_THE_WAY);
            envoy.settle()?;
        }
        let log = envoy.process.log().of_vm_from(log_start, &self.vm_id)?;
        let mut callouts = Some(self.clusters.take_reached(PATIENCE));
        let mut reached = envoy.upstream.take_reached(PATIENCE);
        let exchange = |(client, record): (_, access::Record)| Exchange {
            client,
            callouts: callouts.take().unwrap_or_default(),
            upstream: reached.pop().map(|(_, request)| request),
            details: record.details,
            filter_state: record.filter_state,
            expressions: record.expressions,
            log: log.clone(),
            ..Exchange::default()
        };
        Ok(clients.into_iter().zip(records).map(exchange).collect())
    }

    /// What the plugin has sent to other clusters while no request was there to show it, by cluster and in order.
    pub fn take_reached(&self) -> Vec<(String, Message)> {
        self.clusters.take_reached(PATIENCE)
    }

    /// Everything the plugin has logged, configuration included.
    pub fn log(&self) -> Result<Vec<LogLine>, Error> {
        self.envoy.process.log().of_vm(&self.vm_id)
    }

    /// Its metrics, without the prefix `wasmcustom.`: what counters grew by since before the plugin was there, what
    /// gauges hold, how many values histograms took since then.
    pub fn metrics(&self) -> Result<BTreeMap<String, Metric>, Error> {
        let now = self.envoy.metrics()?.into_iter();
        Ok(now
            .map(|(name, metric)| (name.clone(), metric.since(self.metrics_before.get(&name).copied())))
            .collect())
    }
}

impl Drop for Plugin<'_> {
    fn drop(&mut self) {
        // If this fails, Envoy is not to be had any more, and the next plugin will say so.
        let _ = bootstrap::write_listeners(self.envoy.process.folder(), &[]);
    }
}
