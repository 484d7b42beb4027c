//! All workers together: they start with the same plugins, and change them together or not at all.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::metrics::Snapshot;
use super::plugin::{Plugin, Spec};
use super::server::Worker;
use super::terminal::Terminal;
use crate::failure::Failure;
use proxy_wasm_kit_host::exchange::Level;

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// The workers, and what they serve with.
pub(super) struct Fleet {
    pub(super) workers: Vec<Worker>,
    pub(super) specs: Vec<Spec>,
    pub(super) log_level: Level,
    pub(super) terminal: Terminal,
    pub(super) accepted: Cell<u64>,
    pub(super) rejected: Cell<u64>,
}

impl Fleet {
    /// Starts new VMs in all workers, then lets new requests go to them. On failure everything stays as it was.
    pub(super) async fn serve_with(&self, plugins: &[Plugin]) -> Result<(), Failure> {
        let mut outcome = Ok(());
        for worker in &self.workers {
            // One after the other: what one of them refuses, the others need not try.
            if outcome.is_ok() {
                outcome = worker.prepare(plugins.to_vec()).await.map_err(Failure::Rejected);
            }
        }
        self.workers.iter().for_each(|worker| worker.commit(outcome.is_ok()));
        outcome
    }

    /// Reads all modules and configurations. Compiling takes a while, and others wait meanwhile for nothing.
    pub(super) async fn load(&self) -> Result<Vec<Plugin>, Failure> {
        let (specs, level) = (self.specs.clone(), self.log_level);
        let load = move || specs.iter().map(|spec| spec.load(level)).collect();
        tokio::task::spawn_blocking(load)
            .await
            .unwrap_or_else(|error| Err(Failure::File(format!("a module could not be compiled: {error}"))))
    }

    /// Serves with what the files hold whenever that is not what is known, as long as the proxy runs.
    pub(super) async fn watch(&self, mut known: Signature) {
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.signature();
            // Who writes a file needs a moment: what is the same twice is complete.
            tokio::time::sleep(LOOK / 2).await;
            if now == known || now != self.signature() {
                continue;
            }
            let begun = Instant::now();
            let outcome = match self.load().await {
                Ok(plugins) => self.serve_with(&plugins).await,
                Err(failure) => Err(failure),
            };
            let changed = changed(&known, &now);
            known = now;
            self.announce(&changed, begun.elapsed(), outcome);
        }
    }

    fn announce(&self, changed: &str, took: Duration, outcome: Result<(), Failure>) {
        match outcome {
            Ok(()) => {
                self.accepted.set(self.accepted.get() + 1);
                self.terminal.print(&format!("reloaded {changed} in {:.1} s\n", took.as_secs_f64()));
            }
            Err(failure) => {
                self.rejected.set(self.rejected.get() + 1);
                let reason = failure.message().unwrap_or_default();
                self.terminal
                    .print(&format!("not reloaded: {reason}\n  serving with what was there before\n"));
            }
        }
    }

    /// What tells that a file has changed: time and size; nothing of one that is not there.
    pub(super) fn signature(&self) -> Signature {
        let files = self.specs.iter().flat_map(Spec::files);
        files
            .map(|file| {
                let data = std::fs::metadata(file).ok();
                (file.to_owned(), data.and_then(|data| Some((data.modified().ok()?, data.len()))))
            })
            .collect()
    }

    /// What all workers have measured, as Prometheus reads it.
    pub(super) async fn metrics(&self) -> String {
        let mut all = Snapshot::default();
        for worker in &self.workers {
            all.merge(worker.report().await);
        }
        all.render([self.accepted.get(), self.rejected.get()])
    }
}

/// The state of all files.
pub(super) type Signature = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

fn changed(before: &Signature, after: &Signature) -> String {
    let differing = after.iter().zip(before).filter(|(after, before)| after != before);
    let mut names: Vec<String> = differing.map(|((file, _), _)| file.display().to_string()).collect();
    names.dedup();
    names.join(", ")
}
