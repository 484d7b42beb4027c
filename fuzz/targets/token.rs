//! The reader of tokens and claims in jwt_headers, against a second one that works by other means: both take the same tokens,
//! and what is taken comes out as it was signed.
//!
//! An input is a token; or, if it begins with `{`, header, payload and signature, a line each, from which one is made. A
//! signature by the secret is made, too, where the line is empty.
#![no_main]

use jwt_headers::policy::{Decision, Policy, Request, Scheme, Surroundings, Want};
use libfuzzer_sys::fuzz_target;
use proxy_wasm_kit_fuzz::jwt;
use proxy_wasm_kit_fuzz::token::{Token, encode};
use serde_json::json;
use std::cell::RefCell;

thread_local! {
    static POLICY: Policy = jwt::policy(json!({
        "providers": {"all": jwt::provider(json!({
            "from_params": ["t"],
            "forward_payload_header": "x-payload",
            "claim_to_headers": [{"header_name": "x-sub", "claim_name": "sub"}],
            "jwt_cache_config": {"jwt_cache_size": 0},
        }))},
        "requires": {"provider_name": "all"},
    }));
}

/// Takes every signature for a good one, and remembers of what it was.
struct Credulous(RefCell<Vec<(Vec<u8>, Vec<u8>)>>);

impl Surroundings for Credulous {
    fn now(&self) -> u64 {
        jwt::NOW
    }

    fn may_wait(&self, _: usize, _: Want) -> bool {
        false
    }

    fn verify(&self, _: Scheme, _: &[u8], text: &[u8], signature: &[u8]) -> bool {
        self.0.borrow_mut().push((text.to_vec(), signature.to_vec()));
        true
    }
}

fuzz_target!(|input: &[u8]| {
    let token = if input.starts_with(b"{") { made_of(input) } else { input.to_vec() };
    let expected = Token::read(&token)
        .filter(|token| jwt::has_key(token) && jwt::has_form(token) && jwt::is_timely(token));
    let escaped: String = token.iter().map(|byte| format!("%{byte:02x}")).collect();
    let path = format!("/?t={escaped}");
    let sent: [(&[u8], &[u8]); 3] =
        [(b":method", b"GET"), (b":path", path.as_bytes()), (b"X_Sub", b"what a client says")];
    let by = Credulous(RefCell::default());
    POLICY.with(|policy| match (policy.decide(&Request(&sent), &by), &expected) {
        (Decision::Deny(_), None) => {}
        (Decision::Pass(passage), Some(expected)) => {
            let (change, _) = policy.change(&Request(&sent), &passage).expect("there are no actions");
            check(expected, &jwt::apply(&change, &sent));
            check_signed(expected, &by.0.borrow());
        }
        (decision, _) => panic!("{decision:?} for {}", token.escape_ascii()),
    });
});

fn made_of(input: &[u8]) -> Vec<u8> {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (header, payload, signature) = (line(), line(), line());
    let signed = format!("{}.{}", encode(header), encode(payload));
    let algorithm = serde_json::from_slice::<serde_json::Value>(header).unwrap_or_default();
    let mac = algorithm["alg"].as_str().and_then(|name| jwt::mac(name, signed.as_bytes()));
    let signature = mac.filter(|_| signature.is_empty()).unwrap_or_else(|| signature.to_vec());
    format!("{signed}.{}", encode(&signature)).into_bytes()
}

/// What the upstream gets is what the token says, and nothing that the client says.
fn check(expected: &Token, upstream: &[jwt::Header]) {
    assert_eq!(jwt::values(upstream, "x-payload"), [expected.payload.as_bytes()]);
    let is_clean = |text: &&str| {
        !text.is_empty()
            && text.trim() == *text
            && !text.contains(|letter: char| letter.is_ascii_control() && letter != '\t')
    };
    let subject: Vec<&[u8]> = expected.text("sub").filter(is_clean).map(str::as_bytes).into_iter().collect();
    assert_eq!(jwt::values(upstream, "x-sub"), subject);
    assert_eq!(jwt::values(upstream, ":path"), [b"/"]);
}

/// What was verified is the token as it was sent.
fn check_signed(expected: &Token, verified: &[(Vec<u8>, Vec<u8>)]) {
    if expected.algorithm.starts_with("HS") {
        return assert!(verified.is_empty());
    }
    let [(text, signature)] = verified else { panic!("{} signatures were verified", verified.len()) };
    assert_eq!(*text, expected.signed);
    assert!(expected.algorithm.starts_with("ES") || *signature == expected.signature);
}
