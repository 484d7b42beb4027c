//! The algorithms of RFC 7518 and RFC 8037 that sign, and what each asks of a key. `none` is not among them.

use super::keys::Material;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// A curve of ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA, PKCS #1 v1.5.
    Rs(Hash),
    /// RSA, PSS.
    Ps(Hash),
    /// ECDSA.
    Es(Hash),
    /// Ed25519.
    EdDsa,
    /// HMAC.
    Hs(Hash),
}

/// What is asked of whoever verifies, the proxy or the sandbox. An ECDSA signature is in DER there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// RSA, PKCS #1 v1.5.
    Pkcs1(Hash),
    /// RSA, PSS.
    Pss(Hash),
    /// ECDSA.
    Ecdsa(Hash),
    /// Ed25519.
    Ed25519,
}

/// All of them, by their names.
const NAMES: [(&str, Algorithm); 13] = [
    ("RS256", Algorithm::Rs(Hash::Sha256)),
    ("RS384", Algorithm::Rs(Hash::Sha384)),
    ("RS512", Algorithm::Rs(Hash::Sha512)),
    ("PS256", Algorithm::Ps(Hash::Sha256)),
    ("PS384", Algorithm::Ps(Hash::Sha384)),
    ("PS512", Algorithm::Ps(Hash::Sha512)),
    ("ES256", Algorithm::Es(Hash::Sha256)),
    ("ES384", Algorithm::Es(Hash::Sha384)),
    ("ES512", Algorithm::Es(Hash::Sha512)),
    ("EdDSA", Algorithm::EdDsa),
    ("HS256", Algorithm::Hs(Hash::Sha256)),
    ("HS384", Algorithm::Hs(Hash::Sha384)),
    ("HS512", Algorithm::Hs(Hash::Sha512)),
];

impl Algorithm {
    /// By its name, which is case-sensitive. RFC 9864's name for EdDSA with Ed25519 is one too.
    pub fn named(name: &str) -> Option<Self> {
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }

    /// What a provider accepts that does not say: all with a public key. A secret that both sides know is asked for by name.
    pub fn with_public_keys() -> Vec<Self> {
        Self::all().filter(|algorithm| !matches!(algorithm, Self::Hs(_))).collect()
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(_, algorithm)| *algorithm)
    }

    /// Whether a key is of the type that this algorithm takes.
    pub(super) fn takes(self, key: &Material) -> bool {
        match (self, key) {
            (Self::Rs(_) | Self::Ps(_), Material::Rsa { .. }) | (Self::EdDsa, Material::Ed25519 { .. }) => {
                true
            }
            (Self::Hs(hash), Material::Secret { secret, allow_weak }) => {
                *allow_weak || secret.len() >= hash.size()
            }
            (Self::Es(hash), Material::Ec { curve, .. }) => curve.hash() == hash,
            _ => false,
        }
    }
}

impl Hash {
    /// Its length in bytes, which is the least that a secret for HMAC may have.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl Curve {
    /// By its name in a JWK.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "P-256" => Some(Self::P256),
            "P-384" => Some(Self::P384),
            "P-521" => Some(Self::P521),
            _ => None,
        }
    }

    /// The bytes of a coordinate, and of one of the two numbers of a signature.
    pub(super) fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    /// The curve that ECDSA takes with a hash.
    pub(super) fn with(hash: Hash) -> Self {
        match hash {
            Hash::Sha256 => Self::P256,
            Hash::Sha384 => Self::P384,
            Hash::Sha512 => Self::P521,
        }
    }

    fn hash(self) -> Hash {
        match self {
            Self::P256 => Hash::Sha256,
            Self::P384 => Hash::Sha384,
            Self::P521 => Hash::Sha512,
        }
    }
}

/// Whether this is the text's HMAC, compared in constant time.
pub(super) fn is_mac(hash: Hash, secret: &[u8], text: &[u8], mac: &[u8]) -> bool {
    fn check<M: Mac + KeyInit>(secret: &[u8], text: &[u8], mac: &[u8]) -> bool {
        <M as KeyInit>::new_from_slice(secret)
            .is_ok_and(|keyed| keyed.chain_update(text).verify_slice(mac).is_ok())
    }
    match hash {
        Hash::Sha256 => check::<Hmac<Sha256>>(secret, text, mac),
        Hash::Sha384 => check::<Hmac<Sha384>>(secret, text, mac),
        Hash::Sha512 => check::<Hmac<Sha512>>(secret, text, mac),
    }
}
