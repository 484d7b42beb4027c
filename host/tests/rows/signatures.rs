//! The foreign functions `verify_signature` and `sign`. What is verified here was signed by OpenSSL, with keys that were made
//! for these tests; statuses and texts are those of a real Envoy 1.40.

use crate::guest::{guest, raw, said};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proxy_wasm::types::Action;

/// A key pair in PEM, and the signatures of "text" by it: hash function and base64 in each line.
struct Pair {
    name: &'static str,
    private: &'static str,
    public: &'static str,
    signatures: &'static str,
}

macro_rules! pair {
    ($name:literal) => {
        Pair {
            name: $name,
            private: include_str!(concat!("keys/", $name, ".pem")),
            public: include_str!(concat!("keys/", $name, ".pub")),
            signatures: include_str!(concat!("keys/", $name, ".signatures")),
        }
    };
}

const RSA: Pair = pair!("rsa");
const P256: Pair = pair!("p256");
const PAIRS: [Pair; 4] = [RSA, P256, pair!("p384"), pair!("p521")];

impl Pair {
    fn signatures(&self) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
        self.signatures.lines().map(|line| {
            let (hash, signature) = line.split_once(' ').unwrap();
            (hash, STANDARD.decode(signature).unwrap())
        })
    }

    fn sha256(&self) -> Vec<u8> {
        self.signatures().find(|(hash, _)| *hash == "sha256").unwrap().1
    }
}

fn der(pem: &str) -> Vec<u8> {
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap()
}

/// A protobuf message of the fields that are not empty.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut wire = Vec::new();
    for (number, bytes) in fields.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        let size = bytes.len();
        wire.extend([number << 3 | 2, (size & 0x7f) as u8 | 0x80, (size >> 7) as u8]);
        wire.extend(*bytes);
    }
    wire
}

/// Hash function, key in DER, signature, text, key in PEM. The answer is the result's text: empty when it is true.
fn verify(hash: &str, key: &[u8], signature: &[u8], text: &str, pem: &str) -> String {
    let fields = [(1, hash.as_bytes()), (2, key), (3, signature), (4, text.as_bytes()), (5, pem.as_bytes())];
    match raw::foreign_bytes("verify_signature", &message(&fields)) {
        Ok(result) if result == [1 << 3, 1] => String::new(),
        Ok(result) => String::from_utf8_lossy(&result[2..]).into_owned(),
        Err(status) => format!("!{status}"),
    }
}

/// The signature, or the result's text.
fn sign(hash: &str, key: &[u8], text: &str, pem: &str) -> Result<Vec<u8>, String> {
    let fields = [(1, hash.as_bytes()), (2, key), (3, text.as_bytes()), (4, pem.as_bytes())];
    let result = raw::foreign_bytes("sign", &message(&fields)).map_err(|status| format!("!{status}"))?;
    let rest = result.strip_prefix(&[1 << 3, 1, 2 << 3 | 2]);
    let rest = rest.ok_or_else(|| String::from_utf8_lossy(&result[2..]).into_owned())?;
    Ok(rest[if rest[0] < 0x80 { 1 } else { 2 }..].to_vec())
}

fn run(hook: impl Fn() + Send + Sync + 'static) -> Vec<String> {
    let seen = guest()
        .on_request_headers(move |_| {
            hook();
            Action::Continue
        })
        .get();
    said(&seen.log).into_iter().map(str::to_owned).collect()
}

#[test]
fn signatures_of_openssl_are_verified() {
    let wrong = run(|| {
        for pair in &PAIRS {
            for (hash, signature) in pair.signatures() {
                let (by_der, by_pem) = (
                    verify(hash, &der(pair.public), &signature, "text", ""),
                    verify(&hash.to_uppercase(), b"", &signature, "text", pair.public),
                );
                let other = verify(hash, &der(pair.public), &signature, "other", "");
                if (by_der.as_str(), by_pem.as_str()) != ("", "")
                    || other != "Failed to verify digest. Error code: 0"
                {
                    raw::say((pair.name, hash, by_der, by_pem, other));
                }
            }
        }
    });
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn what_is_signed_can_be_verified() {
    let wrong = run(|| {
        for pair in &PAIRS {
            for (hash, known) in pair.signatures() {
                let signature = sign(hash, &der(pair.private), "text", "").unwrap();
                let same = pair.name != "rsa" || signature == known;
                let verdict = verify(hash, &der(pair.public), &signature, "text", "");
                if !same || !verdict.is_empty() {
                    raw::say((pair.name, hash, same, verdict));
                }
            }
        }
    });
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn keys_are_read_as_envoy_reads_them() {
    let answers = run(|| {
        let (rsa, signature) = (der(RSA.public), RSA.sha256());
        let by_der = |key: &[u8]| verify("sha256", key, &signature, "text", "");
        let by_pem = |pem: &str| verify("sha256", b"", &signature, "text", pem);
        raw::say([by_der(&[&rsa[..], b"behind"].concat()), by_pem(&format!("before\n{}behind", RSA.public))]);
        raw::say([by_pem(RSA.public.trim_end()), by_pem(&RSA.public.replace('\n', "\r\n"))]);
        let refused = [
            by_der(&rsa[..rsa.len() - 3]),
            by_der(b"\x01\x02\x03"),
            by_der(RSA.public.as_bytes()),
            by_der(&der(RSA.private)),
            by_pem("nonsense"),
            by_pem(&RSA.public.replace('\n', "")),
            by_pem(RSA.private),
        ];
        raw::say(refused.iter().all(|text| text == "Failed to initialize digest verify."));
        raw::say([by_der(b""), verify("sha256", &rsa, &signature, "text", RSA.public)]);
    });
    assert_eq!(answers, [r#"["", ""]"#, r#"["", ""]"#, "true", r#"["!2", "!2"]"#]);
}

#[test]
fn private_keys_are_read_as_envoy_reads_them() {
    let answers = run(|| {
        let traditional = [include_str!("keys/rsa.traditional"), include_str!("keys/p384.traditional")];
        raw::say(traditional.map(|pem| sign("sha256", b"", "text", pem).is_ok()));
        raw::say(sign("sha256", &[&der(P256.private)[..], b"behind"].concat(), "text", "").is_ok());
        let refused = [
            sign("sha256", &der(traditional[0]), "text", ""),
            sign("sha256", &der(RSA.public), "text", ""),
            sign("sha256", b"", "text", RSA.public),
            sign("sha256", b"", "text", "nonsense"),
            sign("sha256", b"\x01", "text", ""),
        ];
        let text = Err("Invalid key type: private key required for signing operation.".to_owned());
        raw::say(refused.iter().all(|answer| *answer == text));
        raw::say((sign("sha256", b"", "text", ""), sign("sha256", b"\x01", "text", RSA.private)));
        raw::say(sign("md5", b"\x01", "text", "").unwrap_err());
    });
    let expected = ["[true, true]", "true", "true", r#"(Err("!2"), Err("!2"))"#, "md5 is not supported."];
    assert_eq!(answers, expected);
}

#[test]
fn a_bad_signature_or_hash_function_is_told() {
    let answers = run(|| {
        let key = der(P256.public);
        let signature = P256.sha256();
        raw::say(verify("md5", &key, &signature, "text", ""));
        raw::say(verify("", &key, &signature, "text", ""));
        // As JWS has it: the two numbers side by side.
        let forms: [&[u8]; 3] = [&[7; 64], b"", &[&signature[..], &[0]].concat()];
        raw::say(
            forms.iter().all(|form| verify("sha256", &key, form, "text", "").ends_with("Error code: 0")),
        );
        let call = |name: &str, wire: &[u8]| raw::foreign_bytes(name, wire);
        raw::say(["verify_signature", "sign"].map(|name| [call(name, b""), call(name, b"\xff")]));
        raw::say(call("sign", b"\x0a\x01\xff\x12\x01x"));
    });
    let expected = [
        "md5 is not supported.",
        " is not supported.",
        "true",
        "[[Err(2), Err(2)], [Err(2), Err(2)]]",
        "Err(2)",
    ];
    assert_eq!(answers, expected);
}
