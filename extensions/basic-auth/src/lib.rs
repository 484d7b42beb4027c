//! HTTP Basic authentication (RFC 7617) at the proxy: the door between Envoy and the decisions in `policy`.
#![forbid(unsafe_code)]

pub mod config;
mod counters;
mod forward;
pub mod policy;
mod reply;

use counters::Counters;
use forward::Forward;
use policy::{Decision, Key, Mistake, Policy};
use proxy_wasm_kit::prelude::*;

/// The plugin: one configuration on one worker.
struct BasicAuth {
    policy: Policy,
    counters: Option<Counters>,
    forward: Forward,
    denied_body: String,
    dry_run: bool,
}

struct Request(Rc<BasicAuth>);

proxy_wasm_kit::entry!(BasicAuth);

impl Extension for BasicAuth {
    type Config = config::Config;
    type Filter = Request;
    /// The original ignored them.
    const UNKNOWN_KEYS: UnknownKeys = UnknownKeys::Warn;

    fn configure(config: config::Config, root: &Root) -> Result<Self, ConfigError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| ConfigError::new(format!("no random bytes: {error}")))?;
        let (dry_run, counted) = (config.dry_run, config.metrics.unwrap_or(config.dry_run));
        let forward = Forward::new(&config);
        let denied_body = config.denied_body.clone();
        let policy = policy::compile(config, Key::new(random)).map_err(refused)?;
        policy.warnings().iter().for_each(|warning| log::warn!("configuration: {warning}"));
        let counters = counted.then(|| Counters::define(root, &policy)).transpose()?;
        Ok(Self { policy, counters, forward, denied_body, dry_run })
    }

    fn filter(self: &Rc<Self>) -> Request {
        Request(self.clone())
    }
}

fn refused(mistake: Mistake) -> ConfigError {
    ConfigError::at(mistake.path, mistake.message)
}

impl HttpFilter for Request {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let plugin = &*self.0;
        if plugin.policy.is_idle() && plugin.forward.is_idle() {
            return Ok(Flow::Continue);
        }
        let headers = request.headers().snapshot()?;
        let seen = forward::seen(&headers);
        let decision = plugin.policy.decide(&seen);
        if let Some(counters) = &plugin.counters {
            counters.count(&decision);
        }
        if let Decision::Denied { rule, reason } = decision {
            reply::log(&plugin.policy, rule, reason, &seen, plugin.dry_run);
            if !plugin.dry_run {
                return Ok(Flow::Reply(reply::to(&plugin.policy, rule, reason, &plugin.denied_body)));
            }
        }
        plugin.forward.apply(&request.headers(), &headers, &decision)?;
        Ok(Flow::Continue)
    }
}
