//! The `authorization` header as basic_auth reads it: whoever passes has sent a password of the configuration, in the form of
//! RFC 7617.
//!
//! An input is headers' values, a line each.
#![no_main]

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use basic_auth::policy::{Authorization, Decision, Key, Policy, Request, compile};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

/// Users and passwords: as texts, as hashes, and without a colon.
const KNOWN: [&[u8]; 5] =
    [b"ann:s3cret", b"bob:a:b", b"eve:password", "zo\u{eb}:\u{fc}".as_bytes(), b"nocolon"];

/// With or without padding.
const PADDED_OR_NOT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

thread_local! {
    static POLICY: Policy = policy();
}

fn policy() -> Policy {
    let config = json!({"basic_auth_rules": [{
        "prefix": "/",
        "request_methods": ["*"],
        "credentials": ["ann:s3cret", "bob:a:b", "zo\u{eb}:\u{fc}", "bm9jb2xvbg"],
        "htpasswd": "eve:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
    }]});
    let config = serde_json::from_value(config).expect("the configuration has the form");
    compile(config, Key::new([7; 16])).unwrap_or_else(|mistake| panic!("{mistake}"))
}

fuzz_target!(|input: &[u8]| {
    let values: Vec<&[u8]> = input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let authorization = values.iter().fold(Authorization::Missing, |sum, value| sum.and(value));
    let request = Request { method: b"GET", authority: b"example.com", path: b"/", authorization };
    let decision = POLICY.with(|policy| policy.decide(&request));
    let known = match values[..] {
        [value] => sent(value).filter(|sent| KNOWN.contains(&&**sent)),
        _ => None,
    };
    match (decision, known) {
        (Decision::Denied { .. }, None) => {}
        (Decision::Allowed { rules, user }, Some(sent)) => {
            let end = sent.iter().position(|byte| *byte == b':').unwrap_or(0);
            assert_eq!((rules, &*user), (vec![0], &sent[..end]));
        }
        (decision, known) => panic!("{decision:?}, {known:?}"),
    }
});

/// What a value of the header says.
fn sent(value: &[u8]) -> Option<Vec<u8>> {
    let value = value.trim_ascii();
    let (scheme, token) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let spaces = token.iter().take_while(|byte| **byte == b' ').count();
    PADDED_OR_NOT.decode(&token[spaces..]).ok()
}
