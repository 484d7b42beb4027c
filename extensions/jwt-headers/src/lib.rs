//! JWT verification, headers and routes from claims: the door between Envoy and the decisions in `policy`.
#![forbid(unsafe_code)]

pub mod config;
mod counters;
mod environment;
mod forward;
mod judge;
mod jwks;
pub mod policy;
mod reply;
mod signatures;
mod trusted;

use counters::Counters;
use jwks::Jwks;
use policy::{Mistake, Policy};
use proxy_wasm_kit::prelude::*;
use reply::Denial;
use signatures::Signatures;

/// The plugin: one configuration on one worker.
struct JwtHeaders {
    policy: Rc<Policy>,
    counters: Option<Counters>,
    signatures: Signatures,
    jwks: Jwks,
    denial: Denial,
    trusted: Option<config::Metadata>,
}

struct Request(Rc<JwtHeaders>);

proxy_wasm_kit::entry!(JwtHeaders);

impl Extension for JwtHeaders {
    type Config = config::Config;
    type Filter = Request;

    fn configure(mut config: config::Config, root: &Root) -> Result<Self, ConfigError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| ConfigError::new(format!("no random bytes: {error}")))?;
        environment::look_up(&mut config);
        let (policy, config) = policy::compile(config, random).map_err(refused)?;
        let policy = Rc::new(policy);
        policy.warnings().iter().for_each(|warning| log::warn!("configuration: {warning}"));
        let counters =
            config.metrics.then(|| Counters::define(root, &config.stat_prefix, &policy)).transpose()?;
        let signatures = Signatures::choose()?;
        let jwks = Jwks::start(&config, &policy, root)?;
        let trusted = trusted::source(&config);
        Ok(Self { trusted, policy, counters, signatures, jwks, denial: Denial::of(&config) })
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
        judge::begin(&self.0, request)
    }
}
