//! Credentials: which rule accepts what a client presents, without telling by the time it takes.

use super::hash::{Hash, Work};
use base64::Engine;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use siphasher::sip128::{Hasher128, SipHasher24};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use subtle::{Choice, ConstantTimeEq};

/// Base64 as in RFC 4648 with its padding or without.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Passwords beyond this are refused before they are hashed.
const MAX_PASSWORD: usize = 4096;

/// A random key, of which nobody outside the VM knows anything: lookups by a digest under it take times that nobody can
/// steer or interpret.
#[derive(Clone)]
pub struct Key([u8; 16]);

impl Key {
    /// Takes random bytes for a key.
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// A digest of the parts; `purpose` keeps digests for different uses apart.
    fn digest(&self, purpose: Purpose, rule: u32, text: &[u8]) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write_u8(purpose as u8);
        hasher.write_u32(rule);
        hasher.write(text);
        hasher.finish128().as_u128()
    }
}

#[derive(Clone, Copy)]
enum Purpose {
    Secret,
    User,
    Memory,
}

/// `user:password` as a client sent it, decoded.
pub(super) struct Presented {
    decoded: Vec<u8>,
}

impl Presented {
    /// Reads what stands after the scheme.
    pub(super) fn decode(token: &[u8]) -> Option<Self> {
        let decoded = BASE64.decode(token).ok()?;
        (!decoded.is_empty()).then_some(Self { decoded })
    }

    /// Who it is; empty if there is no colon, for then all of it is a secret.
    pub(super) fn user(&self) -> &[u8] {
        self.parts().map_or(&[], |(user, _)| user)
    }

    fn parts(&self) -> Option<(&[u8], &[u8])> {
        let colon = self.decoded.iter().position(|byte| *byte == b':')?;
        let (user, rest) = self.decoded.split_at_checked(colon)?;
        Some((user, rest.get(1..)?))
    }
}

/// All credentials of all rules.
pub(super) struct Credentials {
    key: Key,
    secrets: HashMap<u128, Secret, ByDigest>,
    users: HashMap<u128, Vec<u32>, ByDigest>,
    hashes: Vec<Hash>,
    /// For each rule the work of its most laborious user: what every user and non-user of the rule costs.
    work: HashMap<u32, Work>,
    verified: RefCell<Memory>,
    refused: RefCell<Memory>,
}

/// A credential in clear, and the rules that accept it, in order.
struct Secret {
    bytes: Box<[u8]>,
    rules: Vec<u32>,
}

impl Credentials {
    pub(super) fn new(key: Key) -> Self {
        Self {
            key,
            secrets: HashMap::default(),
            users: HashMap::default(),
            hashes: Vec::new(),
            work: HashMap::new(),
            verified: RefCell::default(),
            refused: RefCell::default(),
        }
    }

    /// Adds `user:password`, or whatever it is, as bytes. Rules have to come in order.
    pub(super) fn add_secret(&mut self, rule: u32, secret: &[u8]) {
        let digest = self.key.digest(Purpose::Secret, 0, secret);
        let known = || Secret { bytes: secret.into(), rules: Vec::new() };
        let entry = self.secrets.entry(digest).or_insert_with(known);
        if entry.rules.last() != Some(&rule) {
            entry.rules.push(rule);
        }
    }

    /// Adds a user with a hashed password. Says whether the rule knew the user already.
    pub(super) fn add_hash(&mut self, rule: u32, user: &[u8], hash: Hash) -> bool {
        let number = u32::try_from(self.hashes.len()).unwrap_or(u32::MAX);
        let of_user = self.users.entry(self.key.digest(Purpose::User, rule, user)).or_default();
        of_user.push(number);
        self.hashes.push(hash);
        let hashes = of_user.iter().filter_map(|hash| find(&self.hashes, *hash));
        let work = hashes.fold(Work::default(), |work, hash| work.and(hash.work()));
        let most = self.work.entry(rule).or_default();
        *most = most.max(work);
        of_user.len() > 1
    }

    /// Whether the rule accepts the credential.
    pub(super) fn accepts(&self, rule: u32, presented: &Presented) -> bool {
        self.has_secret(rule, presented) || self.has_hash(rule, presented)
    }

    fn has_secret(&self, rule: u32, presented: &Presented) -> bool {
        let digest = self.key.digest(Purpose::Secret, 0, &presented.decoded);
        let secret = self.secrets.get(&digest);
        secret.is_some_and(|secret| {
            bool::from(secret.bytes.ct_eq(&presented.decoded)) && secret.rules.binary_search(&rule).is_ok()
        })
    }

    fn has_hash(&self, rule: u32, presented: &Presented) -> bool {
        let Some((work, (user, password))) = self.work.get(&rule).zip(presented.parts()) else {
            return false;
        };
        // To bcrypt a password repeats after its NUL: `a`, NUL, `a` would be `a`.
        if password.len() > MAX_PASSWORD || password.contains(&0) {
            return false;
        }
        let user = self.key.digest(Purpose::User, rule, user);
        if !work.is_slow() {
            return self.verify(user, password, *work);
        }
        let digest = self.key.digest(Purpose::Memory, rule, &presented.decoded);
        if self.verified.borrow().holds(digest) {
            return true;
        }
        if self.refused.borrow().holds(digest) {
            return false;
        }
        let accepted = self.verify(user, password, *work);
        let memory = if accepted { &self.verified } else { &self.refused };
        memory.borrow_mut().note(digest);
        accepted
    }

    /// Does the same work whether there is such a user or not.
    fn verify(&self, user: u128, password: &[u8], work: Work) -> bool {
        let numbers = self.users.get(&user).map_or(&[][..], Vec::as_slice);
        let mut left = work;
        let mut accepted = Choice::from(0);
        for hash in numbers.iter().filter_map(|number| find(&self.hashes, *number)) {
            accepted |= hash.verify(password);
            left = left.without(hash.work());
        }
        left.burn(password);
        accepted.into()
    }
}

fn find(hashes: &[Hash], number: u32) -> Option<&Hash> {
    usize::try_from(number).ok().and_then(|number| hashes.get(number))
}

/// The digests last seen, up to a bound: a young and an old half, and when the young one is full, the old one goes.
#[derive(Default)]
struct Memory {
    young: HashSet<u128, ByDigest>,
    old: HashSet<u128, ByDigest>,
}

impl Memory {
    const HALF: usize = 512;

    fn holds(&self, digest: u128) -> bool {
        self.young.contains(&digest) || self.old.contains(&digest)
    }

    fn note(&mut self, digest: u128) {
        if self.young.len() >= Self::HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest);
    }
}

/// Keyed digests need no hashing of their own.
type ByDigest = BuildHasherDefault<Digested>;

#[derive(Default)]
struct Digested(u64);

impl Hasher for Digested {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // The low half of a `u128`, whichever end of it comes first; each half is as random as the other.
        self.0 = bytes.first_chunk().map_or(0, |half| u64::from_ne_bytes(*half));
    }
}

#[cfg(test)]
mod tests {
    //! Lookups, equal work, bounds.

    use super::*;
    use crate::policy::hash::{Password, SPENT, read};

    fn store() -> Credentials {
        Credentials::new(Key::new([7; 16]))
    }

    fn presented(text: &str) -> Presented {
        Presented { decoded: text.as_bytes().to_vec() }
    }

    fn hash(text: &str) -> Hash {
        match read(text) {
            Ok(Password::Hashed(hash)) => hash,
            other => panic!("{other:?}"),
        }
    }

    /// Cost 4, password `test`.
    const BCRYPT: &str = "$2b$04$aaaaaaaaaaaaaaaaaaaaaOAItJAM/9WVyQMbNth.87mKWdDHxRPhO";
    const SHA: &str = "{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=";

    #[test]
    fn a_secret_opens_the_rules_it_belongs_to() {
        let mut store = store();
        store.add_secret(0, b"a:b");
        store.add_secret(2, b"a:b");
        store.add_secret(2, b"a:b");
        store.add_secret(3, b"a:c");
        let open = |text| [0, 1, 2, 3].map(|rule| store.accepts(rule, &presented(text)));
        assert_eq!(open("a:b"), [true, false, true, false]);
        assert_eq!(open("a:c"), [false, false, false, true]);
        assert_eq!(open("a:"), [false; 4]);
    }

    #[test]
    fn a_hash_opens_its_rule_for_its_user() {
        let mut store = store();
        assert!(!store.add_hash(0, b"ann", hash(SHA)));
        assert!(store.add_hash(0, b"ann", hash(BCRYPT)));
        let open = |rule, text: &str| store.accepts(rule, &presented(text));
        assert!(open(0, "ann:test"));
        assert!(!open(1, "ann:test") && !open(0, "bob:test") && !open(0, "ann:tes") && !open(0, "anntest"));
        assert!(!open(0, "ann:test\0test") && !open(0, &format!("ann:{}", "x".repeat(5000))));
    }

    #[test]
    fn the_work_of_a_rule_is_that_of_its_most_laborious_user() {
        let mut store = store();
        store.add_hash(0, b"ann", hash(SHA));
        store.add_hash(0, b"bob", hash(BCRYPT));
        store.add_hash(1, b"ann", hash(SHA));
        assert_eq!(store.work[&0], hash(SHA).work().max(hash(BCRYPT).work()));
        assert!(!store.work[&1].is_slow());
    }

    #[test]
    fn a_refusal_costs_the_same_whoever_is_refused() {
        let mut store = store();
        let costlier = hash("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.");
        store.add_hash(0, b"sha", hash(SHA));
        store.add_hash(0, b"twice", hash(BCRYPT));
        store.add_hash(0, b"twice", hash(BCRYPT));
        store.add_hash(0, b"costly", costlier);
        store.add_secret(0, b"clear:password");
        let spent = |user: &str| {
            SPENT.take();
            assert!(!store.accepts(0, &presented(&format!("{user}:wrong"))));
            SPENT.take()
        };
        let nobody = spent("nobody");
        assert_eq!(nobody, store.work[&0]);
        for user in ["sha", "twice", "costly", "clear", ""] {
            assert_eq!(spent(user), nobody, "{user}");
        }
    }

    #[test]
    fn slow_answers_are_remembered_and_forgotten() {
        let mut store = store();
        store.add_hash(0, b"ann", hash(BCRYPT));
        store.accepts(0, &presented("ann:test"));
        store.accepts(0, &presented("ann:wrong"));
        store.accepts(0, &presented("nobody:test"));
        assert_eq!(store.verified.borrow().young.len(), 1);
        assert_eq!(store.refused.borrow().young.len(), 2);
        assert!(store.accepts(0, &presented("ann:test")));

        let mut memory = Memory::default();
        (0..5000).for_each(|digest| memory.note(digest));
        assert!(memory.holds(4999) && memory.holds(4500) && !memory.holds(1));
        assert!(memory.young.len() + memory.old.len() <= 2 * Memory::HALF);
    }

    #[test]
    fn base64_with_and_without_padding() {
        for (token, text) in [("YTpi", "a:b"), ("YTpiYw==", "a:bc"), ("YTpiYw", "a:bc"), ("YTpiYw=", "a:bc")]
        {
            let decoded = Presented::decode(token.as_bytes()).map(|presented| presented.decoded);
            assert_eq!(decoded.unwrap_or_default(), text.as_bytes(), "{token}");
        }
        for token in ["", "=", "YTpi YTpi", "YTpi\n", "-_-_", "YTpiYx=="] {
            assert!(Presented::decode(token.as_bytes()).is_none(), "{token}");
        }
    }
}
