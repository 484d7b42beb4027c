//! The vectors of RFC 7515 and RFC 8037 whose payload is no JSON, and what a JWKS may hold.

use super::*;
use crate::policy::Want;
use crate::signatures::in_sandbox;

struct Sandbox;

impl Surroundings for Sandbox {
    fn now(&self) -> u64 {
        0
    }

    fn may_wait(&self, _: usize, _: Want) -> bool {
        false
    }

    fn verify(&self, scheme: Scheme, key: &[u8], text: &[u8], signature: &[u8]) -> bool {
        in_sandbox(scheme, key, text, signature)
    }
}

fn key(jwk: &str) -> Result<Key, String> {
    Key::of(&serde_json::from_str(jwk).unwrap(), false).map_err(Unfit::reason)
}

/// Verifies a token of which only the signature is looked at, and the same with each byte of the signature changed.
fn check(jwk: &str, name: &str, token: &str) {
    let (text, signature) = token.rsplit_once('.').unwrap();
    let (key, algorithm) = (key(jwk).unwrap(), Algorithm::named(name).unwrap());
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(key.material.verify(algorithm, text.as_bytes(), &signature, &Sandbox));
    assert!(!key.material.verify(algorithm, format!("{text}x").as_bytes(), &signature, &Sandbox));
    for at in (0..signature.len()).step_by(9) {
        signature[at] ^= 0x10;
        assert!(!key.material.verify(algorithm, text.as_bytes(), &signature, &Sandbox), "byte {at}");
        signature[at] ^= 0x10;
    }
    assert!(!key.material.verify(algorithm, text.as_bytes(), &signature[1..], &Sandbox));
    assert!(!key.material.verify(algorithm, text.as_bytes(), &[], &Sandbox));
}

#[test]
fn rfc_7515_a_4_es512() {
    check(
        r#"{"kty":"EC","crv":"P-521",
            "x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
            "y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}"#,
        "ES512",
        "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.\
         AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgo\
         XD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
    );
}

#[test]
fn rfc_8037_a_4_ed25519() {
    check(
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        "EdDSA",
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
         hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
}

const P256: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;

#[test]
fn use_operations_and_algorithm_of_a_key_count() {
    for more in
        ["", r#","use":"sig""#, r#","key_ops":["sign","verify"]"#, r#","alg":"ES256""#, r#","x5t":"?""#]
    {
        key(&format!("{{{P256}{more}}}")).unwrap();
    }
    for more in [
        r#","use":"enc""#,
        r#","use":1"#,
        r#","key_ops":["encrypt"]"#,
        r#","key_ops":"verify""#,
        r#","alg":"ES384""#,
        r#","alg":"RS256""#,
        r#","alg":"HS256""#,
        r#","alg":"none""#,
        r#","kid":1"#,
    ] {
        key(&format!("{{{P256}{more}}}")).unwrap_err();
    }
}

#[test]
fn keys_that_are_none() {
    let ones = "_".repeat(342);
    for jwk in [
        "1".to_owned(),
        "{}".into(),
        r#"{"kty":"AES"}"#.into(),
        r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#.into(),
        r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#.into(),
        r#"{"kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#.into(),
        r#"{"kty":"OKP","crv":"Ed25519","x":"AA"}"#.into(),
        r#"{"kty":"oct","k":""}"#.into(),
        format!(r#"{{"kty":"RSA","n":"{ones}","e":"AQ"}}"#),
        format!(r#"{{"kty":"RSA","n":"{ones}","e":"Ag"}}"#),
        format!(r#"{{"kty":"RSA","n":"{ones}","e":"AQAAAAAB"}}"#),
        format!(r#"{{"kty":"RSA","n":"{ones}=","e":"AQAB"}}"#),
        r#"{"kty":"RSA","n":"AA","e":"AQAB"}"#.into(),
    ] {
        assert!(key(&jwk).is_err(), "{jwk}");
    }
}

#[test]
fn a_set_is_strict_and_bounded() {
    let one = format!("{{{P256}}}");
    let set = |keys: &str| KeySet::read(format!("{{\"keys\":[{keys}]}}").as_bytes(), false);
    assert_eq!(set(&one).unwrap().keys.len(), 1);
    assert_eq!(set(&format!("{one},{{}}")).unwrap().warnings(), ["keys[1]: it has no kty"]);
    set(&vec![one.as_str(); 101].join(",")).unwrap_err();
    for text in ["", "{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
        KeySet::read(text.as_bytes(), false).unwrap_err();
    }
}

#[test]
fn what_is_told_of_a_set_is_short() {
    let set = |more: String| {
        KeySet::read(format!("{{\"keys\":[{{{P256}}}{more}]}}").as_bytes(), false).unwrap().to_string()
    };
    assert_eq!(set(String::new()), "found 1 that can be used");
    let encrypts = format!(",{{{P256},\"use\":\"enc\"}}");
    assert_eq!(set(encrypts.clone()), "found 1 that can be used, 1 for other purposes");
    assert_eq!(
        set(encrypts + ",{}"),
        "found 1 that can be used, 1 for other purposes; keys[2]: it has no kty"
    );
    assert!(set(",{}".repeat(99)).ends_with("keys[5]: it has no kty; and 94 more"));
}

#[test]
fn a_token_that_fits_too_many_keys_is_tried_with_none() {
    let keys = |count: usize, more: &str| {
        let all = vec![format!("{{{P256}{more}}}"); count].join(",");
        KeySet::read(format!("{{\"keys\":[{all}]}}").as_bytes(), false).unwrap()
    };
    let verdict = |keys: &KeySet, header: &str| {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let text = format!("{}.{}.{}", part(header), part("{}"), part(&"s".repeat(64)));
        keys.verify(&Token::read(text.as_bytes()).unwrap(), &Sandbox).unwrap_err()
    };
    let (named, nameless) = (r#"{"alg":"ES256","kid":"a"}"#, r#"{"alg":"ES256"}"#);
    assert_eq!(verdict(&keys(32, ""), nameless), Failure::Signature);
    assert!(keys(32, "").warnings().is_empty());
    let many = keys(33, "");
    assert_eq!((verdict(&many, nameless), verdict(&many, named)), (Failure::Crowd, Failure::Crowd));
    assert_eq!(verdict(&many, r#"{"alg":"ES384"}"#), Failure::NoKey);
    assert!(many.warnings()[0].starts_with("33 keys fit one algorithm"));
    let other = keys(33, r#","kid":"b""#);
    assert_eq!((verdict(&other, nameless), verdict(&other, named)), (Failure::Crowd, Failure::NoKey));
}
