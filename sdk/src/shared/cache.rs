//! A cache in shared data: what one worker fetched, all workers have, until its time is over.

use super::{GET, SET, Stored, stands};
use crate::abi;
use crate::error::HostError;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;
use std::time::Duration;

/// A cache that all workers share, of bounded size: keys may come from requests.
///
/// It has a fixed number of places. A key's hash chooses its place, and a new entry takes the place of the one before, so
/// the memory it can ever take is [`places`](Self::places) times [`largest`](Self::largest). Give it about twice as many
/// places as entries are wanted. An entry is read by its whole key: two keys with one place never see each other's values.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
/// use std::time::Duration;
///
/// const SESSIONS: Cache<String> = Cache::new("sessions").ttl(Duration::from_secs(300));
///
/// fn user_of(token: &[u8]) -> Result<Option<String>, HostError> {
///     SESSIONS.get(token)
/// }
/// ```
pub struct Cache<T> {
    name: &'static str,
    version: u8,
    places: u32,
    largest: usize,
    ttl: Duration,
    value: PhantomData<fn() -> T>,
}

impl<T> Cache<T> {
    /// A cache of 1024 places for entries of at most 16 KiB, each kept for a minute.
    ///
    /// ```
    /// # use proxy_wasm_kit::Cache;
    /// const VERDICTS: Cache<bool> = Cache::new("verdicts");
    /// ```
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            version: 1,
            places: 1024,
            largest: 16 * 1024,
            ttl: Duration::from_secs(60),
            value: PhantomData,
        }
    }

    /// The number of places, at least one.
    ///
    /// ```
    /// # use proxy_wasm_kit::Cache;
    /// const VERDICTS: Cache<bool> = Cache::new("verdicts").places(65_536);
    /// ```
    #[must_use]
    pub const fn places(mut self, places: u32) -> Self {
        self.places = if places == 0 { 1 } else { places };
        self
    }

    /// The most bytes that an entry may have, its key included. Larger ones are not kept.
    ///
    /// ```
    /// # use proxy_wasm_kit::Cache;
    /// const VERDICTS: Cache<bool> = Cache::new("verdicts").largest(4096);
    /// ```
    #[must_use]
    pub const fn largest(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }

    /// How long an entry is kept, by the proxy's clock.
    ///
    /// ```
    /// # use proxy_wasm_kit::Cache;
    /// # use std::time::Duration;
    /// const VERDICTS: Cache<bool> = Cache::new("verdicts").ttl(Duration::from_secs(5));
    /// ```
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// The version of the type. Entries of another version are not seen.
    ///
    /// ```
    /// # use proxy_wasm_kit::Cache;
    /// const VERDICTS: Cache<bool> = Cache::new("verdicts").version(2);
    /// ```
    #[must_use]
    pub const fn version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }
}

impl<T: Stored> Cache<T> {
    /// The value that is kept for `key`. Two host calls for a hit, one for most misses.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn known(verdicts: &Cache<bool>, token: &[u8]) -> Result<bool, HostError> {
    ///     Ok(verdicts.get(token)?.unwrap_or(false))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_shared_data` or the clock failed, or what is there does not fit `T`.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<T>, HostError> {
        let Some((wire, _)) = abi::shared::data(&self.place_of(key.as_ref()))? else { return Ok(None) };
        match self.read(&wire, key.as_ref()) {
            Some((expires, value)) if abi::current_time_nanoseconds()? < expires => {
                T::from_stored(value).map(Some).ok_or(HostError::unreadable(GET))
            }
            _ => Ok(None),
        }
    }

    /// Keeps a value for `key`, for the cache's time; says whether it did, since what is too large is not kept.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn learn(verdicts: &Cache<bool>, token: &[u8], verdict: bool) -> Result<(), HostError> {
    ///     verdicts.insert(token, &verdict).map(|_| ())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_set_shared_data` or the clock failed, or the value cannot be written as JSON.
    pub fn insert(&self, key: impl AsRef<[u8]>, value: &T) -> Result<bool, HostError> {
        let key = key.as_ref();
        let value = value.to_stored().ok_or(HostError::unreadable(SET))?;
        let (Ok(size), true) =
            (u32::try_from(key.len()), key.len().saturating_add(value.len()) <= self.largest)
        else {
            return Ok(false);
        };
        let ttl = u64::try_from(self.ttl.as_nanos()).unwrap_or(u64::MAX);
        let expires = abi::current_time_nanoseconds()?.saturating_add(ttl);
        let wire = [&[self.version], &expires.to_le_bytes()[..], &size.to_le_bytes(), key, &value].concat();
        abi::shared::set_data(&self.place_of(key), &wire, 0)?;
        Ok(true)
    }

    /// Forgets what is kept for `key`; says whether there was something.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn log_out(sessions: &Cache<String>, token: &[u8]) -> Result<bool, HostError> {
    ///     sessions.remove(token)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_shared_data` or `proxy_set_shared_data` failed.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Result<bool, HostError> {
        let place = self.place_of(key.as_ref());
        let found = abi::shared::data(&place)?.filter(|(wire, _)| self.read(wire, key.as_ref()).is_some());
        let Some((_, version)) = found else { return Ok(false) };
        // When another write came in between, what it replaced is gone as well.
        stands(abi::shared::set_data(&place, &[], version))
    }

    /// When the entry of this key is over, and its value.
    fn read<'a>(&self, wire: &'a [u8], key: &[u8]) -> Option<(u64, &'a [u8])> {
        let (version, rest) = wire.split_first()?;
        let (expires, rest) = rest.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (found, value) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
        (*version == self.version && found == key).then_some((u64::from_le_bytes(*expires), value))
    }

    fn place_of(&self, key: &[u8]) -> String {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let place = hasher.finish().checked_rem(self.places.into()).unwrap_or(0);
        format!("{}#{place}", self.name)
    }
}

impl<T> Clone for Cache<T> {
    fn clone(&self) -> Self {
        Self { value: PhantomData, ..*self }
    }
}

impl<T> fmt::Debug for Cache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cache({:?}, {} places of {} bytes, {:?})", self.name, self.places, self.largest, self.ttl)
    }
}
