//! The process: started in a folder of its own, ended with its value, and never left behind.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::access::AccessLog;
use super::log::{FORMAT, Log};
use super::{Error, bootstrap, during, wait};

/// A temporary folder; it goes with this value.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Result<Self, Error> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("pwkit-envoy-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).map_err(during(path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running Envoy.
#[derive(Debug)]
pub(super) struct Process {
    child: Mutex<Child>,
    /// Kills Envoy and clears up when its input ends: when this program is killed, and nothing here runs any more.
    watchdog: Option<(Child, ChildStdin)>,
    log: Log,
    access: AccessLog,
    folder: Folder,
}

impl Process {
    pub(super) fn start(binary: &Path, folder: Folder, workers: usize) -> Result<Self, Error> {
        let log = Log(folder.path().join("envoy.log"));
        let access = AccessLog(folder.path().join(bootstrap::ACCESS_LOG));
        let child = command(binary, folder.path(), File::create(&log.0)?, workers)
            .spawn()
            .map_err(during(binary.display()))?;
        let mut process = Self { child: Mutex::new(child), watchdog: None, log, access, folder };
        process.watchdog = Some(process.guard()?);
        Ok(process)
    }

    fn guard(&self) -> Result<(Child, ChildStdin), Error> {
        let mut watchdog = Command::new("sh")
            .args(["-c", "read -r _; kill -9 \"$1\"; rm -rf \"$2\"", "sh", &self.locked().id().to_string()])
            .arg(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(during("sh"))?;
        let input = watchdog.stdin.take().ok_or_else(|| Error("sh: no standard input".into()))?;
        Ok((watchdog, input))
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Where the admin interface listens; Envoy writes it to a file.
    pub(super) fn admin_address(&self) -> Result<SocketAddr, Error> {
        wait("Envoy to start", || {
            self.check_alive()?;
            let text = super::log::read_from(&self.folder.path().join("admin"), 0)?;
            Ok(text.parse().ok())
        })
    }

    /// Fails when Envoy has ended.
    pub(super) fn check_alive(&self) -> Result<(), Error> {
        match self.locked().try_wait()? {
            None => Ok(()),
            Some(status) => Err(Error(format!("Envoy has ended ({status}):\n{}", self.log.tail()))),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    pub(super) fn access(&self) -> &AccessLog {
        &self.access
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watchdog first: it must not kill a process that has got the number of this one.
        if let Some((watchdog, _)) = &mut self.watchdog {
            let _ = watchdog.kill();
            let _ = watchdog.wait();
        }
        let mut child = self.locked();
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn command(binary: &Path, folder: &Path, log: File, workers: usize) -> Command {
    let mut command = Command::new(binary);
    command
        .arg("--config-path")
        .arg(folder.join(bootstrap::BOOTSTRAP))
        .arg("--admin-address-path")
        .arg(folder.join("admin"))
        .args(["--concurrency", &workers.to_string(), "--disable-hot-restart", "--drain-time-s", "1"])
        .args([
            "--file-flush-interval-msec",
            "2",
            "--log-level",
            "warn",
            "--component-log-level",
            "wasm:info",
        ])
        .args(["--log-format", FORMAT, "--log-format-escaped"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    command
}
