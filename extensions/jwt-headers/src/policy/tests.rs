//! Decisions: the vectors of the RFCs, and that nothing but a good token passes.

use super::*;
use crate::signatures::in_sandbox;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::Sha256;
use std::cell::Cell;

/// A time, and how many signatures were verified.
struct At(u64, Cell<u32>);

impl Surroundings for At {
    fn now(&self) -> u64 {
        self.0
    }

    fn may_wait(&self, _: usize, _: Want) -> bool {
        false
    }

    fn verify(&self, scheme: Scheme, key: &[u8], text: &[u8], signature: &[u8]) -> bool {
        self.1.set(self.1.get().saturating_add(1));
        in_sandbox(scheme, key, text, signature)
    }
}

fn policy(config: Value) -> Policy {
    compile(serde_json::from_value(config).unwrap(), [7; 16]).unwrap().0
}

fn of_key(key: Value) -> Policy {
    let provider = json!({"algorithms": ["RS256", "ES256", "HS256"], "local_jwks": {"keys": [key]}});
    policy(json!({"providers": {"joe": provider}, "requires": {"provider_name": "joe"}}))
}

/// What becomes of a token at a time.
fn verdict(policy: &Policy, token: &str, at: &At) -> Option<Failure> {
    let value = format!("Bearer {token}");
    let headers = [(&b":path"[..], &b"/"[..]), (b"authorization", value.as_bytes())];
    match policy.decide(&Request(&headers), at) {
        Decision::Deny(failure) => Some(failure),
        Decision::Pass(passage) => {
            assert_eq!(passage.0.len(), 1);
            None
        }
        other => panic!("{other:?}"),
    }
}

/// In 2011, when the tokens of the RFC were good.
const THEN: u64 = 1_300_819_000;

const PAYLOAD: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fn hs256() -> (Policy, String) {
    let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let (header, mac) =
        ("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    (of_key(json!({"kty": "oct", "k": key})), format!("{header}.{PAYLOAD}.{mac}"))
}

fn es256() -> (Policy, String) {
    let (x, y) =
        ("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let key = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
    (of_key(key), format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.{signature}"))
}

fn rs256() -> (Policy, String) {
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR\
             T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB\
             dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia\
             GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5\
                     jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb\
                     1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO\
                     YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let key = json!({"kty": "RSA", "n": n, "e": "AQAB"});
    (of_key(key), format!("eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.{signature}"))
}

#[test]
fn rfc_7515_a_1_to_a_3() {
    for (policy, token) in [hs256(), rs256(), es256()] {
        let then = At(THEN, Cell::new(0));
        assert_eq!(verdict(&policy, &token, &then), None);
        // RFC 7519, 4.1.4, with a skew of a minute.
        assert_eq!(verdict(&policy, &token, &At(1_300_819_440, Cell::new(0))), None);
        assert_eq!(verdict(&policy, &token, &At(1_300_819_441, Cell::new(0))), Some(Failure::Expired));
    }
}

/// A token without a signature, in each spelling of its algorithm, by no key and by each.
#[test]
fn rfc_7515_a_5_unsecured_in_every_spelling() {
    let unsecured = format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.");
    let (policies, then) = ([hs256(), rs256(), es256()].map(|(policy, _)| policy), At(THEN, Cell::new(0)));
    for policy in &policies {
        assert_eq!(verdict(policy, &unsecured, &then), Some(Failure::UnknownAlgorithm));
    }
    for spelling in 0..16_u8 {
        let name: String = "none"
            .char_indices()
            .map(|(at, letter)| if spelling >> at & 1 == 1 { letter.to_ascii_uppercase() } else { letter })
            .collect();
        let header = URL_SAFE_NO_PAD.encode(format!("{{\"alg\":\"{name}\"}}"));
        for signature in ["", "AA", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"] {
            let token = format!("{header}.{PAYLOAD}.{signature}");
            assert_eq!(verdict(&policies[0], &token, &then), Some(Failure::UnknownAlgorithm), "{name}");
        }
    }
    assert_eq!(then.1.get(), 0);
}

/// Appendices A.6 and A.7: the other serializations are none of a JWT (RFC 7519, 1).
#[test]
fn rfc_7515_a_6_and_a_7_json_serializations() {
    let (policy, token) = es256();
    let mut parts = token.split('.');
    let (header, payload, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let flat = json!({"payload": payload, "protected": header, "signature": signature});
    let general = json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]});
    for json in [flat, general] {
        let json = json.to_string();
        for form in [json.clone(), URL_SAFE_NO_PAD.encode(&json), format!("{json}.{json}.{json}")] {
            assert!(verdict(&policy, &form, &At(THEN, Cell::new(0))).is_some(), "{form}");
        }
    }
}

/// A token that is encrypted has five parts, and is none that somebody has signed.
#[test]
fn rfc_7519_a_1_encrypted() {
    let token = "eyJhbGciOiJSU0ExXzUiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.\
                 QR1Owv2ug2WyPBnbQrRARTeEk9kDO2w8qDcjiHnSJflSdv1iNqhWXaKH4MqAkQtM\
                 oNfABIPJaZm0HaA415sv3aeuBWnD8J-Ui7Ah6cWafs3ZwwFKDFUUsWHSK-IPKxLG\
                 TkND09XyjORj_CHAgOPJ-Sd8ONQRnJvWn_hXV1BNMHzUjPyYwEsRhDhzjAD26ima\
                 sOTsgruobpYGoQcXUwFDn7moXPRfDE8-NoQX7N7ZYMmpUDkR-Cx9obNGwJQ3nM52\
                 YCitxoQVPzjbl7WBuB7AohdBoZOdZ24WlN1lVIeh8v1K4krB8xgKvRU8kgFrEn_a\
                 1rZgN5TiysnmzTROF869lQ.\
                 AxY8DCtDaGlsbGljb3RoZQ.\
                 MKOle7UQrG6nSxTLX6Mqwt0orbHvAKeWnDYvpIAeZ72deHxz3roJDXQyhxx0wKaM\
                 HDjUEOKIwrtkHthpqEanSBNYHZgmNOV7sln1Eu9g3J8.\
                 fiK51VwhsxJ-siBMR-YFiA";
    for (policy, _) in [hs256(), rs256(), es256()] {
        assert_eq!(verdict(&policy, token, &At(THEN, Cell::new(0))), Some(Failure::Form));
    }
}

/// Section 3.1 is RFC 7515, A.1; section 6.1 is an unsecured JWT.
#[test]
fn rfc_7519_6_1_unsecured() {
    let token = format!("eyJhbGciOiJub25lIn0.{PAYLOAD}.");
    for (policy, _) in [hs256(), rs256(), es256()] {
        assert_eq!(verdict(&policy, &token, &At(THEN, Cell::new(0))), Some(Failure::UnknownAlgorithm));
    }
}

/// Section 4: the payload `$.02` is none of claims, and one that is not encoded is refused, detached or not.
#[test]
fn rfc_7797_4_unencoded_and_detached() {
    let (policy, _) = hs256();
    let (plain, unencoded) =
        ("eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19");
    let (of_plain, of_unencoded) =
        ("5mvfOroL-g7HyqJoozehmsaqmvTYGEq5jTI1gVvoEoQ", "A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY");
    for (token, failure) in [
        (format!("{plain}.JC4wMg.{of_plain}"), Failure::PayloadJson),
        (format!("{plain}..{of_plain}"), Failure::Form),
        (format!("{unencoded}..{of_unencoded}"), Failure::Form),
        (format!("{unencoded}.$.02.{of_unencoded}"), Failure::Form),
        (format!("{unencoded}.JC4wMg.{of_unencoded}"), Failure::Critical),
    ] {
        assert_eq!(verdict(&policy, &token, &At(THEN, Cell::new(0))), Some(failure), "{token}");
    }
}

#[test]
fn no_token_passes_by_the_key_of_another() {
    let all = [hs256(), rs256(), es256()];
    for (number, (policy, _)) in all.iter().enumerate() {
        for (other, (_, token)) in all.iter().enumerate().filter(|(other, _)| *other != number) {
            let verdict = verdict(policy, token, &At(THEN, Cell::new(0)));
            assert_eq!(verdict, Some(Failure::NoKey), "{number}, {other}");
        }
    }
}

#[test]
fn the_skew_and_the_longest_life_are_limits() {
    let of = |more: Value| {
        let mut provider = json!({"local_jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}});
        provider.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        policy(json!({"providers": {"joe": provider}, "requires": {"provider_name": "joe"}}))
    };
    let token = es256().1;
    let at = |policy: &Policy, time| verdict(policy, &token, &At(time, Cell::new(0)));
    let no_skew = of(json!({"clock_skew_seconds": 0}));
    assert_eq!([at(&no_skew, 1_300_819_380), at(&no_skew, 1_300_819_381)], [None, Some(Failure::Expired)]);
    let short = of(json!({"max_lifetime": "100s"}));
    assert_eq!([at(&short, 1_300_819_280), at(&short, 1_300_819_279)], [None, Some(Failure::Lifetime)]);
}

#[test]
fn a_signature_is_verified_once_and_the_time_each_time() {
    let ((policy, token), at) = (es256(), At(THEN, Cell::new(0)));
    for _ in 0..3 {
        assert_eq!(verdict(&policy, &token, &at), None);
    }
    assert_eq!(at.1.get(), 1);
    assert_eq!(verdict(&policy, &token, &At(1_300_819_441, Cell::new(0))), Some(Failure::Expired));
}

#[test]
fn a_signature_that_is_bad_is_not_remembered() {
    let ((policy, token), at) = (es256(), At(THEN, Cell::new(0)));
    let bad = token.replace(".DtEh", ".DtEg");
    for _ in 0..2 {
        assert_eq!(verdict(&policy, &bad, &at), Some(Failure::Signature));
    }
    assert_eq!(at.1.get(), 2);
    assert_eq!(verdict(&policy, &token, &at), None);
}

#[test]
fn a_megabyte_is_refused_before_it_is_read() {
    let (policy, token) = es256();
    let (at, long) = (At(THEN, Cell::new(0)), "e30".repeat(350_000));
    for token in
        [long.clone(), format!("{long}.{long}.{long}"), format!("{token}{long}"), ".".repeat(1_000_000)]
    {
        assert_eq!(verdict(&policy, &token, &at), Some(Failure::Form));
    }
    assert_eq!(at.1.get(), 0);
}

/// What is signed by the secret, whatever it is.
fn signed(header: &Value, claims: &Value) -> String {
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let text = format!("{}.{}", encode(header), encode(claims));
    let keyed = Hmac::<Sha256>::new_from_slice(&URL_SAFE_NO_PAD.decode(secret).unwrap()).unwrap();
    let mac = keyed.chain_update(&text).finalize().into_bytes();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac))
}

/// Nothing, one of the values that are good, or any other.
fn member(good: Vec<Value>) -> impl Strategy<Value = Option<Value>> {
    let times = [-61, -60, -1, 0, 1, 60, 61, 999, 1000, 1001].map(|by| json!(THEN.checked_add_signed(by)));
    let mut any = json!([
        null, true, "", "joe", "jo", "svc", "a", "b", "1300819000", [], {}, ["a"], ["x", "b"], ["x"], ["a", 1], [["a"]],
        {"a": 1}, 0, -1, -0.5, 1e300, u64::MAX, i64::MAX, THEN as f64 - 60.5, THEN as f64 + 60.5, "HS256", "none", ["HS256"]
    ]);
    any.as_array_mut().unwrap().extend(times);
    let any = any.as_array().unwrap().clone();
    let some = |values: Vec<Value>| prop::sample::select(values).prop_map(Some);
    prop_oneof![12 => some(good), 1 => some(any), 1 => Just(None)]
}

fn object(names: &[&str], values: Vec<Option<Value>>) -> Value {
    let there = names.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
    Value::Object(there.collect())
}

/// Whether a provider who asks for all of it takes such a token, in the simplest words.
fn is_good(header: &Value, claims: &Value) -> bool {
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(time) => time.as_f64().filter(|time| *time >= 0.0).map(Some).ok_or(()),
    };
    let (Ok(Some(end)), Ok(start), Ok(issued)) = (time("exp"), time("nbf"), time("iat")) else {
        return false;
    };
    let audience = match &claims["aud"] {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    let (then, end) = (THEN as f64, end.floor());
    header["alg"] == "HS256"
        && header.get("kid").is_none_or(|kid| kid == "a")
        && header.get("crit").is_none()
        && claims["iss"] == "joe"
        && claims["sub"].as_str().is_some_and(|subject| subject.starts_with("svc"))
        && audience.iter().all(Value::is_string)
        && audience.iter().any(|one| one == "a" || one == "b" || one == "https://b/")
        && (then - 60.0..=then + 1000.0).contains(&end)
        && start.is_none_or(|start| start.ceil() <= then + 60.0)
        && issued.is_none_or(|issued| issued.floor() <= then + 60.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_signed_passes_if_it_is_good(
        header in (member(vec![json!("HS256")]), member(vec![json!("a")]), prop::option::weighted(0.05, Just(json!(["exp"])))),
        (issuer, subject) in (member(vec![json!("joe")]), member(vec![json!("svc"), json!("svc:a")])),
        audience in member(vec![json!("a"), json!("https://b/"), json!(["x", "b"])]),
        end in member(vec![json!(THEN), json!(THEN - 60), json!(THEN + 1000)]),
        (start, issued) in (member(vec![json!(THEN + 60)]), member(vec![json!(1.5)])),
    ) {
        let key = json!({"kty": "oct", "kid": "a", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"});
        let policy = policy(json!({
            "providers": {"joe": {
                "issuer": "joe", "audiences": ["a", "b"], "subjects": {"prefix": "svc"}, "max_lifetime": 1000,
                "algorithms": ["HS256"], "local_jwks": {"keys": [key]},
            }},
            "requires": {"provider_name": "joe"},
        }));
        let header = object(&["alg", "kid", "crit"], vec![header.0, header.1, header.2]);
        let claims = object(
            &["iss", "sub", "aud", "exp", "nbf", "iat"],
            vec![issuer, subject, audience, end, start, issued],
        );
        let verdict = verdict(&policy, &signed(&header, &claims), &At(THEN, Cell::new(0)));
        let expected = is_good(&header, &claims);
        prop_assert_eq!(verdict.is_none(), expected, "{} {} {:?}", header, claims, verdict);
    }

    #[test]
    fn no_bytes_harm(
        (name, prefix) in prop::sample::select(vec![("authorization", "Bearer "), ("cookie", "b=c; a="), (":path", "/?a="), ("x", "")]),
        value in prop::collection::vec(any::<u8>(), 1..200),
        (at, byte) in (any::<prop::sample::Index>(), "[!#-+.-:<-~-]"),
        good in any::<bool>(),
    ) {
        let (_, token) = es256();
        let key = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
        let policy = policy(json!({
            "providers": {"joe": {
                "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}, {"name": "x"}],
                "from_params": ["a"], "from_cookies": ["a"], "forward_payload_header": "y",
                "local_jwks": {"keys": [key]},
            }},
            "requires": {"provider_name": "joe"},
        }));
        let mut token = if good { token.into_bytes() } else { value };
        let at = at.index(token.len());
        prop_assume!(!good || token[at] != byte.as_bytes()[0]);
        token[at] = byte.as_bytes()[0];
        let line = [prefix.as_bytes(), &token].concat();
        let headers = [(name.as_bytes(), &*line)];
        let denied = matches!(policy.decide(&Request(&headers), &At(THEN, Cell::new(0))), Decision::Deny(_));
        prop_assert!(denied, "{} {}", name, line.escape_ascii());
    }

    #[test]
    fn no_parts_harm(header in "\\PC{0,40}", payload in "\\PC{0,40}", signature in "[A-Za-z0-9_-]{0,90}") {
        let ((policy, _), encode) = (es256(), |text: &str| URL_SAFE_NO_PAD.encode(text));
        let token = format!("{}.{}.{signature}", encode(&header), encode(&payload));
        prop_assert!(verdict(&policy, &token, &At(THEN, Cell::new(0))).is_some());
        let signed = format!("{}.{}.{signature}", encode(r#"{"alg":"ES256"}"#), encode(&payload));
        prop_assert!(verdict(&policy, &signed, &At(THEN, Cell::new(0))).is_some());
    }

    #[test]
    fn a_token_with_one_byte_changed_does_not_pass(at in any::<prop::sample::Index>(), byte in "[!#-+.-:<-~-]") {
        let (policy, token) = es256();
        let mut bytes = token.clone().into_bytes();
        let (at, byte) = (at.index(bytes.len()), byte.as_bytes()[0]);
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert!(verdict(&policy, &changed, &At(THEN, Cell::new(0))).is_some(), "{}", changed);
    }
}
