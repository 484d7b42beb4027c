//! Keys as Envoy reads them, and what they sign and verify: RSA with PKCS #1 v1.5, and ECDSA on P-256, P-384 and P-521.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::{Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha224, Sha256, Sha384, Sha512};

/// A text after its hash function: what ECDSA signs, and what RSA puts around it.
pub(super) struct Hashed {
    digest: Vec<u8>,
    padding: Pkcs1v15Sign,
}

impl Hashed {
    /// None when Envoy has no hash function of this name.
    pub(super) fn new(function: &str, text: &[u8]) -> Option<Self> {
        Some(match function.to_ascii_lowercase().as_str() {
            "sha1" => Self { digest: Sha1::digest(text).to_vec(), padding: Pkcs1v15Sign::new::<Sha1>() },
            "sha224" => {
                Self { digest: Sha224::digest(text).to_vec(), padding: Pkcs1v15Sign::new::<Sha224>() }
            }
            "sha256" => {
                Self { digest: Sha256::digest(text).to_vec(), padding: Pkcs1v15Sign::new::<Sha256>() }
            }
            "sha384" => {
                Self { digest: Sha384::digest(text).to_vec(), padding: Pkcs1v15Sign::new::<Sha384>() }
            }
            "sha512" => {
                Self { digest: Sha512::digest(text).to_vec(), padding: Pkcs1v15Sign::new::<Sha512>() }
            }
            _ => return None,
        })
    }
}

/// A public key.
pub(super) trait Verifier {
    fn accepts(&self, text: &Hashed, signature: &[u8]) -> bool;
}

/// A private key.
pub(super) trait Signer {
    fn sign(&self, text: &Hashed) -> Option<Vec<u8>>;
}

impl Verifier for RsaPublicKey {
    fn accepts(&self, text: &Hashed, signature: &[u8]) -> bool {
        self.verify(text.padding.clone(), &text.digest, signature).is_ok()
    }
}

impl Signer for RsaPrivateKey {
    fn sign(&self, text: &Hashed) -> Option<Vec<u8>> {
        RsaPrivateKey::sign(self, text.padding.clone(), &text.digest).ok()
    }
}

/// Signatures are DER, as X.509 has them; JWS has another form.
macro_rules! curves {
    ($($curve:ident),*) => {$(
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
    )*};
}

curves!(p256, p384, p521);

/// A key in the form `SubjectPublicKeyInfo`; what stands behind it does not matter.
pub(super) fn public_der(der: &[u8]) -> Option<Box<dyn Verifier>> {
    fn read<K: Verifier + DecodePublicKey + 'static>(der: &[u8]) -> Option<Box<dyn Verifier>> {
        K::from_public_key_der(der).ok().map(|key| Box::new(key) as Box<dyn Verifier>)
    }
    let der = first_element(der)?;
    read::<RsaPublicKey>(der)
        .or_else(|| read::<p256::ecdsa::VerifyingKey>(der))
        .or_else(|| read::<p384::ecdsa::VerifyingKey>(der))
        .or_else(|| read::<p521::ecdsa::VerifyingKey>(der))
}

/// The same in PEM.
pub(super) fn public_pem(pem: &str) -> Option<Box<dyn Verifier>> {
    public_der(&block(pem, "PUBLIC KEY")?)
}

/// A key in the form PKCS #8, not encrypted.
pub(super) fn private_der(der: &[u8]) -> Option<Box<dyn Signer>> {
    fn read<K: Signer + DecodePrivateKey + 'static>(der: &[u8]) -> Option<Box<dyn Signer>> {
        K::from_pkcs8_der(der).ok().map(|key| Box::new(key) as Box<dyn Signer>)
    }
    let der = first_element(der)?;
    read::<RsaPrivateKey>(der)
        .or_else(|| read::<p256::ecdsa::SigningKey>(der))
        .or_else(|| read::<p384::ecdsa::SigningKey>(der))
        .or_else(|| read::<p521::ecdsa::SigningKey>(der))
}

/// The same in PEM, or one of the older forms of RSA and EC, which only PEM may hold.
pub(super) fn private_pem(pem: &str) -> Option<Box<dyn Signer>> {
    let modern = || private_der(&block(pem, "PRIVATE KEY")?);
    let rsa = || {
        let key = RsaPrivateKey::from_pkcs1_der(&block(pem, "RSA PRIVATE KEY")?).ok()?;
        Some(Box::new(key) as Box<dyn Signer>)
    };
    modern().or_else(rsa).or_else(|| sec1(&block(pem, "EC PRIVATE KEY")?))
}

fn sec1(der: &[u8]) -> Option<Box<dyn Signer>> {
    let p256 = || Some(p256::ecdsa::SigningKey::from(p256::SecretKey::from_sec1_der(der).ok()?));
    let p384 = || Some(p384::ecdsa::SigningKey::from(p384::SecretKey::from_sec1_der(der).ok()?));
    let p521 = || Some(p521::ecdsa::SigningKey::from(p521::SecretKey::from_sec1_der(der).ok()?));
    let key = p256().map(|key| Box::new(key) as Box<dyn Signer>);
    let key = key.or_else(|| p384().map(|key| Box::new(key) as Box<dyn Signer>));
    key.or_else(|| p521().map(|key| Box::new(key) as Box<dyn Signer>))
}

/// The first DER element.
fn first_element(der: &[u8]) -> Option<&[u8]> {
    let size = *der.get(1)?;
    let (head, size) = match size {
        0..=0x7f => (2, usize::from(size)),
        0x81..=0x84 => {
            let digits = der.get(2..2 + usize::from(size & 0x7f))?;
            let size = digits.iter().fold(0, |size, digit| size << 8 | usize::from(*digit));
            (2 + digits.len(), size)
        }
        _ => return None,
    };
    der.get(..head.checked_add(size)?)
}

/// The bytes of the first block with this label. What stands around it does not matter; its bounds are lines.
fn block(pem: &str, label: &str) -> Option<Vec<u8>> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut lines = pem.lines().map(str::trim_end).skip_while(|line| *line != begin).skip(1);
    let mut text = String::new();
    lines.by_ref().take_while(|line| !line.starts_with("-----END ")).for_each(|line| text.push_str(line));
    pem.contains(&end).then(|| STANDARD.decode(text).ok())?
}
