//! Loads modules and configurations again when their files change.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use super::engine::Rejection;
use super::plugin::{Plugin, Spec};
use super::proxy::Proxy;
use crate::failure::Failure;
use proxy_wasm_kit_host::exchange::Setup;

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What is served with, as the command line names it.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) specs: Vec<Spec>,
    /// What all plugins have in common.
    pub(super) setup: Setup,
}

impl Sources {
    /// Reads all modules and configurations. Compiling takes a while, and requests are served meanwhile.
    pub(super) async fn load(&self) -> Result<Vec<Plugin>, Failure> {
        let Self { specs, setup } = self.clone();
        let load = move || specs.iter().map(|spec| spec.load(&setup)).collect();
        tokio::task::spawn_blocking(load)
            .await
            .unwrap_or_else(|error| Err(Failure::File(format!("a module could not be compiled: {error}"))))
    }

    /// The failure that a rejection is.
    pub(super) fn rejected(&self, rejection: &Rejection) -> Failure {
        let spec = self.specs.get(rejection.plugin).or(self.specs.last());
        let text = rejection.text();
        Failure::Rejected(spec.map_or(text.clone(), |spec| spec.rejected(&text)))
    }

    /// Serves with what the files hold whenever that is not what is known, as long as the proxy runs.
    pub(super) async fn watch(&self, mut known: Signature, proxy: &Rc<Proxy>) {
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
                Ok(plugins) => proxy.engine.replace(&plugins).map_err(|rejection| self.rejected(&rejection)),
                Err(failure) => Err(failure),
            };
            let changed = changed(&known, &now);
            known = now;
            proxy.statistics.borrow_mut().count_reload(outcome.is_ok());
            proxy.terminal.print(&announcement(&changed, begun.elapsed(), outcome));
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
}

/// The state of all files.
pub(super) type Signature = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

fn announcement(changed: &str, took: Duration, outcome: Result<(), Failure>) -> String {
    match outcome {
        Ok(()) => format!("reloaded {changed} in {:.1} s\n", took.as_secs_f64()),
        Err(failure) => {
            let reason = failure.message().unwrap_or_default();
            format!("not reloaded: {reason}\n  serving with what was there before\n")
        }
    }
}

fn changed(before: &Signature, after: &Signature) -> String {
    let differing = after.iter().zip(before).filter(|(after, before)| after != before);
    let mut names: Vec<String> = differing.map(|((file, _), _)| file.display().to_string()).collect();
    names.dedup();
    names.join(", ")
}
