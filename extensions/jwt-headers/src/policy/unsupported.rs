//! Keys of Envoy's jwt_authn that a module cannot do what they say for, and what to write instead.

use super::Mistake;
use crate::config::{Config, HeaderMatch, LocalJwks, Match, Provider, RetryPolicy, Unsupported};

/// Keys, whether they are there, and what to write instead.
type Refused<'c> = (&'c [(&'static str, Option<Unsupported>)], &'static str);

const METADATA: &str = "a module cannot write dynamic metadata: expected `filter_state` of an action, which other filters and \
                        access logs read";
const FILES: &str = "a module has no files: expected inline_string, inline_bytes, environment_variable, keys, pem, or \
                     remote_jwks instead";
const HOSTS: &str = "the cluster in http_uri chooses its hosts: expected it there, or not at all";

/// The first key that is refused.
pub(super) fn check(config: &Config) -> Result<(), Mistake> {
    for (name, provider) in &config.providers {
        of_provider(provider).map_err(|mistake| mistake.within(&format!("providers.{name}")))?;
    }
    for (number, rule) in config.rules.iter().enumerate() {
        of_match(&rule.matching).map_err(|mistake| mistake.within(&format!("rules[{number}].match")))?;
    }
    Ok(())
}

fn of_provider(from: &Provider) -> Result<(), Mistake> {
    none_of(&[(
        &[
            ("payload_in_metadata", from.payload_in_metadata),
            ("header_in_metadata", from.header_in_metadata),
            ("failed_status_in_metadata", from.failed_status_in_metadata),
        ],
        METADATA,
    )])?;
    if let Some(local) = &from.local_jwks {
        of_local_jwks(local).map_err(|mistake| mistake.within("local_jwks"))?;
    }
    if let Some(remote) = &from.remote_jwks {
        of_retries(&remote.retry_policy).map_err(|mistake| mistake.within("remote_jwks.retry_policy"))?;
    }
    Ok(())
}

fn of_local_jwks(from: &LocalJwks) -> Result<(), Mistake> {
    none_of(&[(&[("filename", from.filename), ("watched_directory", from.watched_directory)], FILES)])
}

fn of_retries(from: &RetryPolicy) -> Result<(), Mistake> {
    none_of(&[
        (
            &[("retry_on", from.retry_on)],
            "whatever is no answer with keys is tried again: expected num_retries and retry_back_off alone",
        ),
        (
            &[
                ("retry_priority", from.retry_priority),
                ("retry_host_predicate", from.retry_host_predicate),
                ("host_selection_retry_max_attempts", from.host_selection_retry_max_attempts),
            ],
            HOSTS,
        ),
    ])
}

fn of_match(from: &Match) -> Result<(), Mistake> {
    none_of(&[
        (
            &[("query_parameters", from.query_parameters)],
            "servers read a query in different ways: expected a path, or headers",
        ),
        (
            &[("connect_matcher", from.connect_matcher)],
            "CONNECT meets what is required of `/`: expected headers with :method instead",
        ),
        (
            &[("grpc", from.grpc), ("cookies", from.cookies)],
            "expected headers with content-type or cookie instead",
        ),
        (
            &[("filter_state", from.filter_state), ("dynamic_metadata", from.dynamic_metadata)],
            "expected filter_state_rules beside the rules instead, for filter state of requests that no rule is for",
        ),
        (
            &[
                ("path_match_policy", from.path_match_policy),
                ("runtime_fraction", from.runtime_fraction),
                ("tls_context", from.tls_context),
            ],
            "rules are for paths and headers alone: expected a listener of its own for what else differs",
        ),
    ])?;
    for (number, header) in from.headers.iter().enumerate() {
        of_header(header).map_err(|mistake| mistake.within(&format!("headers[{number}]")))?;
    }
    Ok(())
}

fn of_header(from: &HeaderMatch) -> Result<(), Mistake> {
    none_of(&[(&[("range_match", from.range_match)], "expected string_match with a safe_regex instead")])
}

fn none_of(groups: &[Refused<'_>]) -> Result<(), Mistake> {
    for (keys, remedy) in groups {
        if let Some((key, _)) = keys.iter().find(|(_, found)| found.is_some()) {
            return Err(Mistake::at(*key, *remedy));
        }
    }
    Ok(())
}
