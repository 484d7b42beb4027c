//! JWT verification, headers and routes from claims: the door between Envoy and the decisions in `policy`.
#![forbid(unsafe_code)]

pub mod config;
mod counters;
mod forward;
pub mod policy;
mod reply;
mod signatures;

use counters::Counters;
use policy::{Decision, Mistake, Policy};
use proxy_wasm_kit::prelude::*;
use signatures::{Present, Signatures};

/// The plugin: one configuration on one worker.
struct JwtHeaders {
    policy: Policy,
    counters: Option<Counters>,
    signatures: Signatures,
    stripped: bool,
}

struct Request(Rc<JwtHeaders>);

proxy_wasm_kit::entry!(JwtHeaders);

impl Extension for JwtHeaders {
    type Config = config::Config;
    type Filter = Request;

    fn configure(config: config::Config, root: &Root) -> Result<Self, ConfigError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| ConfigError::new(format!("no random bytes: {error}")))?;
        let policy = policy::compile(&config, random).map_err(refused)?;
        policy.warnings().iter().for_each(|warning| log::warn!("configuration: {warning}"));
        let counters = config.metrics.then(|| Counters::define(root)).transpose()?;
        let signatures = Signatures::choose()?;
        Ok(Self { policy, counters, signatures, stripped: config.strip_failure_response })
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
        let headers = request.headers().snapshot()?;
        let fields: Vec<_> = headers.iter().collect();
        let seen = policy::Request(&fields);
        let decision = plugin.policy.decide(&seen, &Present::now(plugin.signatures)?);
        if let Some(counters) = &plugin.counters {
            counters.count(&decision);
        }
        match decision {
            Decision::Deny(failure) => {
                reply::log(failure, &seen);
                Ok(Flow::Reply(reply::to(failure, &seen, plugin.stripped)))
            }
            Decision::Pass(passage) | Decision::Preflight(passage) => {
                forward::apply(&request.headers(), &plugin.policy.change(&seen, &passage))?;
                Ok(Flow::Continue)
            }
        }
    }
}
