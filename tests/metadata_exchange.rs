//! metadata_exchange between two sidecars of a real Envoy: who is told what, and what expressions in access logs and RBAC
//! make of it. And in the embedded host: what many hostile peers cost.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use proxy_wasm_kit_host::exchange::{Direction, Message, Setup};
use proxy_wasm_kit_host::wasm::{Host, Limits, Module};
use proxy_wasm_kit_mesh::Peer;
use proxy_wasm_kit_tests::{envoy, read, root};

/// The module that ships; none is a failure where a real Envoy is required, as for cases.
fn module() -> Option<PathBuf> {
    let folder = std::env::var_os("PWKIT_DIST").map_or_else(|| root().join("dist"), PathBuf::from);
    let module = folder.join("metadata_exchange.wasm");
    if module.is_file() {
        return Some(module);
    }
    assert!(std::env::var_os("PWKIT_REQUIRE_ENVOY").is_none(), "there is no {}", module.display());
    let _ = writeln!(std::io::stderr(), "SKIPPED: there is no {}; run scripts/build", module.display());
    None
}

/// The Envoy of tests/metadata_exchange/envoy.yaml.
struct Proxies {
    process: Child,
    outbound: u16,
    inbound: u16,
    /// Connections, to the server and to the same server outside of the mesh.
    tcp: [u16; 2],
    server: TcpListener,
    log: PathBuf,
}

impl Proxies {
    fn start(binary: &Path, module: &Path) -> Self {
        let [outbound, inbound, admin, mesh, stranger] = std::array::from_fn(|_| free_port());
        let server = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let serving = server.local_addr().expect("it has an address").port();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let log = folder.join(format!("metadata_exchange-{outbound}.log"));
        let bootstrap = read("tests/metadata_exchange/envoy.yaml")
            .replace("port_value: ADMIN", &format!("port_value: {admin}"))
            .replace("port_value: OUTBOUND", &format!("port_value: {outbound}"))
            .replace("port_value: INBOUND", &format!("port_value: {inbound}"))
            .replace("port_value: TCP", &format!("port_value: {mesh}"))
            .replace("port_value: STRANGER", &format!("port_value: {stranger}"))
            .replace("port_value: SERVER", &format!("port_value: {serving}"))
            .replace("path: LOG", &format!("path: {}", log.display()))
            .replace("filename: MODULE", &format!("filename: {}", module.display()));
        let file = folder.join(format!("metadata_exchange-{outbound}.yaml"));
        std::fs::write(&file, bootstrap).expect("the target folder can be written to");
        let mut command = Command::new(binary);
        command
            .args(["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "error"])
            // What the access log tells is there at once.
            .args(["--file-flush-interval-msec", "50", "-c"])
            .arg(&file);
        let process = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().expect("Envoy starts");
        let proxies = Self { process, outbound, inbound, tcp: [mesh, stranger], server, log };
        for _ in 0..600 {
            if get(admin, "/ready", "").starts_with("HTTP/1.1 200") {
                return proxies;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("Envoy is not ready after half a minute");
    }

    /// What the access logs tell of the requests with this path, once there are so many lines.
    fn logged(&self, path: &str, lines: usize) -> Vec<String> {
        for _ in 0..600 {
            let text = std::fs::read_to_string(&self.log).unwrap_or_default();
            let about = |line: &&str| line.split(' ').nth(1) == Some(path);
            let mut found: Vec<String> = text.lines().filter(about).map(str::to_owned).collect();
            if found.len() >= lines {
                found.sort();
                return found;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("half a minute later the access log has no {lines} lines about {path}");
    }
}

impl Drop for Proxies {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it has an address").port()
}

/// The whole answer; nothing while nobody listens.
fn get(port: u16, path: &str, header: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return String::new() };
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{header}\r\n");
    let mut answer = Vec::new();
    let whole = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut answer));
    whole.map(|_| String::from_utf8_lossy(&answer).into_owned()).unwrap_or_default()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

/// The header of a workload with this label.
fn header(app: &str) -> String {
    let labels = [("app".to_owned(), app.to_owned())].into();
    let metadata = BASE64_STANDARD.encode(Peer { labels, ..Peer::default() }.encode());
    format!("x-envoy-peer-metadata: {metadata}\r\n")
}

#[test]
fn access_logs_and_rbac_see_into_peers() {
    let (Some(binary), Some(module)) = (envoy(), module()) else { return };
    let proxies = Proxies::start(&binary, &module);
    assert_eq!(status(&get(proxies.outbound, "/told", "")), "200");
    assert_eq!(proxies.logged("/told", 2), ["inbound /told productpage", "outbound /told productpage"]);
    for (header, expected) in
        [(String::new(), "403"), (header("ratings"), "403"), (header("productpage"), "200")]
    {
        assert_eq!(status(&get(proxies.inbound, "/admin", &header)), expected, "{header}");
    }
    assert_eq!(status(&get(proxies.outbound, "/admin/by-proxy", "")), "200");
}

#[test]
fn clusters_outside_of_the_mesh_are_told_nothing() {
    let (Some(binary), Some(module)) = (envoy(), module()) else { return };
    let proxies = Proxies::start(&binary, &module);
    for path in ["/external", "/silent", "/passthrough"] {
        // What an application says of itself does not get out either, and what comes back is not believed.
        let answer = get(proxies.outbound, path, &header("application"));
        assert_eq!(status(&answer), "200");
        assert_eq!(proxies.logged(path, 2), [format!("inbound {path} -"), format!("outbound {path} -")]);
    }
}

#[test]
fn connections_out_of_the_mesh_tell_nothing() {
    let (Some(binary), Some(module)) = (envoy(), module()) else { return };
    let proxies = Proxies::start(&binary, &module);
    let [told, stranger] = proxies.tcp.map(|port| {
        let mut client = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
        client.write_all(b"hello").expect("the proxy reads");
        client.shutdown(Shutdown::Write).expect("the connection is there");
        let (mut server, _) = proxies.server.accept().expect("the proxy connects");
        let mut received = Vec::new();
        server.read_to_end(&mut received).expect("the proxy writes");
        received
    });
    assert_eq!(told[..4], [0x3d, 0x23, 0x04, 0x67]);
    assert!(told.ends_with(b"hello") && told.len() > 100);
    assert_eq!(stranger, b"hello");
}

#[test]
fn peers_without_end_cost_bounded_memory() {
    let Some(module) = module() else { return };
    let bytes = std::fs::read(module).expect("the module can be read");
    let module = Module::load(&bytes[..], &Limits::default()).expect("it is a module");
    let setup = Setup { direction: Direction::Inbound, ..Setup::default() };
    let host = Host::start(&module, setup).expect("it starts");
    let mut taken = Vec::new();
    for number in 0..400 {
        // As large as metadata may be.
        let peer = Peer { name: Some(format!("{number:016000}")), ..Peer::default() };
        let request = Message::request("GET", "/")
            .header("x-envoy-peer-metadata-id", "the same")
            .header("x-envoy-peer-metadata", BASE64_STANDARD.encode(peer.encode()));
        let seen = host.exchange(request, &Message::response(200));
        assert!(seen.filter_state["wasm.downstream_peer"].len() > 16_000);
        taken.push(seen.guest_memory.expect("it is counted"));
    }
    assert_eq!(host.failure(), None);
    // Between peers that were forgotten some room stays unused. Were none forgotten, this would be 6 MB and more.
    assert!(taken[399] - taken[200] <= 512 << 10, "it goes on growing: {} and {}", taken[200], taken[399]);
    assert!(taken[399] < 12 << 20, "{} bytes", taken[399]);
}
