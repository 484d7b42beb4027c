//! The vectors of RFC 7515 and RFC 8037 whose payload is no JSON, those of RFC 7517, and what else a JWKS may hold.

use super::*;
use crate::policy::Want;
use crate::policy::header::Headers;
use crate::policy::json::Keep;
use crate::signatures::in_sandbox;
use std::cell::Cell;

fn token(text: &str) -> Token<'_> {
    Token::read(text.as_bytes(), &Headers::default(), Keep::Everything).unwrap()
}

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

/// The modulus of the RSA keys in RFC 7517, A.1 and A.2.
const MODULUS: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
const EC_OF_RFC_7517: &str = r#""kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"enc","kid":"1""#;

/// The ids of the keys in a set that can be used.
fn ids(set: &str) -> Vec<String> {
    let set = KeySet::read(set.as_bytes(), false).unwrap();
    set.keys.iter().map(|key| key.id.clone().unwrap_or_default()).collect()
}

#[test]
fn rfc_7517_a_1_public_keys_but_for_those_that_encrypt() {
    let rsa = format!(r#""kty":"RSA","n":"{MODULUS}","e":"AQAB","alg":"RS256","kid":"2011-04-29""#);
    assert_eq!(ids(&format!(r#"{{"keys":[{{{EC_OF_RFC_7517}}},{{{rsa}}}]}}"#)), ["2011-04-29"]);
}

#[test]
fn rfc_7517_a_2_of_private_keys_the_public_half() {
    let d = "X4cTteJY_gn4FYPsXB8rdXix5vwsg1FLN5E3EaG6RJoVH-HLLKD9M7dx5oo7GURknchnrRweUkC7hT5fJLM0WbFAKNLWY2vv7B6NqXSzUvxT0_YSfqijwp3RTzlBaCxWp4doFk5N2o8Gy_nHNKroADIkJ46pRUohsXywbReAdYaMwFs9tv8d_cPVY3i07a3t8MN6TNwm0dSawm9v47UiCl3Sk5ZiG7xojPLu4sbg1U2jx4IBTNBznbJSzFHK66jT8bgkuqsk0GjskDJk19Z4qwjwbsnn4j2WBii3RL-Us2lGVkY8fkFzme1z0HbIkfz0Y6mqnOYtqc0X4jfcKoAC8Q";
    let ec = format!(r#"{EC_OF_RFC_7517},"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE""#);
    let rsa = format!(r#""kty":"RSA","n":"{MODULUS}","e":"AQAB","d":"{d}","alg":"RS256","kid":"2011-04-29""#);
    assert_eq!(ids(&format!(r#"{{"keys":[{{{ec}}},{{{rsa}}}]}}"#)), ["2011-04-29"]);
}

#[test]
fn rfc_7517_a_3_secrets_but_for_those_that_wrap_keys() {
    let wraps = r#"{"kty":"oct","alg":"A128KW","k":"GawgguFyGrWKav7AX4VKUg"}"#;
    let signs = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow","kid":"HMAC key used in JWS spec Appendix A.1 example"}"#;
    let used = ids(&format!(r#"{{"keys":[{wraps},{signs}]}}"#));
    assert_eq!(used, ["HMAC key used in JWS spec Appendix A.1 example"]);
}

#[test]
fn rfc_8037_a_1_and_a_2_the_same_key_with_and_without_its_private_half() {
    let public = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
    let private = r#""d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A""#;
    for jwk in [format!("{{{public}}}"), format!("{{{public},{private}}}")] {
        check(
            &jwk,
            "EdDSA",
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
             hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        );
    }
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
        keys.verify(&token(&text), &Sandbox).unwrap_err()
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

/// Lets so many be tried.
struct Few(Cell<u32>);

impl Surroundings for Few {
    fn now(&self) -> u64 {
        0
    }

    fn may_wait(&self, _: usize, _: Want) -> bool {
        false
    }

    fn may_check(&self, _: Algorithm) -> bool {
        self.0.replace(self.0.get().saturating_sub(1)) > 0
    }

    fn verify(&self, scheme: Scheme, key: &[u8], text: &[u8], signature: &[u8]) -> bool {
        in_sandbox(scheme, key, text, signature)
    }
}

#[test]
fn each_try_counts_also_of_secrets() {
    let secret = URL_SAFE_NO_PAD.encode("s".repeat(32));
    let set = |key: &str| KeySet::read(format!("{{\"keys\":[{key},{key}]}}").as_bytes(), false).unwrap();
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    for (alg, key) in
        [("ES256", format!("{{{P256}}}")), ("HS256", format!(r#"{{"kty":"oct","k":"{secret}"}}"#))]
    {
        let text = format!("{}.{}.{}", part(&format!(r#"{{"alg":"{alg}"}}"#)), part("{}"), part("s"));
        let verdict = |tries| set(&key).verify(&token(&text), &Few(Cell::new(tries))).unwrap_err();
        assert_eq!([0, 1, 2].map(verdict), [Failure::Crowd, Failure::Crowd, Failure::Signature], "{alg}");
    }
}

/// A certificate that has expired, of a key of RSA.
const CERTIFICATE: &str = r#"-----BEGIN CERTIFICATE-----\nMIICvjCCAaagAwIBAgICEmcwDQYJKoZIhvcNAQELBQAwGTEXMBUGA1UEAwwOaXNz\ndWVyLmV4YW1wbGUwHhcNMjAwMTAxMDAwMDAwWhcNMjEwMTAxMDAwMDAwWjAZMRcw\nFQYDVQQDDA5pc3N1ZXIuZXhhbXBsZTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCC\nAQoCggEBAPhtfsXvzJ39VoAOd+5gzjGV+25ZruLFJusZmrpRMJNFDndcbxNd2oTm\nhb/PDtIWfMjahlgk1QvbMFN9rWg3lBPJetodiUai9qAD9r506X8lS/ivtkgi3a2H\nc9ZR8pEjZQlIZYG2t7+JNIXOyE+bkS3Cm4wug8qPl934nj9lHV4fajm8V2kxwtcB\nedDovWZEtmRgjpPiHTh1wdIFusbQTa+2nhafCKZ4OQJv6iwu7BNHrP7DcfoAAUU2\nVivClVGqzLM0RIQp8RzWw3W5ZTloInYjbOVmx6GjKfg/X2b3UHT405B54rFdDSF6\nHUhbvD+C5lKB+YRHiL9/mYq8NqfT5E8CAwEAAaMQMA4wDAYDVR0TAQH/BAIwADAN\nBgkqhkiG9w0BAQsFAAOCAQEAREeSPqmpUlwyM+kGfYrXyoEoqRJfPXnwHgbRT7Qa\nSb3+BSGEmO3DqrIvx4mz3pn+n6i1+6J+OGcSZQFG3v3tDpXHixqK/0xsrSyKmCz6\nUg0mxwPhcI1Kev3/i0WG1R9/Klc0//9eByF7Y2C5B/NjoZTr8jP0eQc9B+8MeRQG\nJqTYl4AxLir+b+mh0H8g70ORWrdwXdj7LAywIoYBLzP+RCmuHKUIWqFaO2WjQt4H\nLhu1oVNoOtqdFeiNlql74ThDi9FSmqnvyS3aIHFmZBmA3OBkdSId+hpGg3nC29ef\nHwVHP3VXRPDbNADBBlu3Wh2EZMiGErxTBTn5wl00YjnQKg==\n-----END CERTIFICATE-----\n"#;

#[test]
fn certificates_by_kid_are_keys() {
    let set = |text: String| KeySet::read(text.as_bytes(), false);
    let certified = set(format!(r#"{{"a": "{CERTIFICATE}", "b": "{CERTIFICATE}{CERTIFICATE}"}}"#)).unwrap();
    assert_eq!(certified.to_string(), "found 2 that can be used");
    let token = token(
        "eyJhbGciOiJSUzI1NiIsImtpZCI6ImN1cnZlZCJ9.eyJzdWIiOiJhbm4ifQ.tyfMEZQ2ON2gPJuHdvE8mR31Aq9Wm2KrIdkWygej7q0bSSjfz2XhbY_jEX8dux2PdNwL84huvaD3FRoySeQFpbB9naLOMfaBYqFCXWzBOazES_JrVXe7mE3NfYRA_MdqINzNPp7eEQ2wi_8u6iitLmihNXmfCnfLx7TDRftnOkgB25iUB6OHAWWnZ4WTRSUYabHShCnadt6TImesT5hLfpZ5BgcA_ff1meYaUxqL9YDBVswnf3O9EfuAB8FFcaLQYP-39dign5BteDp4xfNRhXD9um3H6L5KwPzcwSCA76Xkh0jkK8_MhstRLYgzBFNvcMORVsO5DsdChCA-4fcCCg",
    );
    assert_eq!(certified.verify(&token, &Sandbox), Err(Failure::NoKey));
    let curved = set(format!(r#"{{"a": "{CERTIFICATE}", "curved": "{CERTIFICATE}"}}"#)).unwrap();
    assert_eq!(curved.verify(&token, &Sandbox), Ok(()));
    let broken = set(format!(r#"{{"a": "{CERTIFICATE}", "b": "-----BEGIN CERTIFICATE-----AAAA"}}"#)).unwrap();
    assert_eq!(
        broken.warnings(),
        ["\"b\": not a certificate for a key of RSA, P-256, P-384, P-521 or Ed25519"]
    );
    for text in [
        format!(r#"{{"keys": "{CERTIFICATE}"}}"#),
        format!(r#"{{"a": "{CERTIFICATE}", "b": 1}}"#),
        r#"{"a": "b"}"#.into(),
    ] {
        assert!(set(text).unwrap_err().starts_with("expected a JWKS"));
    }
    let many: Vec<_> = (0..101).map(|number| format!(r#""{number}": "{CERTIFICATE}""#)).collect();
    assert!(set(format!("{{{}}}", many.join(","))).unwrap_err().starts_with("found 101 keys"));
}

#[test]
fn no_certificate_is_too_short_or_too_odd_to_be_looked_at() {
    let pem = CERTIFICATE.replace("\\n", "\n");
    let body = pem.split("-----").nth(2).unwrap();
    let der = unarmored(body).unwrap();
    assert!(der::certified(&der).is_some());
    for length in 0..der.len() {
        assert!(der::certified(&der[..length]).is_none());
    }
    for place in 0..der.len() {
        for bit in [1, 0x80] {
            let mut odd = der.clone();
            odd[place] ^= bit;
            let _ = der::certified(&odd).map(|public| material(&public, false));
        }
    }
}

#[test]
fn a_key_of_ec_without_crv_is_of_the_curve_of_its_alg_or_p_256() {
    let without = P256.replace(r#""crv":"P-256","#, "");
    key(&format!("{{{without}}}")).unwrap();
    key(&format!(r#"{{{without},"alg":"ES256"}}"#)).unwrap();
    key(r#"{"kty": "EC", "alg": "ES384", "kid": "p384", "x": "Z1nX65OiLonT8aAQzjfm1YUsJqJ3TbXRKYsuyYnNnPPsx8W4vKxkK4s918aOz8Vx", "y": "jLdrtK35ViKjnxx6v4OEXZv4_fUHvsq27j_CCrxDtlS4nEEjxxN-uGu3u6emBK3V"}"#).unwrap();
    for more in [r#","alg":"ES384""#, r#","alg":"RS256""#, r#","crv":1"#, r#","crv":"""#] {
        key(&format!("{{{without}{more}}}")).unwrap_err();
    }
    let longer = r#"{"kty": "EC", "kid": "p384", "x": "Z1nX65OiLonT8aAQzjfm1YUsJqJ3TbXRKYsuyYnNnPPsx8W4vKxkK4s918aOz8Vx", "y": "jLdrtK35ViKjnxx6v4OEXZv4_fUHvsq27j_CCrxDtlS4nEEjxxN-uGu3u6emBK3V"}"#;
    assert_eq!(key(longer).unwrap_err(), "x and y have to be 32 bytes");
}
