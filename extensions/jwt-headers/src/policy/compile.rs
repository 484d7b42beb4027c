//! From what an operator wrote to what decides on requests; and what is wrong with it, by its place.

use super::action::Action;
use super::algorithm::Algorithm;
use super::cache::Cache;
use super::claims::{Checks, ClaimPath};
use super::docket::Reader;
use super::extract::{HeaderLocation, Location};
use super::keys::KeySet;
use super::pattern::Pattern;
use super::provider::{PayloadHeader, Provider};
use super::requirement::Requirement;
use super::rules::Matcher;
use super::{Policy, StateRules, Uri, contradiction, istio, unsupported};
use crate::config::{self, Config, Segment, Trust};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// Requirements in requirements: more is a mistake.
const DEEPEST: usize = 8;

/// How long a server of keys may take.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What is wrong with a configuration, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    /// For example `providers.a.issuer`.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Mistake {
    pub(super) fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    pub(super) fn within(mut self, path: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{path}{dot}{}", self.path);
        self
    }
}

const ROUTES: &str = "the proxy chooses the route anew whenever a module changes headers";

const NO_PROVIDER: &str = "no token would be verified, and every request passes: expected `providers`, `jwtRules`, or `trust: \
                           metadata` with `actions`";

type Result<T> = std::result::Result<T, Mistake>;

/// Checks a configuration, and compiles it; what comes with it is the configuration in Envoy's form. The key, 16 random bytes,
/// is that of the cache.
///
/// # Errors
///
/// The first mistake.
pub fn compile(config: Config, key: [u8; 16]) -> Result<(Policy, Config)> {
    let config = istio::translate(config)?;
    let policy = compile_translated(&config, key).map_err(istio::original_place)?;
    Ok((policy, config))
}

fn compile_translated(config: &Config, key: [u8; 16]) -> Result<Policy> {
    unsupported::check(config)?;
    let names: Vec<&str> = config.providers.keys().map(String::as_str).collect();
    let mut warnings = Vec::new();
    let (mut providers, mut locations) = (Vec::new(), Vec::new());
    for (name, from) in &config.providers {
        let provider =
            provider(from, &mut locations).map_err(|mistake| mistake.within(&format!("providers.{name}")))?;
        let keys = provider.keys.borrow();
        let of_keys = keys.iter().flat_map(|keys| keys.warnings());
        warnings.extend(of_keys.map(|warning| format!("providers.{name}: {warning}")));
        drop(keys);
        if from.clear_route_cache == Some(false) {
            warnings.push(format!("providers.{name}.clear_route_cache: has no effect: {ROUTES}"));
        }
        providers.push(provider);
    }
    check_values(config)?;
    contradiction::check(config)?;
    let requirements = Requirements { names: &names, config };
    // Also those that no rule uses: a mistake there is one.
    config.requirement_map.keys().try_for_each(|name| {
        let compiled = requirements.named(name).map(|_| ());
        compiled.map_err(|mistake| mistake.within(&format!("requirement_map.{name}")))
    })?;
    let rules = rules(config, &requirements)?;
    let by_state = state_rules(config, &requirements)?;
    let otherwise = match &config.requires {
        Some(requires) => Some(requirements.compile(requires).map_err(|mistake| mistake.within("requires"))?),
        None => None,
    };
    if rules.iter().all(|(_, requirement)| requirement.is_none())
        && otherwise.is_none()
        && by_state.is_none()
        && !providers.is_empty()
    {
        return Err(Mistake::at("", "nothing would be verified: expected `rules` or `requires`"));
    }
    let actions = actions(config, &names)?;
    if providers.is_empty() && config.trust == Trust::Tokens {
        return Err(Mistake::at("", NO_PROVIDER));
    }
    let reader = reader(&providers, &actions, key, locations);
    let required = rules.iter().filter_map(|(_, requirement)| requirement.as_ref()).chain(&otherwise);
    let required = required.chain(by_state.iter().flat_map(StateRules::requirements));
    let managed = providers.iter().flat_map(managed).chain(actions.iter().flat_map(Action::managed));
    let managed = managed.chain(required.flat_map(Requirement::managed)).collect();
    let managed_parameters = actions.iter().flat_map(Action::managed_parameters).collect();
    let bypass_cors_preflight = config.bypass_cors_preflight.unwrap_or(false);
    Ok(Policy {
        providers,
        reader,
        rules,
        by_state,
        otherwise,
        bypass_cors_preflight,
        actions,
        managed,
        managed_parameters,
        warnings,
    })
}

fn check_values(config: &Config) -> Result<()> {
    if config.fetch_failure_status.is_some_and(|status| ![401, 503].contains(&status)) {
        return Err(Mistake::at("fetch_failure_status", "expected 401 or 503"));
    }
    if !config.stat_prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
        return Err(Mistake::at("stat_prefix", "expected letters, digits, `_`, `-` and `.` alone"));
    }
    Ok(())
}

/// Of a token nothing is kept but what is checked, and what somebody has a use for.
fn reader(providers: &[Provider], actions: &[Action], key: [u8; 16], locations: Vec<Location>) -> Reader {
    let in_headers = providers.iter().flat_map(|provider| &provider.claim_headers).map(|(_, claim)| claim);
    let used = in_headers.chain(actions.iter().flat_map(Action::claims));
    Reader::new(key, providers.len(), used, locations)
}

/// The number of a place. Most providers look where others do.
fn place(known: &mut Vec<Location>, location: Location) -> usize {
    known.iter().position(|other| *other == location).unwrap_or_else(|| {
        known.push(location);
        known.len().saturating_sub(1)
    })
}

fn actions(config: &Config, providers: &[&str]) -> Result<Vec<Action>> {
    let one = |(number, action)| {
        Action::of(action, providers)
            .map_err(|mistake: Mistake| mistake.within(&format!("actions[{number}]")))
    };
    config.actions.iter().enumerate().map(one).collect()
}

fn managed(provider: &Provider) -> impl Iterator<Item = String> {
    let payload = provider.payload_header.iter().map(|header| header.name.clone());
    payload.chain(provider.claim_headers.iter().map(|(name, _)| name.clone()))
}

fn rules(config: &Config, requirements: &Requirements<'_>) -> Result<Vec<(Matcher, Option<Requirement>)>> {
    let one = |rule: &config::Rule| {
        let matcher = Matcher::of(&rule.matching).map_err(|mistake| mistake.within("match"))?;
        let requirement = match (&rule.requires, &rule.requirement_name) {
            (Some(_), Some(_)) => {
                return Err(Mistake::at("", "expected `requires` or `requirement_name`, found both"));
            }
            (Some(requires), None) => {
                Some(requirements.compile(requires).map_err(|mistake| mistake.within("requires"))?)
            }
            (None, Some(name)) => Some(requirements.named(name)?),
            (None, None) => None,
        };
        Ok((matcher, requirement))
    };
    let numbered = config.rules.iter().enumerate();
    numbered
        .map(|(number, rule)| one(rule).map_err(|mistake| mistake.within(&format!("rules[{number}]"))))
        .collect()
}

fn state_rules(config: &Config, requirements: &Requirements<'_>) -> Result<Option<StateRules>> {
    let Some(from) = &config.filter_state_rules else { return Ok(None) };
    let within = |mistake: Mistake| mistake.within("filter_state_rules");
    if from.name.is_empty() || from.name.contains('\0') {
        return Err(within(Mistake::at("name", "expected the name of filter state, as wasm.NAME")));
    }
    if from.requires.is_empty() {
        return Err(within(Mistake::at("requires", "expected at least one value of the filter state")));
    }
    let mut requires = Vec::new();
    for (value, requirement) in &from.requires {
        let place = |mistake: Mistake| within(mistake.within(&format!("requires.{value}")));
        requires.push((value.clone(), requirements.compile(requirement).map_err(place)?));
    }
    Ok(Some(StateRules { name: from.name.clone(), requires }))
}

fn provider(from: &config::Provider, known: &mut Vec<Location>) -> Result<Provider> {
    let mut claim_headers = Vec::new();
    for (number, entry) in from.claim_to_headers.iter().enumerate() {
        claim_headers.push(
            claim_header(entry).map_err(|mistake| mistake.within(&format!("claim_to_headers[{number}]")))?,
        );
    }
    let payload_header = match &from.forward_payload_header {
        Some(name) => {
            let name = header_name(name).map_err(|problem| Mistake::at("forward_payload_header", problem))?;
            Some(PayloadHeader { name, padded: from.pad_forward_payload_header })
        }
        None => None,
    };
    Ok(Provider {
        checks: checks(from)?,
        algorithms: algorithms(from)?,
        keys: RefCell::new(keys(from)?),
        is_remote: from.remote_jwks.is_some(),
        places: locations(from)?.into_iter().map(|location| place(known, location)).collect(),
        forward: from.forward,
        payload_header,
        claim_headers,
        words: from.normalize_payload_in_metadata.space_delimited_claims.clone(),
        cache: RefCell::new(cache(&from.jwt_cache_config)),
    })
}

fn cache(from: &config::CacheConfig) -> Cache {
    Cache::new(from.jwt_cache_size.unwrap_or(500), from.jwt_max_token_size.unwrap_or(4096))
}

fn checks(from: &config::Provider) -> Result<Checks> {
    let subjects = from.subjects.as_ref().map(Pattern::of).transpose();
    Ok(Checks {
        issuer: from.issuer.clone(),
        audiences: from.audiences.clone(),
        subjects: subjects.map_err(|problem| Mistake::at("subjects", problem))?,
        skew: from.clock_skew_seconds.into(),
        require_expiration: from.require_expiration,
        max_lifetime: from.max_lifetime.map(|span| span.0.as_secs()),
    })
}

fn algorithms(from: &config::Provider) -> Result<Vec<Algorithm>> {
    let Some(names) = &from.algorithms else { return Ok(Algorithm::with_public_keys()) };
    if names.is_empty() {
        return Err(Mistake::at("algorithms", "expected at least one, such as \"RS256\""));
    }
    let named = |(number, name): (usize, &String)| {
        let text = || format!("{name:?} is none of RS, PS, ES, HS with 256, 384 or 512, and EdDSA");
        Algorithm::named(name).ok_or_else(|| Mistake::at(format!("algorithms[{number}]"), text()))
    };
    names.iter().enumerate().map(named).collect()
}

/// The keys that the configuration holds; none if they are fetched.
fn keys(from: &config::Provider) -> Result<Option<Rc<KeySet>>> {
    match (&from.local_jwks, &from.remote_jwks) {
        (Some(local), None) => {
            let keys = local_keys(local, from.allow_weak_keys);
            keys.map(|keys| Some(Rc::new(keys))).map_err(|mistake| mistake.within("local_jwks"))
        }
        (None, Some(remote)) => {
            check_remote(remote).map(|()| None).map_err(|mistake| mistake.within("remote_jwks"))
        }
        _ => Err(Mistake::at("", "expected exactly one of local_jwks, remote_jwks")),
    }
}

fn check_remote(remote: &config::RemoteJwks) -> Result<()> {
    Uri::read(&remote.http_uri.uri).map_err(|problem| Mistake::at("http_uri.uri", problem))?;
    if remote.http_uri.cluster.is_empty() {
        return Err(Mistake::at("http_uri.cluster", "expected the name of a cluster"));
    }
    if remote.retry_policy.num_retries.is_some_and(|times| times > 10) {
        return Err(Mistake::at("retry_policy.num_retries", "expected at most 10"));
    }
    let (back_off, timeout) = (&remote.retry_policy.retry_back_off, &remote.http_uri.timeout);
    let times = [
        ("http_uri.timeout", timeout),
        ("cache_duration", &remote.cache_duration),
        ("refetch_interval", &remote.refetch_interval),
        ("async_fetch.failed_refetch_duration", &remote.async_fetch.failed_refetch_duration),
        ("retry_policy.retry_back_off.base_interval", &back_off.base_interval),
    ];
    if let Some((place, _)) =
        times.into_iter().find(|(_, time)| time.is_some_and(|time| time.0.as_millis() == 0))
    {
        return Err(Mistake::at(place, "expected a millisecond at least"));
    }
    if timeout.is_some_and(|time| time.0 > LONGEST_TIMEOUT) {
        return Err(Mistake::at("http_uri.timeout", "expected at most 30s: requests wait as long"));
    }
    match (&back_off.base_interval, &back_off.max_interval) {
        (base, Some(longest)) if longest.0 < base.map_or(Duration::from_secs(1), |base| base.0) => {
            let text = "expected no less than base_interval, which is 1s by default";
            Err(Mistake::at("retry_policy.retry_back_off.max_interval", text))
        }
        _ => Ok(()),
    }
}

fn local_keys(local: &config::LocalJwks, weak: bool) -> Result<KeySet> {
    let read = |text: &[u8]| KeySet::read(text, weak);
    let ways = [
        local.inline_string.as_ref().map(|text| ("inline_string", read(text.as_bytes()))),
        local.inline_bytes.as_ref().map(|text| {
            let bytes = STANDARD.decode(text).map_err(|_| "expected base64".to_owned());
            ("inline_bytes", bytes.and_then(|bytes| read(&bytes)))
        }),
        local.environment_variable.as_ref().map(|variable| {
            let value = variable.value.as_ref().ok_or_else(|| not_set(&variable.name));
            ("environment_variable", value.and_then(|text| read(text.as_bytes())))
        }),
        local
            .keys
            .as_ref()
            .map(|keys| ("keys", read(serde_json::json!({ "keys": keys }).to_string().as_bytes()))),
        local.pem.as_ref().map(|text| ("pem", KeySet::from_pem(text, weak))),
    ];
    let mut ways = ways.into_iter().flatten();
    match (ways.next(), ways.next()) {
        (Some((place, keys)), None) => keys.map_err(|problem| Mistake::at(place, problem)),
        _ => Err(Mistake::at(
            "",
            "expected exactly one of inline_string, inline_bytes, environment_variable, keys, pem",
        )),
    }
}

fn not_set(variable: &str) -> String {
    format!(
        "{variable:?} is not in the environment of the VM: expected it in vm_config.environment_variables of Envoy, or \
         vmConfig.env of Istio"
    )
}

fn locations(from: &config::Provider) -> Result<Vec<Location>> {
    if from.from_headers.is_empty() && from.from_params.is_empty() && from.from_cookies.is_empty() {
        return Ok(Location::usual());
    }
    let mut locations = Vec::new();
    for (number, header) in from.from_headers.iter().enumerate() {
        let place = |problem| Mistake::at(format!("from_headers[{number}].name"), problem);
        let name = header_name(&header.name).map_err(place)?;
        let prefix = header.value_prefix.clone();
        locations.push(Location::Header(HeaderLocation { name, prefix }));
    }
    for (list, names) in [("from_params", &from.from_params), ("from_cookies", &from.from_cookies)] {
        if let Some(number) = names.iter().position(String::is_empty) {
            return Err(Mistake::at(format!("{list}[{number}]"), "expected a name, found an empty text"));
        }
    }
    let others = [Location::Params(from.from_params.clone()), Location::Cookies(from.from_cookies.clone())];
    let is_used = |location: &Location| match location {
        Location::Header(_) => true,
        Location::Params(names) | Location::Cookies(names) => !names.is_empty(),
    };
    locations.extend(others.into_iter().filter(is_used));
    Ok(locations)
}

fn claim_header(from: &config::ClaimToHeader) -> Result<(String, ClaimPath)> {
    let name = header_name(&from.header_name).map_err(|problem| Mistake::at("header_name", problem))?;
    let (place, path) = match (&from.claim_name, &from.claim_path) {
        (Some(name), None) => ("claim_name", ClaimPath::read(name)),
        (None, Some(path)) => {
            ("claim_path", ClaimPath::of(path.iter().map(Segment::name).map(str::to_owned).collect()))
        }
        _ => return Err(Mistake::at("", "expected exactly one of claim_name, claim_path")),
    };
    Ok((name, path.map_err(|problem| Mistake::at(place, problem))?))
}

fn extract_only(from: &config::ExtractOnly, scope: &[usize]) -> Result<Requirement> {
    let place = "extract_only_without_validation.verification_status_header";
    let name = from.verification_status_header.as_deref().filter(|name| !name.is_empty());
    let sign = match name.unwrap_or("x-jwt-signature-verified") {
        "-" => None,
        name => Some(header_name(name).map_err(|problem| Mistake::at(place, problem))?.into()),
    };
    Ok(Requirement::ExtractOnly { scope: scope.to_vec(), sign })
}

/// A name that a header can have, in lower case.
pub(super) fn header_name(name: &str) -> std::result::Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("{name:?} is not the name of a header"));
    }
    let name = name.to_ascii_lowercase();
    if KEPT.contains(&&*name) {
        return Err(format!("{name:?} is for the proxy; for the host there is `host` of an action"));
    }
    Ok(name)
}

/// Headers by which messages are framed and sent on.
const KEPT: [&str; 7] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"];

/// What requirements refer to.
struct Requirements<'c> {
    names: &'c [&'c str],
    config: &'c Config,
}

impl Requirements<'_> {
    fn named(&self, name: &str) -> Result<Requirement> {
        let text = || format!("{name:?} is not in requirement_map");
        let found =
            self.config.requirement_map.get(name).ok_or_else(|| Mistake::at("requirement_name", text()))?;
        self.compile(found).map_err(|mistake| mistake.within(&format!("requirement_map.{name}")))
    }

    /// A requirement, and what its `allow_missing` is about: the providers that it names, or all if it names none.
    fn compile(&self, from: &config::Requirement) -> Result<Requirement> {
        let mut scope = Vec::new();
        self.providers_of(from, DEEPEST, &mut scope);
        if scope.is_empty() {
            scope.extend(0..self.names.len());
        }
        scope.sort_unstable();
        scope.dedup();
        self.of(from, &scope, DEEPEST)
    }

    fn providers_of(&self, from: &config::Requirement, depth: usize, found: &mut Vec<usize>) {
        let named = from.provider_name.as_ref();
        let with_audiences = from.provider_and_audiences.as_ref().map(|other| &other.provider_name);
        found.extend(named.into_iter().chain(with_audiences).filter_map(|name| self.number(name)));
        let inner = from.requires_any.iter().chain(&from.requires_all).flat_map(|inner| &inner.requirements);
        if let Some(depth) = depth.checked_sub(1) {
            inner.for_each(|inner| self.providers_of(inner, depth, found));
        }
    }

    fn of(&self, from: &config::Requirement, scope: &[usize], depth: usize) -> Result<Requirement> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(Mistake::at("", "requirements are too deep"));
        };
        let kinds = [
            from.provider_name.as_ref().map(|name| self.one("provider_name", name, None)),
            from.provider_and_audiences.as_ref().map(|one| {
                let place = "provider_and_audiences.provider_name";
                self.one(place, &one.provider_name, Some(one.audiences.clone()))
            }),
            from.requires_any
                .as_ref()
                .map(|any| self.list("requires_any", any, scope, depth).map(Requirement::Any)),
            from.requires_all
                .as_ref()
                .map(|all| self.list("requires_all", all, scope, depth).map(Requirement::All)),
            from.allow_missing.as_ref().map(|_| Ok(Requirement::AllowMissing(scope.to_vec()))),
            from.allow_missing_or_failed
                .as_ref()
                .map(|_| Ok(Requirement::AllowMissingOrFailed(scope.to_vec()))),
            from.extract_only_without_validation.as_ref().map(|from| extract_only(from, scope)),
        ];
        let mut kinds = kinds.into_iter().flatten();
        match (kinds.next(), kinds.next()) {
            (Some(kind), None) => kind,
            _ => Err(Mistake::at(
                "",
                "expected exactly one of provider_name, provider_and_audiences, requires_any, requires_all, \
                 allow_missing, allow_missing_or_failed, extract_only_without_validation",
            )),
        }
    }

    fn one(&self, place: &str, name: &str, audiences: Option<Vec<String>>) -> Result<Requirement> {
        if audiences.as_ref().is_some_and(Vec::is_empty) {
            return Err(Mistake::at("provider_and_audiences.audiences", "expected at least one"));
        }
        let text = || format!("{name:?} is not in providers");
        let provider = self.number(name).ok_or_else(|| Mistake::at(place, text()))?;
        Ok(Requirement::Provider { provider, audiences })
    }

    fn list(
        &self,
        place: &str,
        from: &config::Requirements,
        scope: &[usize],
        depth: usize,
    ) -> Result<Vec<Requirement>> {
        if from.requirements.is_empty() {
            return Err(Mistake::at(format!("{place}.requirements"), "expected at least one requirement"));
        }
        let numbered = from.requirements.iter().enumerate();
        let one = |(number, inner): (usize, &config::Requirement)| {
            let within = |mistake: Mistake| mistake.within(&format!("{place}.requirements[{number}]"));
            self.of(inner, scope, depth).map_err(within)
        };
        numbered.map(one).collect()
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| *known == name)
    }
}
