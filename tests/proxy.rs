//! A real Envoy for a test, from the first line of its configuration to its end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use regex_lite::{Captures, Regex};

use crate::running::free_port;

/// An Envoy, and a folder of its own for what it writes.
pub struct Proxy {
    process: Child,
    ports: BTreeMap<String, u16>,
    folder: PathBuf,
}

impl Proxy {
    /// Words in capitals in the configuration are places. `port_value: NAME` is a port by that name, ADMIN for one: of `ports`
    /// where it is there, else a free one. `: LOG` is the access log, and `: NAME` one of `paths`.
    #[track_caller]
    pub fn start(
        binary: &Path,
        configuration: &str,
        workers: u8,
        ports: &[(&str, u16)],
        paths: &[(&str, &Path)],
    ) -> Self {
        let mut ports: BTreeMap<_, _> =
            ports.iter().map(|(name, port)| ((*name).to_owned(), *port)).collect();
        let place = Regex::new(r"\bport_value: ([A-Z_]+)\b").expect("the pattern is right");
        let text = place.replace_all(configuration, |found: &Captures<'_>| {
            format!("port_value: {}", ports.entry(found[1].to_owned()).or_insert_with(free_port))
        });
        let name = format!("pwkit-test-{}-{}", std::process::id(), ports["ADMIN"]);
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("the folder for temporary files can be written to");
        let mut text = text.replace(": LOG", &format!(": {}", folder.join("access").display()));
        for (name, path) in paths {
            text = text.replace(&format!(": {name}"), &format!(": {}", path.display()));
        }
        let file = folder.join("envoy.yaml");
        std::fs::write(&file, text).expect("the folder is there");
        let log = File::create(folder.join("log")).expect("the folder is there");
        let mut command = Command::new(binary);
        command
            .args(["--concurrency", &workers.to_string(), "--disable-hot-restart"])
            .args(["--log-level", "error", "--component-log-level", "wasm:info"])
            // What the access log tells is there at once.
            .args(["--file-flush-interval-msec", "50", "-c"])
            .arg(&file);
        let process = command.stdout(Stdio::null()).stderr(log).spawn().expect("Envoy starts");
        let mut proxy = Self { process, ports, folder };
        let ready = in_time(|| {
            let has_ended = proxy.process.try_wait().expect("its state is known").is_some();
            let is_ready = proxy.get("ADMIN", "/ready", "").starts_with("HTTP/1.1 200");
            (has_ended || is_ready).then_some(is_ready)
        });
        assert_eq!(ready, Some(true), "Envoy does not get ready. It says:\n{}", proxy.log());
        proxy
    }

    pub fn port(&self, name: &str) -> u16 {
        self.ports[name]
    }

    /// What Envoy and its plugins have logged.
    pub fn log(&self) -> String {
        self.read("log")
    }

    /// What the access log has up to now.
    pub fn access_log(&self) -> String {
        self.read("access")
    }

    fn read(&self, file: &str) -> String {
        let bytes = std::fs::read(self.folder.join(file)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn connect(&self, port: &str) -> std::io::Result<TcpStream> {
        TcpStream::connect(("127.0.0.1", self.port(port)))
    }

    /// The whole answer to a request for a path of `a.example`, with these lines as further headers; nothing while nobody
    /// listens.
    pub fn get(&self, port: &str, path: &str, headers: &str) -> String {
        let head = format!("GET {path} HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n{headers}\r\n");
        self.send(port, head.as_bytes())
    }

    /// The whole answer; nothing while nobody listens.
    pub fn send(&self, port: &str, request: &[u8]) -> String {
        let mut answer = Vec::new();
        let whole = self.connect(port).and_then(|mut stream| {
            stream.write_all(request)?;
            stream.read_to_end(&mut answer)
        });
        whole.map(|_| String::from_utf8_lossy(&answer).into_owned()).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What is there at last; nothing after a minute, which is long on the slowest machine.
pub fn in_time<T>(mut seen: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        let seen = seen();
        if seen.is_some() {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

#[track_caller]
pub fn wait_for<T>(what: &str, seen: impl FnMut() -> Option<T>) -> T {
    in_time(seen).unwrap_or_else(|| panic!("it does not come to pass that {what}"))
}
