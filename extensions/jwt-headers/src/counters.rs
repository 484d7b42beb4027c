//! Metrics: what became of requests. Each count is a host call, so they exist only when they are asked for.

use crate::policy::Policy;
use proxy_wasm_kit::{Counter, HostError, Root};
use std::rc::Rc;
use std::time::Duration;

/// The counters of Envoy's jwt_authn.
pub(crate) struct Counters {
    allowed: Counter,
    denied: Counter,
    preflight: Counter,
}

impl Counters {
    pub(crate) fn define(root: &Root, prefix: &str, policy: &Rc<Policy>) -> Result<Self, HostError> {
        tell_lookups(root, prefix, policy.clone())?;
        Ok(Self {
            allowed: counter(root, prefix, "allowed")?,
            denied: counter(root, prefix, "denied")?,
            preflight: counter(root, prefix, "cors_preflight_bypassed")?,
        })
    }

    /// A count that is lost must not cost a request.
    pub(crate) fn count(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Allowed => self.allowed,
            Outcome::Preflight => self.preflight,
            Outcome::Denied => self.denied,
        };
        let _ = counter.add(1);
    }
}

/// A counter of this extension: several of its plugins in one proxy are told apart by `stat_prefix`.
pub(crate) fn counter(root: &Root, prefix: &str, what: &str) -> Result<Counter, HostError> {
    let separator = if prefix.is_empty() { "" } else { "_" };
    root.counter(&format!("jwt_headers_{prefix}{separator}{what}"))
}

/// What became of a request.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    Allowed,
    Preflight,
    Denied,
}

/// Once a second, so that no request pays for it.
fn tell_lookups(root: &Root, prefix: &str, policy: Rc<Policy>) -> Result<(), HostError> {
    let hits = counter(root, prefix, "jwt_cache_hit")?;
    let misses = counter(root, prefix, "jwt_cache_miss")?;
    root.every(Duration::from_secs(1), async move || {
        let (hit, missed) = policy.take_lookups();
        for (counter, count) in [(hits, hit), (misses, missed)] {
            if count > 0 {
                counter.add(count)?;
            }
        }
        Ok(())
    });
    Ok(())
}
