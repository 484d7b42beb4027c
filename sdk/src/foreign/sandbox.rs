//! Signatures in the sandbox, whatever the proxy offers: also of kinds that no proxy verifies. A module grows by several
//! hundred KB for them.
//!
//! ```
//! use proxy_wasm_kit::foreign::sandbox::verify_ed25519;
//!
//! assert!(!verify_ed25519(b"no key", b"text", b"no signature").is_valid());
//! ```

use super::keys;
use super::signature::{Hash, PublicKey, Verdict};

/// As [`verify_signature`](super::verify_signature), without asking the proxy.
///
/// ```
/// use proxy_wasm_kit::foreign::{Hash, PublicKey, sandbox};
///
/// assert!(!sandbox::verify(Hash::Sha256, PublicKey::Der(b"no key"), b"text", b"").is_valid());
/// ```
pub fn verify(hash: Hash, key: PublicKey<'_>, text: &[u8], signature: &[u8]) -> Verdict {
    keys::verify(hash, key, text, signature)
}

/// Verifies a signature of RSA with PSS, as JWS and TLS use it: one hash function everywhere, and a salt as long as the hash.
///
/// ```
/// use proxy_wasm_kit::foreign::{Hash, PublicKey, sandbox};
///
/// assert!(!sandbox::verify_pss(Hash::Sha256, PublicKey::Der(b"no key"), b"text", b"").is_valid());
/// ```
pub fn verify_pss(hash: Hash, key: PublicKey<'_>, text: &[u8], signature: &[u8]) -> Verdict {
    keys::verify_pss(hash, key, text, signature)
}

/// Verifies a signature of Ed25519 (RFC 8032), by the 32 bytes of the key. Keys and signatures of small order are refused.
///
/// ```
/// use proxy_wasm_kit::foreign::sandbox;
///
/// assert!(!sandbox::verify_ed25519(&[0; 32], b"text", &[0; 64]).is_valid());
/// ```
pub fn verify_ed25519(key: &[u8], text: &[u8], signature: &[u8]) -> Verdict {
    keys::verify_ed25519(key, text, signature)
}
