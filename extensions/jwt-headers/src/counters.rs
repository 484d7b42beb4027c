//! Metrics: what became of requests. Each count is a host call, so they exist only when they are asked for.

use crate::policy::Decision;
use proxy_wasm_kit::{Counter, HostError, Root};

/// The counters of Envoy's jwt_authn.
pub(crate) struct Counters {
    allowed: Counter,
    denied: Counter,
    preflight: Counter,
}

impl Counters {
    pub(crate) fn define(root: &Root) -> Result<Self, HostError> {
        Ok(Self {
            allowed: root.counter("jwt_headers_allowed")?,
            denied: root.counter("jwt_headers_denied")?,
            preflight: root.counter("jwt_headers_cors_preflight_bypassed")?,
        })
    }

    /// A count that is lost must not cost a request.
    pub(crate) fn count(&self, decision: &Decision<'_>) {
        let counter = match decision {
            Decision::Pass(_) => self.allowed,
            Decision::Preflight(_) => self.preflight,
            Decision::Deny(_) => self.denied,
        };
        let _ = counter.add(1);
    }
}
