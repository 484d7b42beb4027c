//! What many combinations of labels cost: instructions of the guest in the embedded host, memory and processor time of a real
//! Envoy (`$ENVOY`). A measurement and no test, since it takes minutes. It needs the module that scripts/build makes.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a measurement may fail by panicking"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proxy_wasm_kit_host::exchange::{Message, Setup};
use proxy_wasm_kit_host::wasm::{Host, Limits, Module};

const COUNTS: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];

/// Each team is a combination of labels.
const CONFIGURATION: &str = r#"{"metrics": [{"dimensions": {"team": "request.headers['x-team']"}}]}"#;

/// Requests whose processor time is measured.
const MEASURED: usize = 20_000;

fn main() {
    let folder = std::env::var_os("PWKIT_DIST").map_or_else(|| "../../dist".into(), PathBuf::from);
    let path = folder.join("stats.wasm").canonicalize().expect("scripts/build has made dist/stats.wasm");
    let module = Module::load(&path, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
    let envoy = std::env::var_os("ENVOY").map(PathBuf::from);
    println!(
        "| combinations | instructions, new | instructions, again | memory of Envoy | time, new | time, again |"
    );
    println!("|---|---|---|---|---|---|");
    for count in COUNTS {
        let [new, again] = instructions(&module, count);
        let proxy = envoy.as_deref().map_or_else(String::new, |envoy| in_envoy(envoy, Some(&path), count));
        println!("| {count} | {new} | {again} | {proxy}");
    }
    if let Some(envoy) = &envoy {
        println!("| without the plugin | | | {}", in_envoy(envoy, None, 1));
    }
}

/// Those of the last combination when it is new, and of the mean one when all come again.
fn instructions(module: &Module, count: usize) -> [u64; 2] {
    let setup = Setup { configuration: CONFIGURATION.into(), ..Setup::default() };
    let host = Host::start(module, setup).expect("the configuration is accepted");
    let send = |team: usize| {
        let request = Message::request("GET", "/").header("x-team", team.to_string());
        host.exchange(request, &Message::response(200)).guest_instructions.expect("they are counted")
    };
    let new = (0..count).fold(0, |_, team| send(team));
    let again = count.min(10_000);
    [new, (0..again).map(send).sum::<u64>() / again as u64]
}

/// Memory that the combinations take, and processor time of a request under new and under known labels.
fn in_envoy(binary: &Path, module: Option<&Path>, count: usize) -> String {
    let proxy = Proxy::start(binary, module);
    // What is made once is made before.
    proxy.send(std::iter::repeat_n(0, 1_000));
    let (memory, time) = (proxy.memory(), proxy.time());
    proxy.send(0..count);
    let new = (proxy.time() - time) / count as f64;
    let grown = proxy.memory() - memory;
    let time = proxy.time();
    proxy.send((0..count).cycle().take(MEASURED));
    let again = (proxy.time() - time) / MEASURED as f64;
    let new = if count < 1_000 { String::new() } else { format!("{new:.0} us") };
    format!("{grown:.1} MB | {new} | {again:.1} us |")
}

struct Proxy {
    process: Child,
    port: u16,
}

impl Proxy {
    fn start(binary: &Path, module: Option<&Path>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = listener.local_addr().expect("it has an address").port();
        drop(listener);
        let filter = module.map_or_else(String::new, |module| {
            let configuration = CONFIGURATION.replace('\'', "''");
            FILTER.replace("MODULE", &module.display().to_string()).replace("CONFIGURATION", &configuration)
        });
        let file = std::env::temp_dir().join(format!("stats-scale-{port}.yaml"));
        let text = BOOTSTRAP.replace("PORT", &port.to_string()).replace("FILTER", &filter);
        std::fs::write(&file, text).expect("there is a folder for temporary files");
        let process = Command::new(binary)
            .args(["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "error", "-c"])
            .arg(&file)
            .stdout(Stdio::null())
            .spawn()
            .expect("Envoy starts");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
        std::fs::remove_file(&file).expect("it is there");
        Self { process, port }
    }

    /// A request of each team, one after the other.
    fn send(&self, teams: impl Iterator<Item = usize>) {
        let connect = || TcpStream::connect(("127.0.0.1", self.port)).expect("the proxy listens");
        let (mut stream, mut answer) = (connect(), [0; 4096]);
        stream.set_nodelay(true).expect("it is a TCP connection");
        for team in teams {
            let request = format!("GET / HTTP/1.1\r\nhost: a\r\nx-team: {team}\r\n\r\n");
            while stream.write_all(request.as_bytes()).and_then(|()| stream.read(&mut answer)).unwrap_or(0)
                == 0
            {
                stream = connect();
            }
        }
    }

    /// In megabytes.
    fn memory(&self) -> f64 {
        // Series are made ready for the next scrape by a timer.
        std::thread::sleep(Duration::from_secs(6));
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }

    /// Processor time in microseconds.
    fn time(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("it runs");
        let (_, fields) = stat.rsplit_once(") ").expect("the name stands in brackets");
        let ticks = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number"));
        ticks.sum::<f64>() * 10_000.0
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const BOOTSTRAP: &str = "\
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: PORT } }
    filter_chains:
    - filters:
      - name: http
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            virtual_hosts: [{ name: all, domains: ['*'], routes: [{ name: all, match: { prefix: / }, direct_response: { status: 200 } }] }]
          http_filters:
FILTER
          - name: router
            typed_config: { '@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
";

const FILTER: &str = "          - name: stats
            typed_config:
              '@type': type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                root_id: stats_inbound
                vm_config: { runtime: envoy.wasm.runtime.v8, code: { local: { filename: MODULE } } }
                configuration: { '@type': type.googleapis.com/google.protobuf.StringValue, value: 'CONFIGURATION' }
";
