//! Values that all workers share: typed, changed by compare-and-set, never read half old and half new.
//!
//! The proxy keeps them by VM id (`vm_config.vm_id`) and key, in one table for the whole process. There is no deletion in
//! the ABI: a key that was once written stays, so keys must come from a bounded set. [`Cache`](crate::Cache) bounds them
//! where they come from requests.

mod cache;

pub use cache::Cache;

use crate::abi::shared as abi;
use crate::bytes::Bytes;
use crate::error::HostError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Rounds of compare-and-set. In each one some worker succeeds, so this is more than workers get in each other's way.
const ROUNDS: usize = 32;

/// The version that no value has: with it a write succeeds only where there is no value yet.
const ONLY_IF_ABSENT: u32 = u32::MAX;

const CAS_MISMATCH: u32 = 8;
const GET: &str = "proxy_get_shared_data";
const SET: &str = "proxy_set_shared_data";

/// What can be kept in shared data: everything that serde writes and reads (kept as JSON), and [`Bytes`] as they are.
///
/// ```
/// use proxy_wasm_kit::{Bytes, Shared};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Quota {
///     left: u64,
/// }
///
/// const QUOTA: Shared<Quota> = Shared::new("quota");
/// const KEYS: Shared<Bytes> = Shared::new("keys");
/// ```
pub trait Stored: Sized {
    /// The value as bytes; `None` when it has no such form.
    fn to_stored(&self) -> Option<Vec<u8>>;

    /// The value that these bytes stand for.
    fn from_stored(bytes: &[u8]) -> Option<Self>;
}

impl<T: Serialize + DeserializeOwned> Stored for T {
    fn to_stored(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }

    fn from_stored(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

impl Stored for Bytes {
    fn to_stored(&self) -> Option<Vec<u8>> {
        Some(self.to_vec())
    }

    fn from_stored(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec().into())
    }
}

/// One value in shared data, by its key.
///
/// All workers see it, and all plugins whose VM has the same VM id. The type says how its bytes are read; when that type
/// changes, count [`version`](Self::version) up, since the old module and the new one run side by side for a while.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// const VISITS: Shared<u64> = Shared::new("visits");
///
/// struct Count;
///
/// impl HttpFilter for Count {
///     fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
///         let visits = VISITS.update(|old| old.unwrap_or(0).saturating_add(1))?;
///         request.headers().set("x-visit", visits.to_string())?;
///         Ok(Flow::Continue)
///     }
/// }
/// ```
pub struct Shared<T> {
    key: Cow<'static, str>,
    version: u8,
    value: PhantomData<fn() -> T>,
}

impl<T> Shared<T> {
    /// The value at `key`, in version 1.
    ///
    /// ```
    /// # use proxy_wasm_kit::Shared;
    /// const LAST_ERROR: Shared<String> = Shared::new("last_error");
    /// ```
    pub const fn new(key: &'static str) -> Self {
        Self { key: Cow::Borrowed(key), version: 1, value: PhantomData }
    }

    /// The value at a key that is made at run time. Take it from a bounded set: no key is ever given back.
    ///
    /// ```
    /// # use proxy_wasm_kit::Shared;
    /// fn state_of(cluster: &str) -> Shared<bool> {
    ///     Shared::at(format!("down:{cluster}"))
    /// }
    /// ```
    pub fn at(key: impl Into<String>) -> Self {
        Self { key: Cow::Owned(key.into()), version: 1, value: PhantomData }
    }

    /// The version of the type. A value of another version reads as absent, and is replaced by the next write.
    ///
    /// ```
    /// # use proxy_wasm_kit::Shared;
    /// const LIMITS: Shared<Vec<u64>> = Shared::new("limits").version(2);
    /// ```
    #[must_use]
    pub const fn version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }
}

impl<T: Stored> Shared<T> {
    /// The value; `None` when there is none, or it was removed, or is of another version.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn is_down(flag: &Shared<bool>) -> Result<bool, HostError> {
    ///     Ok(flag.get()?.unwrap_or(false))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_shared_data` failed, or what is there does not fit `T`.
    pub fn get(&self) -> Result<Option<T>, HostError> {
        self.read().map(|(value, _)| value)
    }

    /// Writes the value, whatever was there.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn publish(keys: &Shared<Bytes>, fetched: Bytes) -> Result<(), HostError> {
    ///     keys.set(&fetched)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_set_shared_data` failed, or the value cannot be written as JSON.
    pub fn set(&self, value: &T) -> Result<(), HostError> {
        abi::set_data(&self.key, &self.encode(value)?, 0)
    }

    /// Writes the value if there is none; says whether it did. Of several workers that try, one succeeds.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn first_to_start(started: &Shared<bool>) -> Result<bool, HostError> {
    ///     started.insert(&true)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`set`](Self::set).
    pub fn insert(&self, value: &T) -> Result<bool, HostError> {
        let wire = self.encode(value)?;
        if stands(abi::set_data(&self.key, &wire, ONLY_IF_ABSENT))? {
            return Ok(true);
        }
        // There is something. It may have been removed, or be of a version that counts as absent.
        for _ in 0..ROUNDS {
            let (found, version) = self.read()?;
            if found.is_some() {
                return Ok(false);
            }
            if stands(abi::set_data(&self.key, &wire, version))? {
                return Ok(true);
            }
        }
        Err(HostError::contended(SET))
    }

    /// Makes a new value from the one that is there, and returns it. When another worker was faster, `change` runs again on
    /// what that one wrote.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn remember(peers: &Shared<Vec<String>>, peer: &str) -> Result<Vec<String>, HostError> {
    ///     peers.update(|old| {
    ///         let mut peers = old.unwrap_or_default();
    ///         peers.push(peer.to_owned());
    ///         peers
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get) and [`set`](Self::set); [`HostError::is_contended`] when others were faster 32 times.
    pub fn update(&self, mut change: impl FnMut(Option<T>) -> T) -> Result<T, HostError> {
        let changed = self.update_if(|old| Some(change(old)))?;
        changed.ok_or(HostError::contended(SET))
    }

    /// As [`update`](Self::update), where `change` may also leave the value alone by returning `None`; so does this.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn take_one(tokens: &Shared<u64>) -> Result<bool, HostError> {
    ///     Ok(tokens.update_if(|left| left?.checked_sub(1))?.is_some())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`update`](Self::update).
    pub fn update_if(&self, mut change: impl FnMut(Option<T>) -> Option<T>) -> Result<Option<T>, HostError> {
        for _ in 0..ROUNDS {
            let (old, version) = self.read()?;
            let Some(new) = change(old) else { return Ok(None) };
            if stands(abi::set_data(&self.key, &self.encode(&new)?, version))? {
                return Ok(Some(new));
            }
        }
        Err(HostError::contended(SET))
    }

    /// Takes the value away; says whether there was one. The key itself stays in the proxy's table.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn forget(flag: &Shared<bool>) -> Result<bool, HostError> {
    ///     flag.remove()
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// `proxy_get_shared_data` or `proxy_set_shared_data` failed; [`HostError::is_contended`] as for
    /// [`update`](Self::update).
    pub fn remove(&self) -> Result<bool, HostError> {
        for _ in 0..ROUNDS {
            let Some((wire, version)) = abi::data(&self.key)?.filter(|(wire, _)| !wire.is_empty()) else {
                return Ok(false);
            };
            if stands(abi::set_data(&self.key, &[], version))? {
                return Ok(wire.first() == Some(&self.version));
            }
        }
        Err(HostError::contended(SET))
    }

    /// The value, and the version with which it can be replaced.
    fn read(&self) -> Result<(Option<T>, u32), HostError> {
        let Some((wire, version)) = abi::data(&self.key)? else { return Ok((None, ONLY_IF_ABSENT)) };
        let value = match wire.split_first() {
            Some((found, value)) if *found == self.version => {
                Some(T::from_stored(value).ok_or(HostError::unreadable(GET))?)
            }
            _ => None,
        };
        Ok((value, version))
    }

    /// The version, then the value: never empty, since that is what a removed value looks like.
    fn encode(&self, value: &T) -> Result<Vec<u8>, HostError> {
        let value = value.to_stored().ok_or(HostError::unreadable(SET))?;
        Ok([&[self.version], value.as_slice()].concat())
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), version: self.version, value: PhantomData }
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared({:?}, version {})", self.key, self.version)
    }
}

/// Whether a write stands: `false` when another one came in between.
fn stands(written: Result<(), HostError>) -> Result<bool, HostError> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.raw_status() == Some(CAS_MISMATCH) => Ok(false),
        Err(error) => Err(error),
    }
}
