//! Keys: read from a JWKS (RFC 7517, 7518, 8037) or a PEM block, and chosen for a token.

use super::algorithm::{Algorithm, Curve, Hash, Scheme, is_mac};
use super::failure::Failure;
use super::token::Token;
use super::{Surroundings, der, json};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::pkcs8::DecodePublicKey;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::fmt;

/// How many keys a set may hold.
const MOST_KEYS: usize = 100;
/// How many of them one token may fit: without `kid` it is tried with each of these.
const MOST_FITTING: usize = 32;
/// How many reasons a line holds.
const MOST_REASONS: usize = 5;
/// The bits of RSA keys: what is broken, what is weak, and what takes too long.
const RSA_BITS: [usize; 3] = [1024, 2048, 8192];

/// The keys of a provider.
#[derive(Debug)]
pub struct KeySet {
    /// Of the text that they were read from.
    fingerprint: [u8; 32],
    keys: Vec<Key>,
    /// How many are for something else than signatures, which is nobody's mistake.
    foreign: usize,
    warnings: Vec<String>,
}

/// Why a key is left out.
#[derive(Debug)]
enum Unfit {
    /// It is for something else.
    Foreign(String),
    Broken(String),
}

impl Unfit {
    fn reason(self) -> String {
        match self {
            Self::Foreign(reason) | Self::Broken(reason) => reason,
        }
    }
}

impl From<String> for Unfit {
    fn from(reason: String) -> Self {
        Self::Broken(reason)
    }
}

impl From<&str> for Unfit {
    fn from(reason: &str) -> Self {
        Self::Broken(reason.into())
    }
}

struct Key {
    id: Option<String>,
    algorithm: Option<Algorithm>,
    material: Material,
}

/// The key itself, in the form that verifies.
pub(super) enum Material {
    /// `SubjectPublicKeyInfo` of RSA.
    Rsa { der: Vec<u8> },
    /// `SubjectPublicKeyInfo` of ECDSA.
    Ec { curve: Curve, der: Vec<u8> },
    /// Ed25519.
    Ed25519 { key: Vec<u8> },
    /// What both sides know, and whether it may be shorter than the hash.
    Secret { secret: Vec<u8>, allow_weak: bool },
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.id)
    }
}

impl KeySet {
    /// Reads a JWKS, or certificates by `kid`. Keys that cannot be used are left out; if none is left, that is an error.
    ///
    /// # Errors
    ///
    /// What is wrong, without the text of the keys.
    pub fn read(text: &[u8], allow_weak: bool) -> Result<Self, String> {
        let set = json::object(text).map_err(|error| {
            // Without serde's words, which may hold the text.
            format!(
                "not the JSON of a JWKS ({:?} error at line {}, column {})",
                error.classify(),
                error.line(),
                error.column()
            )
        })?;
        Self::of(&set, text, allow_weak)
    }

    fn of(set: &Map<String, Value>, text: &[u8], allow_weak: bool) -> Result<Self, String> {
        let entries = entries(set).ok_or("expected a JWKS, an object with the list `keys`")?;
        if entries.len() > MOST_KEYS {
            return Err(format!("found {} keys, at most {MOST_KEYS} are allowed", entries.len()));
        }
        let mut set =
            Self { fingerprint: fingerprint(text), keys: Vec::new(), foreign: 0, warnings: Vec::new() };
        let mut reasons = Vec::new();
        for (place, entry) in entries {
            match entry.key(allow_weak) {
                Ok(key) => set.keys.push(key),
                Err(unfit) => {
                    let is_foreign = matches!(unfit, Unfit::Foreign(_));
                    reasons.push((is_foreign, format!("{place}: {}", unfit.reason())));
                }
            }
        }
        if set.keys.is_empty() {
            let reasons: Vec<_> = reasons.into_iter().map(|(_, reason)| reason).collect();
            return Err(format!("there is no key that can be used. {}", listed(&reasons)));
        }
        set.foreign = reasons.iter().filter(|(is_foreign, _)| *is_foreign).count();
        let broken = reasons.into_iter().filter(|(is_foreign, _)| !is_foreign).map(|(_, reason)| reason);
        set.warnings = broken.chain(set.crowd()).collect();
        Ok(set)
    }

    /// Whether tokens without `kid` fit more keys than can be tried.
    fn crowd(&self) -> Option<String> {
        let fitting = |algorithm: &Algorithm| self.keys.iter().filter(|key| key.signs(*algorithm)).count();
        let most = Algorithm::all().map(|algorithm| fitting(&algorithm)).max().unwrap_or(0);
        let refused = "tokens without kid are refused, at most";
        (most > MOST_FITTING)
            .then(|| format!("{most} keys fit one algorithm: {refused} {MOST_FITTING} can be tried"))
    }

    /// Reads the blocks `BEGIN PUBLIC KEY`. Such keys have no `kid`.
    ///
    /// # Errors
    ///
    /// What is wrong with which block.
    pub fn from_pem(text: &str, allow_weak: bool) -> Result<Self, String> {
        const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
        let mut keys = Vec::new();
        for (number, block) in text.split(BEGIN).skip(1).take(MOST_KEYS).enumerate() {
            let body = block.split("-----END PUBLIC KEY-----").next().unwrap_or_default();
            let der = unarmored(body);
            let material = match der.as_deref().and_then(der::read) {
                Some(public) => material(&public, allow_weak)?,
                None => {
                    return Err(format!(
                        "block {number}: not a public key of RSA, P-256, P-384, P-521 or Ed25519"
                    ));
                }
            };
            keys.push(Key { id: None, algorithm: None, material });
        }
        if keys.is_empty() {
            Err(format!("expected `{BEGIN}`"))
        } else {
            let fingerprint = fingerprint(text.as_bytes());
            let set = Self { fingerprint, keys, foreign: 0, warnings: Vec::new() };
            Ok(Self { warnings: set.crowd().into_iter().collect(), ..set })
        }
    }

    /// Whether these are the same keys.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// What an operator should know: which keys were left out, and why.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Checks a signature with each key that fits: same `kid` where both have one, same algorithm, same type. A token that names
    /// a key which is not there is told from one that is forged, unless a key without a name verifies it.
    pub(super) fn verify(&self, token: &Token<'_>, by: &dyn Surroundings) -> Result<(), Failure> {
        let fitting = self.keys.iter().filter(|key| key.fits(token));
        match fitting.clone().count() {
            0 => return Err(Failure::NoKey),
            // None of them, rather than the first ones: which keys come first is up to the server.
            count if count > MOST_FITTING => return Err(Failure::Crowd),
            _ => {}
        }
        for key in fitting {
            if !by.may_check(token.algorithm()) {
                return Err(Failure::Crowd);
            }
            if key.material.verify(token.algorithm(), token.signed(), token.signature(), by) {
                return Ok(());
            }
        }
        let is_named =
            token.key_id().is_none_or(|id| self.keys.iter().any(|key| key.id.as_deref() == Some(id)));
        Err(if is_named { Failure::Signature } else { Failure::NoKey })
    }
}

impl fmt::Display for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {} that can be used", self.keys.len())?;
        if self.foreign > 0 {
            write!(f, ", {} for other purposes", self.foreign)?;
        }
        if self.warnings.is_empty() { Ok(()) } else { write!(f, "; {}", listed(&self.warnings)) }
    }
}

/// What a set says of one key.
enum Entry<'s> {
    Jwk(&'s Value),
    Certificate { id: &'s str, body: &'s str },
}

/// Each with its place in the set: the list of a JWKS, or certificates by `kid`, which some issuers show beside it.
fn entries(set: &Map<String, Value>) -> Option<Vec<(String, Entry<'_>)>> {
    let jwk = |(number, entry)| (format!("keys[{number}]"), Entry::Jwk(entry));
    match set.get("keys") {
        Some(Value::Array(list)) => Some(list.iter().enumerate().map(jwk).collect()),
        None if !set.is_empty() => set.iter().map(|(id, entry)| certificate(id, entry)).collect(),
        _ => None,
    }
}

fn certificate<'s>(id: &'s str, entry: &'s Value) -> Option<(String, Entry<'s>)> {
    let begun = entry.as_str()?.trim_start().strip_prefix("-----BEGIN CERTIFICATE-----")?;
    // Of a chain, the first is that of the key.
    let body = begun.split("-----END CERTIFICATE-----").next()?;
    Some((shown(id), Entry::Certificate { id, body }))
}

/// The bytes of a PEM block.
fn unarmored(body: &str) -> Option<Vec<u8>> {
    STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()
}

impl Entry<'_> {
    fn key(&self, allow_weak: bool) -> Result<Key, Unfit> {
        match *self {
            Self::Jwk(jwk) => Key::of(jwk, allow_weak),
            Self::Certificate { id, body } => {
                let der = unarmored(body).ok_or("not a certificate")?;
                let public = der::certified(&der)
                    .ok_or("not a certificate for a key of RSA, P-256, P-384, P-521 or Ed25519")?;
                let material = material(&public, allow_weak)?;
                Ok(Key { id: Some(id.to_owned()), algorithm: None, material })
            }
        }
    }
}

/// The first of these.
fn listed(reasons: &[String]) -> String {
    let more = reasons.len().saturating_sub(MOST_REASONS);
    let first = reasons.get(..MOST_REASONS).unwrap_or(reasons).join("; ");
    if more > 0 { format!("{first}; and {more} more") } else { first }
}

impl Key {
    fn of(entry: &Value, allow_weak: bool) -> Result<Self, Unfit> {
        let Value::Object(jwk) = entry else { return Err("expected an object".into()) };
        let text = |name: &str| match jwk.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(format!("{name}: expected a text")),
        };
        if let Some(other) = text("use")?.filter(|purpose| *purpose != "sig") {
            return Err(Unfit::Foreign(format!("its use is {}, not \"sig\"", shown(other))));
        }
        if let Some(operations) = jwk.get("key_ops") {
            let verifies = operations.as_array().is_some_and(|list| list.iter().any(|one| one == "verify"));
            verifies.then_some(()).ok_or("its key_ops do not hold \"verify\"")?;
        }
        let algorithm =
            match text("alg")? {
                Some(name) => Some(Algorithm::named(name).ok_or_else(|| {
                    Unfit::Foreign(format!("alg {} is not one that signs here", shown(name)))
                })?),
                None => None,
            };
        let material = match text("kty")?.ok_or("it has no kty")? {
            "RSA" => rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?, allow_weak)?,
            "EC" => point(jwk, text("crv")?, algorithm)?,
            "OKP" => octets(jwk, text("crv")?)?,
            "oct" => secret(bytes(jwk, "k")?, allow_weak)?,
            other => return Err(format!("kty {} is not known", shown(other)).into()),
        };
        if algorithm.is_some_and(|algorithm| !algorithm.takes(&material)) {
            return Err("its alg and its type do not go together".into());
        }
        Ok(Self { id: text("kid")?.map(str::to_owned), algorithm, material })
    }

    fn fits(&self, token: &Token<'_>) -> bool {
        let same_id = match (&self.id, token.key_id()) {
            (Some(mine), Some(wanted)) => mine == wanted,
            _ => true,
        };
        same_id && self.signs(token.algorithm())
    }

    fn signs(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|mine| mine == algorithm) && algorithm.takes(&self.material)
    }
}

impl Material {
    fn verify(&self, algorithm: Algorithm, text: &[u8], signature: &[u8], by: &dyn Surroundings) -> bool {
        match (algorithm, self) {
            (Algorithm::Rs(hash), Self::Rsa { der }) => by.verify(Scheme::Pkcs1(hash), der, text, signature),
            (Algorithm::Ps(hash), Self::Rsa { der }) => by.verify(Scheme::Pss(hash), der, text, signature),
            (Algorithm::Es(hash), Self::Ec { curve, der }) => der::signature(signature, curve.size())
                .is_some_and(|signature| by.verify(Scheme::Ecdsa(hash), der, text, &signature)),
            (Algorithm::EdDsa, Self::Ed25519 { key }) => by.verify(Scheme::Ed25519, key, text, signature),
            (Algorithm::Hs(hash), Self::Secret { secret, .. }) => is_mac(hash, secret, text, signature),
            _ => false,
        }
    }
}

/// The beginning of a text that somebody else wrote.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(32).collect::<String>())
}

fn fingerprint(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    let text = jwk.get(name).and_then(Value::as_str).ok_or_else(|| format!("it has no {name}"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("{name}: not base64url without padding"))
}

fn rsa(modulus: &[u8], exponent: &[u8], allow_weak: bool) -> Result<Material, String> {
    let (modulus, exponent) = (der::without_zeros(modulus), der::without_zeros(exponent));
    let zeros = modulus.first().map_or(0, |first| first.leading_zeros());
    let bits = modulus.len().saturating_mul(8).saturating_sub(usize::try_from(zeros).unwrap_or(0));
    let [broken, weak, longest] = RSA_BITS;
    if bits < if allow_weak { broken } else { weak } || bits > longest {
        return Err(format!("RSA of {bits} bits, {weak} to {longest} are allowed"));
    }
    let odd = exponent.last().is_some_and(|last| last & 1 == 1);
    if !odd || exponent == [1] || exponent.len() > 4 {
        return Err("e is not an exponent of RSA".into());
    }
    Ok(Material::Rsa { der: der::rsa(modulus, exponent) })
}

/// Some issuers leave `crv` out. Their `alg` tells the curve, or else it is that which jwt_authn takes.
fn point(
    jwk: &Map<String, Value>,
    curve: Option<&str>,
    algorithm: Option<Algorithm>,
) -> Result<Material, String> {
    let curve = match (curve, algorithm) {
        (Some(name), _) => Curve::named(name).ok_or_else(|| format!("crv {} is not known", shown(name)))?,
        (None, Some(Algorithm::Es(hash))) => Curve::with(hash),
        (None, _) => Curve::P256,
    };
    ec(curve, &bytes(jwk, "x")?, &bytes(jwk, "y")?)
}

fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<Material, String> {
    let size = curve.size();
    if x.len() != size || y.len() != size {
        return Err(format!("x and y have to be {size} bytes"));
    }
    let der = der::ec(curve, x, y);
    let is_point = match curve {
        Curve::P256 => p256::PublicKey::from_public_key_der(&der).is_ok(),
        Curve::P384 => p384::PublicKey::from_public_key_der(&der).is_ok(),
        Curve::P521 => p521::PublicKey::from_public_key_der(&der).is_ok(),
    };
    is_point.then_some(Material::Ec { curve, der }).ok_or_else(|| "x and y are no point of the curve".into())
}

fn octets(jwk: &Map<String, Value>, curve: Option<&str>) -> Result<Material, String> {
    match curve {
        Some("Ed25519") => ed25519(bytes(jwk, "x")?),
        _ => Err("crv: only Ed25519 is known of this kty".into()),
    }
}

fn ed25519(key: Vec<u8>) -> Result<Material, String> {
    if key.len() == 32 { Ok(Material::Ed25519 { key }) } else { Err("a key of Ed25519 has 32 bytes".into()) }
}

/// RFC 7518, 3.2: a secret is at least as long as the hash, of which SHA-256 is the shortest.
fn secret(secret: Vec<u8>, allow_weak: bool) -> Result<Material, String> {
    let least = if allow_weak { 1 } else { Hash::Sha256.size() };
    if secret.len() < least {
        return Err(format!("a secret of {} bytes, at least {least} are needed", secret.len()));
    }
    Ok(Material::Secret { secret, allow_weak })
}

fn material(public: &der::Public<'_>, allow_weak: bool) -> Result<Material, String> {
    match *public {
        der::Public::Rsa { modulus, exponent } => rsa(modulus, exponent, allow_weak),
        der::Public::Ec { curve, x, y } => ec(curve, x, y),
        der::Public::Ed25519(key) => ed25519(key.to_vec()),
    }
}

#[cfg(test)]
mod tests;
