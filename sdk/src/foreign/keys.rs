//! Signatures in the sandbox, for proxies that do not offer them: the same keys and the same forms, by pure Rust.

use super::signature::{Hash, PrivateKey, PublicKey, Verdict};
use crate::bytes::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey};
use rsa::{Pkcs1v15Sign, Pss, RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha224, Sha256, Sha384, Sha512};

pub(super) fn verify(hash: Hash, key: PublicKey<'_>, text: &[u8], signature: &[u8]) -> Verdict {
    let verifier = read(key, verifier);
    let known = "not a public key of RSA, P-256, P-384 or P-521 that can be read";
    verdict(verifier.map(|key| key.accepts(&Hashed::new(hash, text), signature)), known)
}

pub(super) fn verify_pss(hash: Hash, key: PublicKey<'_>, text: &[u8], signature: &[u8]) -> Verdict {
    let key = read(key, |der| RsaPublicKey::from_public_key_der(der).ok());
    let digest = Hashed::new(hash, text).digest;
    let accepts = |key: RsaPublicKey| match hash {
        Hash::Sha1 => key.verify(Pss::<Sha1>::new(), &digest, signature),
        Hash::Sha224 => key.verify(Pss::<Sha224>::new(), &digest, signature),
        Hash::Sha256 => key.verify(Pss::<Sha256>::new(), &digest, signature),
        Hash::Sha384 => key.verify(Pss::<Sha384>::new(), &digest, signature),
        Hash::Sha512 => key.verify(Pss::<Sha512>::new(), &digest, signature),
    };
    verdict(key.map(|key| accepts(key).is_ok()), "not a public key of RSA that can be read")
}

pub(super) fn verify_ed25519(key: &[u8], text: &[u8], signature: &[u8]) -> Verdict {
    let key = key.try_into().ok().and_then(|key| VerifyingKey::from_bytes(key).ok());
    let accepts = |key: VerifyingKey| {
        Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(text, &signature).is_ok())
    };
    verdict(key.map(accepts), "not a public key of Ed25519")
}

/// A key from one of its two forms.
fn read<K>(key: PublicKey<'_>, read: impl Fn(&[u8]) -> Option<K>) -> Option<K> {
    match key {
        PublicKey::Der(der) => read(der),
        PublicKey::Pem(pem) => block(pem, "PUBLIC KEY").and_then(|der| read(&der)),
    }
}

/// What an answer means; there is none if there is no key.
fn verdict(answer: Option<bool>, no_key: &str) -> Verdict {
    match answer {
        Some(true) => Verdict::Valid,
        Some(false) => Verdict::Invalid("the signature is not that of the text".into()),
        None => Verdict::Invalid(no_key.into()),
    }
}

pub(super) fn sign(hash: Hash, key: PrivateKey<'_>, text: &[u8]) -> Result<Bytes, String> {
    let signer = match key {
        PrivateKey::Der(der) => signer(der),
        PrivateKey::Pem(pem) => block(pem, "PRIVATE KEY").and_then(|der| signer(&der)),
    };
    let signer = signer.ok_or("not a private key of RSA, P-256, P-384 or P-521 in PKCS #8")?;
    signer.sign(&Hashed::new(hash, text)).map(Bytes::from).ok_or_else(|| "the key cannot sign this".into())
}

/// A text after its hash function: what ECDSA signs, and what RSA puts around it.
struct Hashed {
    digest: Vec<u8>,
    padding: Pkcs1v15Sign,
}

impl Hashed {
    fn new(hash: Hash, text: &[u8]) -> Self {
        let (digest, padding) = match hash {
            Hash::Sha1 => (Sha1::digest(text).to_vec(), Pkcs1v15Sign::new::<Sha1>()),
            Hash::Sha224 => (Sha224::digest(text).to_vec(), Pkcs1v15Sign::new::<Sha224>()),
            Hash::Sha256 => (Sha256::digest(text).to_vec(), Pkcs1v15Sign::new::<Sha256>()),
            Hash::Sha384 => (Sha384::digest(text).to_vec(), Pkcs1v15Sign::new::<Sha384>()),
            Hash::Sha512 => (Sha512::digest(text).to_vec(), Pkcs1v15Sign::new::<Sha512>()),
        };
        Self { digest, padding }
    }
}

trait Verifier {
    fn accepts(&self, text: &Hashed, signature: &[u8]) -> bool;
}

trait Signer {
    fn sign(&self, text: &Hashed) -> Option<Vec<u8>>;
}

impl Verifier for RsaPublicKey {
    fn accepts(&self, text: &Hashed, signature: &[u8]) -> bool {
        self.verify(text.padding.clone(), &text.digest, signature).is_ok()
    }
}

impl Signer for RsaPrivateKey {
    fn sign(&self, text: &Hashed) -> Option<Vec<u8>> {
        Self::sign(self, text.padding.clone(), &text.digest).ok()
    }
}

macro_rules! curves {
    ($($curve:ident),*) => {
        $(
            impl Verifier for $curve::ecdsa::VerifyingKey {
                fn accepts(&self, text: &Hashed, signature: &[u8]) -> bool {
                    $curve::ecdsa::Signature::from_der(signature)
                        .is_ok_and(|signature| self.verify_prehash(&text.digest, &signature).is_ok())
                }
            }

            impl Signer for $curve::ecdsa::SigningKey {
                fn sign(&self, text: &Hashed) -> Option<Vec<u8>> {
                    let signature: $curve::ecdsa::Signature = self.sign_prehash(&text.digest).ok()?;
                    Some(signature.to_der().as_bytes().to_vec())
                }
            }
        )*

        fn verifier(der: &[u8]) -> Option<Box<dyn Verifier>> {
            fn read<K: Verifier + DecodePublicKey + 'static>(der: &[u8]) -> Option<Box<dyn Verifier>> {
                K::from_public_key_der(der).ok().map(|key| Box::new(key) as Box<dyn Verifier>)
            }
            read::<RsaPublicKey>(der)$(.or_else(|| read::<$curve::ecdsa::VerifyingKey>(der)))*
        }

        fn signer(der: &[u8]) -> Option<Box<dyn Signer>> {
            fn read<K: Signer + DecodePrivateKey + 'static>(der: &[u8]) -> Option<Box<dyn Signer>> {
                K::from_pkcs8_der(der).ok().map(|key| Box::new(key) as Box<dyn Signer>)
            }
            read::<RsaPrivateKey>(der)$(.or_else(|| read::<$curve::ecdsa::SigningKey>(der)))*
        }
    };
}

curves!(p256, p384, p521);

/// The bytes of the first block with this label.
fn block(pem: &str, label: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    let (text, _) = rest.split_once("-----END ")?;
    STANDARD.decode(text.split_ascii_whitespace().collect::<String>()).ok()
}
