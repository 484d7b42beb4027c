//! Password hashes of htpasswd files and LDAP: reading them, and verifying a password against one.

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// A password's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// `{SHA}` and `{SSHA}`: SHA-1, with a salt or an empty one.
    Sha1 { digest: Box<[u8]>, salt: Box<[u8]> },
    /// `{SHA256}` and `{SSHA256}`.
    Sha256 { digest: Box<[u8]>, salt: Box<[u8]> },
    /// `$2a$`, `$2b$` and `$2y$`.
    Bcrypt { cost: u32, salt: [u8; 16], digest: [u8; 23] },
}

/// How a configured password is to be understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Password<'a> {
    Plain(&'a str),
    Hashed(Hash),
}

/// Schemes that look like hashes and are not supported. Taken for passwords, they would open the door to whoever has read
/// the file they come from.
const UNSUPPORTED: [&str; 14] = [
    "$1$",
    "$5$",
    "$6$",
    "$7$",
    "$y$",
    "$2x$",
    "$apr1$",
    "$argon2",
    "$scrypt$",
    "{MD5}",
    "{SMD5}",
    "{CRYPT}",
    "{SHA512}",
    "{SSHA512}",
];

/// Reads what stands after the colon of a credential.
pub(super) fn read(text: &str) -> Result<Password<'_>, String> {
    if let Some(password) = text.strip_prefix("{PLAIN}") {
        return Ok(Password::Plain(password));
    }
    let sha1 = |digest, salt| Hash::Sha1 { digest, salt };
    let sha256 = |digest, salt| Hash::Sha256 { digest, salt };
    let hash = match text {
        _ if text.starts_with("{SHA}") => read_sha(text, "{SHA}", 20, false).map(|(d, s)| sha1(d, s)),
        _ if text.starts_with("{SSHA}") => read_sha(text, "{SSHA}", 20, true).map(|(d, s)| sha1(d, s)),
        _ if text.starts_with("{SHA256}") => read_sha(text, "{SHA256}", 32, false).map(|(d, s)| sha256(d, s)),
        _ if text.starts_with("{SSHA256}") => {
            read_sha(text, "{SSHA256}", 32, true).map(|(d, s)| sha256(d, s))
        }
        _ if ["$2a$", "$2b$", "$2y$"].iter().any(|version| text.starts_with(version)) => read_bcrypt(text),
        _ => match UNSUPPORTED.iter().find(|scheme| text.starts_with(*scheme)) {
            Some(scheme) => Err(format!("{scheme} hashes are not supported: {SUPPORTED}")),
            None => return Ok(Password::Plain(text)),
        },
    };
    hash.map(Password::Hashed)
}

/// What an error about a hash ends with.
pub(super) const SUPPORTED: &str = "expected {SHA}, {SSHA}, {SHA256}, {SSHA256} or bcrypt, or {PLAIN} before a password that looks like a hash";

type DigestAndSalt = (Box<[u8]>, Box<[u8]>);

fn read_sha(text: &str, scheme: &str, size: usize, salted: bool) -> Result<DigestAndSalt, String> {
    let encoded = text.strip_prefix(scheme).unwrap_or_default();
    let bytes = STANDARD.decode(encoded).map_err(|_| format!("{scheme} has to be followed by base64"))?;
    let found = bytes.len();
    match bytes.split_at_checked(size) {
        Some((digest, salt)) if salt.is_empty() != salted => Ok((digest.into(), salt.into())),
        _ if salted => Err(format!("{scheme}: expected {size} bytes and a salt, found {found} bytes")),
        _ => Err(format!("{scheme}: expected {size} bytes, found {found}")),
    }
}

/// `$2y$10$`, 22 characters of salt, 31 of digest.
fn read_bcrypt(text: &str) -> Result<Hash, String> {
    let base64 = GeneralPurpose::new(&BCRYPT, NO_PAD);
    let parts = || {
        let (cost, rest) = text.get(4..)?.split_once('$')?;
        let (salt, digest) = rest.split_at_checked(22)?;
        let two_digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        let cost = cost.parse().ok().filter(|cost| two_digits && (4..=31).contains(cost))?;
        let decode = |text: &str| base64.decode(text).ok();
        Some((cost, decode(salt)?.try_into().ok()?, decode(digest)?.try_into().ok()?))
    };
    let read = parts().map(|(cost, salt, digest)| Hash::Bcrypt { cost, salt, digest });
    read.ok_or_else(|| "the bcrypt hash is malformed: expected as in `$2y$10$` and 53 characters".to_owned())
}

impl Hash {
    /// Whether this is the password's hash; in a time that says nothing about how near it was.
    pub(super) fn verify(&self, password: &[u8]) -> Choice {
        #[cfg(test)]
        SPENT.set(SPENT.get().and(self.work()));
        match self {
            Self::Sha1 { digest, salt } => {
                same(&Sha1::new().chain_update(password).chain_update(salt).finalize(), digest)
            }
            Self::Sha256 { digest, salt } => {
                same(&Sha256::new().chain_update(password).chain_update(salt).finalize(), digest)
            }
            Self::Bcrypt { cost, salt, digest } => {
                let found = bcrypt(*cost, salt, password);
                found.get(..digest.len()).map_or(Choice::from(0), |found| found.ct_eq(digest))
            }
        }
    }

    /// What it takes to verify a password.
    pub(super) fn work(&self) -> Work {
        match self {
            Self::Sha1 { .. } => Work { sha1: 1, ..Work::default() },
            Self::Sha256 { .. } => Work { sha256: 1, ..Work::default() },
            Self::Bcrypt { cost, .. } => {
                Work { rounds: 1_u64.checked_shl(*cost).unwrap_or(u64::MAX), ..Work::default() }
            }
        }
    }
}

#[cfg(test)]
thread_local! {
    /// All work that was done in this thread.
    pub(super) static SPENT: std::cell::Cell<Work> = std::cell::Cell::default();
}

/// Work by kind: SHA digests, and rounds of bcrypt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    sha1: u32,
    sha256: u32,
    rounds: u64,
}

impl Work {
    pub(super) fn is_slow(self) -> bool {
        self.rounds > 0
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            sha1: self.sha1.saturating_add(other.sha1),
            sha256: self.sha256.saturating_add(other.sha256),
            rounds: self.rounds.saturating_add(other.rounds),
        }
    }

    /// The larger of the two, kind by kind.
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            sha1: self.sha1.max(other.sha1),
            sha256: self.sha256.max(other.sha256),
            rounds: self.rounds.max(other.rounds),
        }
    }

    pub(super) fn without(self, done: Self) -> Self {
        Self {
            sha1: self.sha1.saturating_sub(done.sha1),
            sha256: self.sha256.saturating_sub(done.sha256),
            rounds: self.rounds.saturating_sub(done.rounds),
        }
    }

    /// Does the work for nothing, so that a user who does not exist takes as long to refuse as one who does.
    pub(super) fn burn(self, password: &[u8]) {
        let nothing = |size: usize| (vec![0; size].into_boxed_slice(), Box::default());
        let burn = |hash: Hash| _ = std::hint::black_box(hash.verify(std::hint::black_box(password)));
        for _ in 0..self.sha1 {
            let (digest, salt) = nothing(20);
            burn(Hash::Sha1 { digest, salt });
        }
        for _ in 0..self.sha256 {
            let (digest, salt) = nothing(32);
            burn(Hash::Sha256 { digest, salt });
        }
        // The rounds of any number of hashes are a sum of powers of two.
        for cost in (4..32).filter(|cost| self.rounds & 1_u64.checked_shl(*cost).unwrap_or(0) != 0) {
            burn(Hash::Bcrypt { cost, salt: [0; 16], digest: [0; 23] });
        }
    }
}

/// Compares slices: an array may bring a comparison of its own, for arrays alone.
fn same(found: &[u8], expected: &[u8]) -> Choice {
    found.ct_eq(expected)
}

/// The bcrypt function: the password with its final NUL, of which 72 bytes count.
fn bcrypt(cost: u32, salt: &[u8; 16], password: &[u8]) -> [u8; 24] {
    let key: Vec<u8> = password.iter().copied().chain([0]).take(72).collect();
    // It panics on a cost above 31, which `read_bcrypt` refuses, and on an empty key, which the NUL prevents.
    bcrypt::bcrypt(cost.min(31), *salt, &key)
}

#[cfg(test)]
mod tests {
    //! Test vectors made by other programs, and what is refused.

    use super::*;

    fn hash(text: &str) -> Hash {
        match read(text) {
            Ok(Password::Hashed(hash)) => hash,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn vectors() {
        for (text, password) in [
            // openssl sha1, LDAP's slappasswd, jBCrypt's tests, htpasswd -B.
            ("{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=", "test"),
            ("{SHA256}n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=", "test"),
            ("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.", ""),
            ("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a"),
            ("$2a$08$aTsUwsyowQuzRrDqFflhgekJ8d9/7Z3GV3UcgvzQW3J5zMyrTvlz.", "abcdefghijklmnopqrstuvwxyz"),
        ] {
            assert!(bool::from(hash(text).verify(password.as_bytes())), "{text}");
            assert!(!bool::from(hash(text).verify(b"other")), "{text}");
        }
    }

    #[test]
    fn salted() {
        for (scheme, digest) in [
            ("{SSHA}", Sha1::digest(b"testsalt").to_vec()),
            ("{SSHA256}", Sha256::digest(b"testsalt").to_vec()),
        ] {
            let text = format!("{scheme}{}", STANDARD.encode([digest, b"salt".to_vec()].concat()));
            assert!(bool::from(hash(&text).verify(b"test")));
            assert!(!bool::from(hash(&text).verify(b"tests")));
        }
    }

    #[test]
    fn plain_passwords() {
        for text in ["", "secret", "$", "$2", "{}", "{sha}x", "{UNKNOWN}x"] {
            assert_eq!(read(text), Ok(Password::Plain(text)));
        }
        assert_eq!(read("{PLAIN}{SHA}x"), Ok(Password::Plain("{SHA}x")));
    }

    #[test]
    fn malformed_hashes() {
        for text in [
            "{SHA}",
            "{SHA}!",
            "{SHA}AAAA",
            "{SSHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=",
            "{SHA256}AAAA",
            "$2y$",
            "$2y$10$short",
            "$2y$03$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.",
            "$apr1$x$y",
            "$6$x$y",
            "{MD5}x",
            "$2y$+6$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.",
        ] {
            read(text).unwrap_err();
        }
    }

    #[test]
    fn work_adds_up() {
        let cheap = hash("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.").work();
        let sha = hash("{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=").work();
        let all = cheap.and(cheap).and(sha);
        assert_eq!(all, Work { sha1: 1, sha256: 0, rounds: 128 });
        assert_eq!(all.without(cheap), Work { sha1: 1, sha256: 0, rounds: 64 });
        assert_eq!(sha.max(cheap), Work { sha1: 1, sha256: 0, rounds: 64 });
        all.burn(b"x");
    }
}
