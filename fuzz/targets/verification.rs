//! The verification of jwt_headers as a whole, with real signatures: nobody passes by a token that was not signed so, and what
//! the upstream is told of a user is what was signed.
//!
//! An input is a request: the first line is its path, the others are headers, `name: value`.
#![no_main]

use jwt_headers::policy::{self, Decision, Policy, Request, Scheme, Surroundings, Want};
use libfuzzer_sys::fuzz_target;
use proxy_wasm_kit::foreign::{Hash, PublicKey, Verdict, sandbox};
use proxy_wasm_kit_fuzz::jwt;
use proxy_wasm_kit_fuzz::token::Token;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The tokens that were signed, one for each algorithm.
const SIGNED: &str = include_str!("../src/tokens.txt");

thread_local! {
    static POLICY: Policy = jwt::policy(configuration());
    static KNOWN: BTreeSet<Vec<u8>> = SIGNED.lines().map(|token| signed(token.as_bytes()).to_vec()).collect();
}

fn configuration() -> Value {
    let provider = |name: &str| {
        jwt::provider(json!({
            "issuer": "https://issuer.example",
            "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}, {"name": format!("x-{name}")}],
            "from_params": [name],
            "from_cookies": [name],
            "forward_payload_header": format!("x-{name}-payload"),
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
        }))
    };
    let (a, b) = (json!({"provider_name": "a"}), json!({"provider_name": "b"}));
    json!({
        "providers": {"a": provider("a"), "b": provider("b")},
        "rules": [
            {"match": {"path_separated_prefix": "/open"}},
            {"match": {"path_separated_prefix": "/lax"}, "requires": {"allow_missing_or_failed": {}}},
            {"match": {"path_separated_prefix": "/maybe"}, "requires": {"allow_missing": {}}},
            {"match": {"path_separated_prefix": "/any"}, "requires": {"requires_any": {"requirements": [a, b]}}},
            {"match": {"path_separated_prefix": "/all"}, "requires": {"requires_all": {"requirements": [a, b]}}},
        ],
        "requires": a,
        "actions": [{"headers": [{"name": "x-tenant", "set": "{sub}@{iss}", "otherwise": ""}]}],
    })
}

struct Now;

impl Surroundings for Now {
    fn now(&self) -> u64 {
        jwt::NOW
    }

    fn may_wait(&self, _: usize, _: Want) -> bool {
        false
    }

    fn verify(&self, scheme: Scheme, key: &[u8], text: &[u8], signature: &[u8]) -> bool {
        let verdict = match scheme {
            Scheme::Pkcs1(of) | Scheme::Ecdsa(of) => {
                sandbox::verify(hash(of), PublicKey::Der(key), text, signature)
            }
            Scheme::Pss(of) => sandbox::verify_pss(hash(of), PublicKey::Der(key), text, signature),
            Scheme::Ed25519 => sandbox::verify_ed25519(key, text, signature),
        };
        let is_valid = verdict == Verdict::Valid;
        assert!(!is_valid || KNOWN.with(|known| known.contains(text)), "a forged signature");
        is_valid
    }
}

fn hash(of: policy::Hash) -> Hash {
    match of {
        policy::Hash::Sha256 => Hash::Sha256,
        policy::Hash::Sha384 => Hash::Sha384,
        policy::Hash::Sha512 => Hash::Sha512,
    }
}

fuzz_target!(|input: &[u8]| {
    let Some(lines) = request(input) else { return };
    let sent: Vec<(&[u8], &[u8])> = lines.iter().map(|(name, value)| (&**name, &**value)).collect();
    let request = Request(&sent);
    POLICY.with(|policy| {
        if let Decision::Pass(passage) = policy.decide(&request, &Now) {
            let passed = policy.change(&request, &passage);
            check(&lines, passed.map(|(change, _)| jwt::apply(&change, &sent)).ok().as_deref());
        }
    });
});

/// A request as a proxy hands it over: names are small, and no value holds what ends one.
fn request(input: &[u8]) -> Option<Vec<jwt::Header>> {
    let mut lines = input.split(|byte| *byte == b'\n');
    let path = lines.next().filter(|path| path.starts_with(b"/"))?;
    let mut headers = vec![(b":method".to_vec(), b"GET".to_vec()), (b":path".to_vec(), path.to_vec())];
    for line in lines {
        let colon = line.windows(2).position(|pair| pair == b": ")?;
        let name = line[..colon].to_ascii_lowercase();
        let is_name = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b':');
        is_name.then_some(())?;
        headers.push((name, line[colon + 2..].trim_ascii().to_vec()));
    }
    let is_value = |value: &[u8]| !value.iter().any(|byte| matches!(byte, 0 | b'\r'));
    headers.iter().all(|(_, value)| is_value(value)).then_some(headers)
}

/// What reaches the upstream of a request that passes.
fn check(sent: &[jwt::Header], upstream: Option<&[jwt::Header]>) {
    let Some(upstream) = upstream else { return };
    let payloads: Vec<&[u8]> =
        ["x-a-payload", "x-b-payload"].iter().flat_map(|name| jwt::values(upstream, name)).collect();
    for payload in &payloads {
        assert!(is_known_payload(payload), "the payload {}", payload.escape_ascii());
    }
    for user in jwt::values(upstream, "x-user") {
        assert_eq!(user, b"ann");
    }
    for tenant in jwt::values(upstream, "x-tenant") {
        assert!(matches!(tenant, b"" | b"ann@https://issuer.example"), "{}", tenant.escape_ascii());
    }
    let path = jwt::values(sent, ":path")[0].split(|byte| *byte == b'?').next().unwrap_or_default();
    let plain = path.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'/')
        && !path.windows(2).any(|pair| pair == b"//");
    if !plain {
        return;
    }
    match path.split(|byte| *byte == b'/').nth(1) {
        Some(b"open" | b"lax" | b"maybe") => {}
        Some(b"all") => {
            assert_eq!(payloads.len(), 2);
            assert_bearer(sent);
        }
        Some(b"any") => assert!(!payloads.is_empty()),
        _ => {
            assert!(!payloads.is_empty());
            assert_bearer(sent);
        }
    }
}

fn is_known_payload(payload: &[u8]) -> bool {
    SIGNED.lines().any(|token| token.as_bytes().split(|byte| *byte == b'.').nth(1) == Some(payload))
}

/// No upstream can find a bearer in the request that nobody signed.
fn assert_bearer(sent: &[jwt::Header]) {
    for value in jwt::values(sent, "authorization").iter().filter(|_| !jwt::has_alias(sent, "authorization"))
    {
        if let Some(token) = value.strip_prefix(b"Bearer ").filter(|token| Token::read(token).is_some()) {
            assert!(KNOWN.with(|known| known.contains(signed(token))), "{} passed", token.escape_ascii());
        }
    }
}

/// Header and payload of a token.
fn signed(token: &[u8]) -> &[u8] {
    &token[..token.iter().rposition(|byte| *byte == b'.').unwrap_or(0)]
}
