//! Foreign functions other than expressions.

use crate::{extension, get};
use proxy_wasm_kit::foreign::{
    self, Hash, LifeSpan, PrivateKey, PublicKey, Verdict, set_envoy_filter_state, sign, verify_signature,
};
use proxy_wasm_kit::prelude::*;

#[test]
fn what_is_compressed_is_uncompressed() {
    extension!(Run {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            let text = b"a".repeat(10_000);
            let packed = foreign::compress(&text)?;
            assert!(packed.len() < 100);
            assert_eq!(foreign::uncompress(&packed)?, text[..]);
            foreign::uncompress(b"no stream").unwrap_err();
            Ok(Flow::Continue)
        }
    });
    assert_eq!(get::<Run>().client.unwrap().status(), 200);
}

#[test]
fn a_function_that_is_not_there_is_not_found() {
    extension!(Run {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            let error = foreign::call("no_such_function", b"").unwrap_err();
            assert!(error.is_not_found() && !error.is_unavailable());
            assert_eq!(error.to_string(), "no_such_function: NotFound (1)");
            Ok(Flow::Continue)
        }
    });
    assert_eq!(get::<Run>().client.unwrap().status(), 200);
}

#[test]
fn envoys_own_filter_state_is_set_for_the_entered_context() {
    extension!(Run {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            set_envoy_filter_state("envoy.tcp_proxy.cluster", "blue", LifeSpan::Request)?;
            let unknown = set_envoy_filter_state("nope", "x", LifeSpan::default());
            assert!(unknown.unwrap_err().is_not_found());
            let wrong = set_envoy_filter_state("envoy.bool", "perhaps", LifeSpan::default());
            assert!(wrong.unwrap_err().is_bad_argument());
            Ok(Flow::Continue)
        }
    });
    let seen = get::<Run>();
    assert_eq!(seen.filter_state.get("envoy.tcp_proxy.cluster").map(Vec::as_slice), Some(&b"blue"[..]));
}

const PRIVATE: &str = include_str!("../../../host/tests/rows/keys/p256.pem");
const PUBLIC: &str = include_str!("../../../host/tests/rows/keys/p256.pub");

#[test]
fn what_is_signed_is_verified() {
    extension!(Run {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            let signature = sign(Hash::Sha256, PrivateKey::Pem(PRIVATE), b"text")?.unwrap();
            let verify = |text, key| verify_signature(Hash::Sha256, key, text, &signature);
            assert_eq!(verify(b"text", PublicKey::Pem(PUBLIC))?, Verdict::Valid);
            assert!(!verify(b"other", PublicKey::Pem(PUBLIC))?.is_valid());
            let Verdict::Invalid(reason) = verify(b"text", PublicKey::Der(b"no key"))? else {
                return Ok(Flow::Reply(Response::new(500)));
            };
            assert_eq!(reason, "Failed to initialize digest verify.");
            let reason = sign(Hash::Sha256, PrivateKey::Pem("no key"), b"text")?.unwrap_err();
            assert!(reason.contains("private key required"), "{reason}");
            Ok(Flow::Continue)
        }
    });
    let seen = get::<Run>();
    assert_eq!(seen.client.unwrap().status(), 200, "{:?}", seen.log);
}

/// A proxy that lacks the functions: what the crate's own code does then.
#[cfg(feature = "signatures")]
#[test]
fn without_the_proxys_functions_signatures_are_made_and_verified_here() {
    use proxy_wasm_kit_host::exchange::{Message, Setup};

    const KEYS: [(&str, &str); 4] = [
        (PRIVATE, PUBLIC),
        (
            include_str!("../../../host/tests/rows/keys/p384.pem"),
            include_str!("../../../host/tests/rows/keys/p384.pub"),
        ),
        (
            include_str!("../../../host/tests/rows/keys/p521.pem"),
            include_str!("../../../host/tests/rows/keys/p521.pub"),
        ),
        (
            include_str!("../../../host/tests/rows/keys/rsa.pem"),
            include_str!("../../../host/tests/rows/keys/rsa.pub"),
        ),
    ];

    extension!(Run {
        fn on_request_headers(&mut self, _: &mut RequestHeaders<'_>) -> Result {
            assert!(foreign::call("sign", b"").unwrap_err().is_unavailable());
            for (private, public) in KEYS {
                let signature = sign(Hash::Sha512, PrivateKey::Pem(private), b"text")?.unwrap();
                let verify = |text| verify_signature(Hash::Sha512, PublicKey::Pem(public), text, &signature);
                assert!(verify(b"text")?.is_valid());
                assert!(!verify(b"other")?.is_valid());
            }
            assert!(!verify_signature(Hash::Sha1, PublicKey::Der(b"no key"), b"", b"")?.is_valid());
            sign(Hash::Sha224, PrivateKey::Der(b"no key"), b"")?.unwrap_err();
            Ok(Flow::Continue)
        }
    });
    let allowed = [
        "proxy_on_context_create",
        "proxy_on_configure",
        "proxy_on_request_headers",
        "proxy_log",
        "proxy_get_buffer_bytes",
    ];
    let setup = Setup { allowed_capabilities: Some(allowed.map(String::from).into()), ..Setup::default() };
    let seen = crate::start::<Run>(setup).exchange(Message::request("GET", "/"), &Message::response(200));
    assert_eq!(seen.client.unwrap().status(), 200, "{:?}", seen.log);
}
