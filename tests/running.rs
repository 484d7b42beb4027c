//! `scripts/run`, serving until a test has seen enough.

use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A script that prints what it does, and ends by a signal.
pub struct Running {
    process: Child,
    output: BufReader<ChildStdout>,
    /// Where it listens.
    pub port: u16,
    /// What it printed up to the line that says how to end it.
    pub introduction: String,
}

impl Running {
    /// Starts it on a free port, and waits until it serves.
    pub fn start(mut command: Command) -> Self {
        let port = free_port();
        let mut process = command
            .args(["--port", &port.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/run starts");
        let output = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        let mut running = Self { process, output, port, introduction: String::new() };
        running.introduction = running.read_until("Ctrl-C ends");
        running
    }

    /// What it prints up to a line that holds this text.
    fn read_until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        loop {
            let start = seen.len();
            let read = self.output.read_line(&mut seen).expect("its output is text");
            assert!(read > 0, "scripts/run ended before it printed {text:?}:\n{seen}");
            if seen[start..].contains(text) {
                return seen;
            }
        }
    }

    pub fn end(mut self, signal: &str) -> ExitStatus {
        let kill = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(kill.expect("kill starts").success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("its output is text");
        self.process.wait().expect("it ends")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It must not stay behind, and only it can end what it started.
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = Command::new("kill").arg(self.process.id().to_string()).status();
            let _ = self.process.wait();
        }
    }
}

/// A port of this machine that nobody listens on, and another one each time. Systems give out ports from 32768 on by themselves,
/// so nobody takes it by chance before it is used; scripts/run takes ports from 26000 on.
pub fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU32> =
        LazyLock::new(|| AtomicU32::new(RandomState::new().hash_one(0) as u32));
    let mut candidates =
        std::iter::repeat_with(|| 20_000 + (NEXT.fetch_add(1, Ordering::Relaxed) % 6_000) as u16);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    candidates.by_ref().take(6_000).find(is_free).expect("there is a free port")
}
