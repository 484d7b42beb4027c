//! Who verifies signatures: the proxy where it can, which is twenty to forty times as fast, and the sandbox for the rest.

use crate::policy::{self, Algorithm, Scheme};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proxy_wasm_kit::foreign::{self, PublicKey, Verdict, sandbox};
use proxy_wasm_kit::{HostError, now};
use std::time::Duration;

/// The example of RFC 7515, A.3: a key, a text and its signature, as both sides take them.
const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==";
const TEXT: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const SIGNATURE: &str =
    "MEUCIA7RIVN5Y2xIPC9/FVgH1AKjsigDOvl8fheBmsMWnqZlAiEAxQoH04w8cOXY8S2vCEpUgKZlkMXyk1Cajz9/ioOjVNU=";

/// How often the proxy is tried: the first time includes what is done once, and any may include a pause of a busy machine.
const TRIES: u32 = 6;

/// Who verifies what both can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signatures {
    by_proxy: bool,
}

impl Signatures {
    /// Tries both on a known signature. The proxy has to be right, and not slower by far: on a busy machine times scatter.
    ///
    /// # Errors
    ///
    /// The proxy has no clock.
    pub(crate) fn choose() -> Result<Self, HostError> {
        let (by_proxy, in_sandbox) = (Self { by_proxy: true }, Self { by_proxy: false });
        let slow = in_sandbox.measure(2)?.1;
        let is_offered = !foreign::call("verify_signature", b"").is_err_and(|error| error.is_unavailable());
        let (is_right, fast) = if is_offered { by_proxy.measure(TRIES)? } else { (false, Duration::MAX) };
        if is_right && fast <= slow.saturating_mul(10) {
            log::info!("RS and ES signatures are verified by the proxy ({fast:?}; in the sandbox {slow:?})");
            return Ok(by_proxy);
        }
        let why = if is_right { "is slower" } else { "cannot" };
        log::info!("signatures are verified in the sandbox ({slow:?}): the proxy {why}");
        Ok(in_sandbox)
    }

    /// Whether a known signature is told from another, and the time for both.
    fn measure(self, times: u32) -> Result<(bool, Duration), HostError> {
        let [key, signature] = [KEY, SIGNATURE].map(|text| STANDARD.decode(text).unwrap_or_default());
        let verify =
            |text: &str| self.verify(Scheme::Ecdsa(policy::Hash::Sha256), &key, text.as_bytes(), &signature);
        let (mut is_right, mut shortest) = (true, Duration::MAX);
        for _ in 0..times {
            let start = now()?;
            is_right &= verify(TEXT) && !verify("another text");
            shortest = shortest.min(now()?.duration_since(start).unwrap_or_default());
        }
        Ok((is_right, shortest))
    }

    /// Whether these take microseconds: the proxy verifies them, or they are only a hash.
    pub(crate) fn are_quick(self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Rs(_) | Algorithm::Es(_) => self.by_proxy,
            Algorithm::Ps(_) | Algorithm::EdDsa => false,
            Algorithm::Hs(_) => true,
        }
    }

    pub(crate) fn verify(self, scheme: Scheme, key: &[u8], text: &[u8], signature: &[u8]) -> bool {
        let (true, Scheme::Pkcs1(of) | Scheme::Ecdsa(of)) = (self.by_proxy, scheme) else {
            return in_sandbox(scheme, key, text, signature);
        };
        match foreign::verify_signature(hash(of), PublicKey::Der(key), text, signature) {
            Ok(verdict) => verdict.is_valid(),
            Err(error) => {
                log::error!("a signature could not be verified: {error}");
                false
            }
        }
    }
}

/// The same in the proxy's and the policy's words.
fn hash(hash: policy::Hash) -> foreign::Hash {
    match hash {
        policy::Hash::Sha256 => foreign::Hash::Sha256,
        policy::Hash::Sha384 => foreign::Hash::Sha384,
        policy::Hash::Sha512 => foreign::Hash::Sha512,
    }
}

/// Verifies without the proxy.
pub(crate) fn in_sandbox(scheme: Scheme, key: &[u8], text: &[u8], signature: &[u8]) -> bool {
    let verdict = match scheme {
        Scheme::Pkcs1(of) | Scheme::Ecdsa(of) => {
            sandbox::verify(hash(of), PublicKey::Der(key), text, signature)
        }
        Scheme::Pss(of) => sandbox::verify_pss(hash(of), PublicKey::Der(key), text, signature),
        Scheme::Ed25519 => sandbox::verify_ed25519(key, text, signature),
    };
    verdict == Verdict::Valid
}
