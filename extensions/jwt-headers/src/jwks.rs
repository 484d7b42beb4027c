//! Keys that are fetched: by one worker for all, again before they are old, and once more when a token names a key that is not
//! among them. What was fetched lies in shared data, where each worker finds it; requests that need it wait for it.

mod limits;
mod source;

use crate::config::Config;
use crate::counters::counter;
use crate::policy::Policy;
use proxy_wasm_kit::{Counter, HostError, Root};
use source::Source;
use std::rc::Rc;

/// The servers of all providers that have one.
pub(crate) struct Jwks(Vec<Rc<Source>>);

/// What is counted, which is rare enough to be counted always.
#[derive(Clone, Copy)]
struct Counters {
    success: Counter,
    failed: Counter,
}

impl Jwks {
    /// Begins to fetch.
    pub(crate) fn start(config: &Config, policy: &Rc<Policy>, root: &Root) -> Result<Self, HostError> {
        let mut sources = Vec::new();
        for (number, provider) in config.providers.values().enumerate() {
            let Some(remote) = &provider.remote_jwks else { continue };
            let counters = Counters {
                success: counter(root, &config.stat_prefix, "jwks_fetch_success")?,
                failed: counter(root, &config.stat_prefix, "jwks_fetch_failed")?,
            };
            let Some(source) = Source::new(number, remote, provider.allow_weak_keys, counters, policy, root)
            else {
                continue;
            };
            let source = Rc::new(source);
            let work = source.clone();
            root.spawn(async move { work.keep_fresh().await });
            sources.push(source);
        }
        Ok(Self(sources))
    }

    /// Whether the first keys of a provider are worth waiting for.
    pub(crate) fn is_hopeful(&self, provider: usize) -> bool {
        self.of(provider).is_some_and(|source| source.is_hopeful())
    }

    /// Whether newer keys of a provider may be asked for now.
    pub(crate) fn may_refetch(&self, provider: usize, now: u64) -> bool {
        self.of(provider).is_some_and(|source| source.may_refetch(now))
    }

    /// Waits until an attempt to have newer keys of a provider has ended, well or not, or took too long.
    pub(crate) async fn wait(&self, provider: usize) -> Result<(), HostError> {
        match self.of(provider) {
            Some(source) => source.wait().await,
            None => Ok(()),
        }
    }

    fn of(&self, provider: usize) -> Option<&Rc<Source>> {
        self.0.iter().find(|source| source.provider() == provider)
    }
}
