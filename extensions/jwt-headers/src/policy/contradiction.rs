//! Keys that mean nothing beside others: whoever wrote them expects something that would not happen.

use super::Mistake;
use super::fields::is_alike;
use crate::config::{Config, FromHeader, Provider, Trust};

type Result<T> = std::result::Result<T, Mistake>;

/// The first contradiction.
pub(super) fn check(config: &Config) -> Result<()> {
    trust(config)?;
    let is_remote = config.providers.values().any(|provider| provider.remote_jwks.is_some());
    if config.fetch_failure_status.is_some() && !is_remote {
        return Err(Mistake::at("fetch_failure_status", "expected it with remote_jwks alone"));
    }
    config.providers.iter().try_for_each(|(name, provider)| {
        of_provider(provider).map_err(|mistake| mistake.within(&format!("providers.{name}")))
    })
}

/// Whose claims count is said once.
fn trust(config: &Config) -> Result<()> {
    let has_tokens = !config.providers.is_empty() || !config.rules.is_empty() || config.requires.is_some();
    let has_more = !config.requirement_map.is_empty()
        || config.filter_state_rules.is_some()
        || config.fetch_failure_status.is_some()
        || config.bypass_cors_preflight.is_some();
    match (config.trust, &config.metadata) {
        (Trust::Metadata, _) if has_tokens || has_more => Err(Mistake::at(
            "trust",
            "claims of metadata are not verified here: expected no providers, rules, requires, nor what belongs to them",
        )),
        (Trust::Metadata, _) if config.actions.is_empty() => {
            Err(Mistake::at("actions", "expected at least one"))
        }
        (Trust::Tokens, Some(_)) => Err(Mistake::at("metadata", "expected it with `trust: metadata` alone")),
        _ => Ok(()),
    }
}

fn of_provider(from: &Provider) -> Result<()> {
    if from.pad_forward_payload_header && from.forward_payload_header.is_none() {
        let text = "expected it with forward_payload_header alone";
        return Err(Mistake::at("pad_forward_payload_header", text));
    }
    let is_same = |one: &FromHeader, other: &FromHeader| {
        is_alike(one.name.as_bytes(), &other.name.to_ascii_lowercase())
            && one.value_prefix.eq_ignore_ascii_case(&other.value_prefix)
    };
    once("from_headers", &from.from_headers, is_same)?;
    once("from_params", &from.from_params, PartialEq::eq)?;
    once("from_cookies", &from.from_cookies, PartialEq::eq)
}

/// A place that is named twice has each of its tokens twice.
fn once<T>(name: &str, places: &[T], is_same: impl Fn(&T, &T) -> bool) -> Result<()> {
    for (number, place) in places.iter().enumerate() {
        if places.iter().take(number).any(|other| is_same(place, other)) {
            return Err(Mistake::at(format!("{name}[{number}]"), "expected each place once"));
        }
    }
    Ok(())
}
