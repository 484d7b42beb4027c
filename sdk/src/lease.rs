//! Work that one worker does for all.

use crate::error::HostError;
use crate::shared::Shared;
use crate::time::now;
use std::cell::Cell;
use std::time::{Duration, SystemTime};

/// A right that one worker of the process has at a time, for so long.
///
/// Every worker configures the plugin, and Envoy's main thread does twice more; what `every` does is done by each. With a
/// lease one of them does it, and another takes over when that one has not renewed it in time. It lies in shared data, so the
/// plugin needs a `vm_id` of its own, and the work must be harmless when it is done twice: a worker that hangs for longer
/// than the lease finds that another has begun.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// use std::time::Duration;
///
/// fn fetch_once(root: &Root, login: Cluster, keys: Shared<String>) {
///     let lease = Lease::new("jwks", Duration::from_secs(90));
///     root.every(Duration::from_secs(60), async move || {
///         if lease.acquire()? {
///             let answer = login.get("/jwks").send().await?;
///             keys.set(&answer.body().as_str().unwrap_or_default().to_owned())?;
///         }
///         Ok(())
///     });
/// }
/// ```
#[derive(Debug)]
pub struct Lease {
    /// Until when (nanoseconds of the wall clock), and whose.
    held: Shared<(u64, u64)>,
    names: Shared<u64>,
    time: Duration,
    me: Cell<Option<u64>>,
}

impl Lease {
    /// The right to what `name` stands for, for `time` from each [`acquire`](Self::acquire).
    ///
    /// ```
    /// # use proxy_wasm_kit::Lease;
    /// let lease = Lease::new("report", std::time::Duration::from_secs(30));
    /// ```
    pub fn new(name: &str, time: Duration) -> Self {
        let held = Shared::at(format!("pwkit.lease.{name}"));
        Self { held, names: Shared::new("pwkit.lease"), time, me: Cell::new(None) }
    }

    /// Takes the lease if it is free or has run out, and renews it if this worker has it; whether this worker has it now.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn is_mine(lease: &Lease) -> Result<bool, HostError> {
    ///     lease.acquire()
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Shared data or the clock failed.
    pub fn acquire(&self) -> Result<bool, HostError> {
        let (me, now) = (self.name()?, since_epoch(now()?));
        let until = now.saturating_add(u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX));
        let taken = self.held.update_if(|held| match held {
            // One that ends later than any could was taken before the clock was set back.
            Some((end, other)) if other != me && end > now && end <= until => None,
            _ => Some((until, me)),
        });
        match taken {
            Ok(taken) => Ok(taken.is_some()),
            // Others were quicker each time: one of them has it.
            Err(error) if error.is_contended() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives the lease back, if this worker has it.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// fn done(lease: &Lease) -> Result<(), HostError> {
    ///     lease.release()
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Shared data failed.
    pub fn release(&self) -> Result<(), HostError> {
        let me = self.name()?;
        let given = |held: Option<(u64, u64)>| held.filter(|(_, holder)| *holder == me).map(|_| (0, 0));
        self.held.update_if(given).map(|_| ())
    }

    /// A number that no other worker of the process has.
    fn name(&self) -> Result<u64, HostError> {
        if let Some(me) = self.me.get() {
            return Ok(me);
        }
        let me = self.names.update(|last| last.unwrap_or(0).saturating_add(1))?;
        self.me.set(Some(me));
        Ok(me)
    }
}

fn since_epoch(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
