//! `pwkit run` in the background, a client for it, and small plugins.

use crate::program::Workshop;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Adds `x-config` with its configuration to every request, and refuses a configuration that begins with b.
pub(crate) const CONFIGURED: &str = r#"(module
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 1024))
    (data (i32.const 16) "x-config")
    (data (i32.const 32) "I take no configuration that begins with b")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32)
        global.get $free
        (global.set $free (i32.add (global.get $free) (local.get 0))))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $buffer (i32.const 7) (i32.const 0) (local.get 1) (i32.const 8) (i32.const 12)))
        (if (i32.and (i32.ne (i32.load (i32.const 12)) (i32.const 0))
                     (i32.eq (i32.load8_u (i32.load (i32.const 8))) (i32.const 98)))
            (then
                (drop (call $log (i32.const 4) (i32.const 32) (i32.const 42)))
                (return (i32.const 0))))
        (i64.store (i32.const 0) (i64.load (i32.const 8)))
        (i32.const 1))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $add (i32.const 0) (i32.const 16) (i32.const 8) (i32.load (i32.const 0)) (i32.load (i32.const 4))))
        (i32.const 0)))"#;

/// Answers every request itself.
pub(crate) const ANSWERING: &str = r#"(module
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (import "env" "proxy_send_local_response"
        (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "not today")
    (data (i32.const 32) "closed_for_today")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $log (i32.const 3) (i32.const 16) (i32.const 9)))
        (drop (call $reply (i32.const 403) (i32.const 32) (i32.const 16) (i32.const 16) (i32.const 9)
            (i32.const 0) (i32.const 0) (i32.const -1)))
        (i32.const 0)))"#;

/// Holds every request until the cluster `auth` has answered, and logs at every tick of 50 ms.
pub(crate) const CALLING: &str = r#"(module
    (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
    (import "env" "proxy_set_tick_period_milliseconds" (func $every (param i32) (result i32)))
    (import "env" "proxy_set_effective_context" (func $for (param i32) (result i32)))
    (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
    (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_http_call"
        (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 4096))
    (global $stream (mut i32) (i32.const 0))
    (data (i32.const 16) "auth")
    (data (i32.const 32) ":status")
    (data (i32.const 48) "x-auth")
    (data (i32.const 64) "tick")
    (data (i32.const 128) "\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\06\00\00\00\0a\00\00\00\04\00\00\00:method\00GET\00:path\00/check\00:authority\00auth\00")
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32)
        global.get $free
        (global.set $free (i32.add (global.get $free) (local.get 0))))
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
        (drop (call $every (i32.const 50)))
        (i32.const 1))
    (func (export "proxy_on_tick") (param i32)
        (drop (call $every (i32.const 0)))
        (drop (call $log (i32.const 2) (i32.const 64) (i32.const 4))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $stream (local.get 0))
        (if (i32.ne (i32.const 0) (call $call (i32.const 16) (i32.const 4) (i32.const 128) (i32.const 69)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 60000) (i32.const 0)))
            (then (return (i32.const 0))))
        (i32.const 1))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (drop (call $get (i32.const 6) (i32.const 32) (i32.const 7) (i32.const 4) (i32.const 8)))
        (drop (call $for (global.get $stream)))
        (drop (call $add (i32.const 0) (i32.const 48) (i32.const 6) (i32.load (i32.const 4)) (i32.load (i32.const 8))))
        (drop (call $continue (i32.const 0)))))"#;

/// A proxy that serves.
pub(crate) struct Proxy {
    process: Child,
    output: Receiver<String>,
    /// What was printed and has been read.
    pub(crate) seen: String,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Proxy {
    /// Starts on free ports, with two workers where nothing else is said.
    pub(crate) fn start(workshop: &Workshop, arguments: &[&str]) -> Self {
        let fixed = ["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let workers = ["--workers", "2"].into_iter().filter(|_| !arguments.contains(&"--workers"));
        let all: Vec<&str> = fixed.into_iter().chain(workers).chain(arguments.iter().copied()).collect();
        let mut process = workshop.command(&all).stdout(Stdio::piped()).spawn().expect("pwkit starts");
        let stdout = process.stdout.take().expect("a pipe");
        let (tell, output) = channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        let nowhere = "127.0.0.1:0".parse().expect("an address");
        let mut proxy = Self { process, output, seen: String::new(), address: nowhere, admin: nowhere };
        proxy.read_until("Ctrl-C ends.");
        let find = |text: &str| {
            let rest = proxy.seen.split_once(text).unwrap_or_else(|| panic!("{}", proxy.seen)).1;
            rest.split(['\n', '/']).next().unwrap_or_default().parse().expect("an address")
        };
        (proxy.address, proxy.admin) = (find("listening on http://"), find("metrics on http://"));
        proxy
    }

    /// Reads what is printed up to a line that holds this text.
    #[track_caller]
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.output.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("{text:?} is not printed:\n{}", self.seen));
            self.seen += &format!("{line}\n");
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(crate) fn get(&self, path: &str) -> String {
        request(
            self.address,
            format!("GET {path} HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n"),
        )
    }

    pub(crate) fn stats(&self) -> String {
        request(self.admin, "GET /stats/prometheus HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    }

    /// Sends a signal and waits for the end; the rest of the output is in `seen`.
    pub(crate) fn end(&mut self, signal: &str) -> ExitStatus {
        let kill = std::process::Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(kill.expect("kill starts").success());
        let status = self.process.wait().expect("it ends");
        self.output.iter().for_each(|line| self.seen += &format!("{line}\n"));
        status
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends bytes and reads until the connection ends.
pub(crate) fn request(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.write_all(bytes.as_ref()).expect("it reads");
    let mut answer = Vec::new();
    // A server that refuses a body may close before it has read everything; what came before counts.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).expect("the answer is text")
}
