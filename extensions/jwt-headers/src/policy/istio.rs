//! Istio's way to say it: `jwtRules` become providers, and each token that is there has to be good for one of them.

use super::{Mistake, Uri};
use crate::config::{
    ClaimToHeader, Config, FromHeader, HttpUri, JwtRule, LocalJwks, NormalizePayload, Nothing, Provider,
    RemoteJwks, Requirement, Span, Trust,
};
use std::time::Duration;

/// How long Istio has Envoy keep keys.
const CACHE: Duration = Duration::from_secs(300);

/// Claims that Istio always takes for texts of words.
const WORDS: [&str; 2] = ["scope", "permission"];

/// How a place in what is made here is called in what was written.
const NAMES: [(&str, &str); 10] = [
    ("remote_jwks.http_uri.uri", "jwksUri"),
    ("remote_jwks.http_uri.cluster", "jwksCluster"),
    ("remote_jwks.http_uri.timeout", "timeout"),
    ("local_jwks.inline_string", "jwks"),
    ("from_headers", "fromHeaders"),
    ("from_params", "fromParams"),
    ("from_cookies", "fromCookies"),
    ("forward_payload_header", "outputPayloadToHeader"),
    ("claim_to_headers", "outputClaimToHeaders"),
    ("header_name", "header"),
];

/// The same configuration without `jwtRules`.
pub(super) fn translate(mut config: Config) -> Result<Config, Mistake> {
    let Some(rules) = config.jwt_rules.take() else { return Ok(config) };
    if !config.providers.is_empty()
        || !config.rules.is_empty()
        || config.requires.is_some()
        || config.filter_state_rules.is_some()
        || !config.requirement_map.is_empty()
    {
        return Err(Mistake::at(
            "jwtRules",
            "expected `jwtRules`, or providers, rules, filter_state_rules, requires and requirement_map; found both",
        ));
    }
    if config.trust == Trust::Metadata {
        return Err(Mistake::at("jwtRules", "expected `jwtRules`, or `trust: metadata`; found both"));
    }
    if rules.is_empty() {
        return Err(Mistake::at("jwtRules", "expected at least one: without, every request passes"));
    }
    for (number, rule) in rules.into_iter().enumerate() {
        let name = name(number);
        let provider = provider(rule).map_err(|mistake| mistake.within(&format!("jwtRules[{number}]")))?;
        config.providers.insert(name, provider);
    }
    config.bypass_cors_preflight.get_or_insert(true);
    config.requires = Some(Requirement { allow_missing: Some(Nothing {}), ..Requirement::default() });
    Ok(config)
}

/// Numbers of the same length, so that the providers keep their order.
fn name(number: usize) -> String {
    format!("jwtRules[{number:04}]")
}

/// The place of a mistake, as the operator knows it.
pub(super) fn original_place(mistake: Mistake) -> Mistake {
    let Some(rest) = mistake.path.strip_prefix("providers.jwtRules[") else { return mistake };
    let (number, rest) = rest.split_once(']').unwrap_or((rest, ""));
    let mut path = format!("jwtRules[{}]{rest}", number.trim_start_matches('0').parse().unwrap_or(0_usize));
    for (made, written) in NAMES {
        path = path.replace(made, written);
    }
    Mistake { path: path.replace(".claim_name", ".claim"), ..mistake }
}

fn provider(rule: JwtRule) -> Result<Provider, Mistake> {
    if rule.issuer.is_empty() && rule.jwks_uri.is_none() {
        return Err(Mistake::at("issuer", "expected an issuer; only with jwksUri it may be any"));
    }
    if rule.jwks_uri.is_none() && rule.jwks_cluster.is_some() {
        return Err(Mistake::at("jwksCluster", "expected it with jwksUri alone"));
    }
    if rule.jwks_uri.is_none() && rule.timeout.is_some() {
        return Err(Mistake::at("timeout", "expected it with jwksUri alone"));
    }
    let cluster = rule.jwks_cluster.clone();
    let (local_jwks, remote_jwks) = match (rule.jwks, rule.jwks_uri) {
        (Some(text), None) => (Some(LocalJwks { inline_string: Some(text), ..LocalJwks::default() }), None),
        (None, Some(uri)) => (None, Some(remote(uri, cluster, rule.timeout)?)),
        _ => return Err(Mistake::at("", "expected exactly one of jwks, jwksUri")),
    };
    let from_headers = rule
        .from_headers
        .into_iter()
        .map(|header| FromHeader { name: header.name, value_prefix: header.prefix });
    let claims = rule.output_claim_to_headers.into_iter().map(|output| ClaimToHeader {
        header_name: output.header,
        claim_name: Some(output.claim),
        claim_path: None,
    });
    Ok(Provider {
        issuer: rule.issuer,
        audiences: rule.audiences,
        clock_skew_seconds: 60,
        local_jwks,
        remote_jwks,
        from_headers: from_headers.collect(),
        from_params: rule.from_params,
        from_cookies: rule.from_cookies,
        forward: rule.forward_original_token,
        forward_payload_header: rule.output_payload_to_header,
        claim_to_headers: claims.collect(),
        normalize_payload_in_metadata: NormalizePayload {
            space_delimited_claims: WORDS
                .map(str::to_owned)
                .into_iter()
                .chain(rule.space_delimited_claims)
                .collect(),
        },
        ..Provider::default()
    })
}

fn remote(uri: String, cluster: Option<String>, timeout: Option<Span>) -> Result<RemoteJwks, Mistake> {
    let cluster = match cluster {
        Some(cluster) => cluster,
        None => of_service_entry(&uri).map_err(|problem| Mistake::at("jwksUri", problem))?,
    };
    Ok(RemoteJwks {
        http_uri: HttpUri { uri, cluster, timeout },
        cache_duration: Some(Span(CACHE)),
        ..RemoteJwks::default()
    })
}

/// The name that Istio gives to the cluster of a host outside the mesh.
fn of_service_entry(uri: &str) -> Result<String, String> {
    let authority = Uri::read(uri)?.authority;
    let usual = if uri.starts_with("https:") { "443" } else { "80" };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (host, port)
        }
        _ => (&*authority, usual),
    };
    Ok(format!("outbound|{port}||{host}"))
}

#[cfg(test)]
mod tests {
    //! Names of clusters, and places of mistakes.

    use super::*;

    #[test]
    fn clusters_of_hosts_outside_the_mesh() {
        let cluster = |uri| of_service_entry(uri).unwrap();
        assert_eq!(cluster("https://issuer.example/keys"), "outbound|443||issuer.example");
        assert_eq!(cluster("http://issuer.example"), "outbound|80||issuer.example");
        assert_eq!(cluster("https://issuer.example:8443/"), "outbound|8443||issuer.example");
    }

    #[test]
    fn places_are_those_that_were_written() {
        let place = |path: &str| original_place(Mistake::at(path, "")).path;
        assert_eq!(place("providers.jwtRules[0010].remote_jwks.http_uri.uri"), "jwtRules[10].jwksUri");
        assert_eq!(
            place("providers.jwtRules[0000].claim_to_headers[1].header_name"),
            "jwtRules[0].outputClaimToHeaders[1].header"
        );
        assert_eq!(place("providers.mine.issuer"), "providers.mine.issuer");
    }
}
