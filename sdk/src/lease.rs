//! Work that one worker does for all.

use crate::error::HostError;
use crate::shared::Shared;
use crate::time::now;
use crate::wait::{First, select, sleep};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;
use std::time::{Duration, SystemTime};

/// How often a lease is renewed while it lasts: a worker that is busy for most of it keeps it.
const RENEWALS: u32 = 4;

/// A right that one worker of the process has at a time, for so long.
///
/// Every worker configures the plugin, and Envoy's main thread does twice more; what `every` does is done by each. With a
/// lease one of them does it, and another takes over when that one has not renewed it in time. It lies in shared data, so the
/// plugin needs a `vm_id` of its own, and the work must be harmless when it is done twice: a worker that hangs for longer
/// than the lease finds that another has begun.
///
/// There are two ways to use it. [`acquire`](Self::acquire) alone makes one worker the one that does something again and
/// again, as long as it comes back in time:
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
///
/// [`during`](Self::during) lets one worker at a time do something that may take long, and the next one begin as soon as it
/// is over, for whatever reason.
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
        let time = u64::try_from(self.time.as_nanos()).unwrap_or(u64::MAX);
        let until = now.saturating_add(time);
        // Others may have taken it since this worker looked at the clock. One that ends much later than that was taken before
        // the clock was set back.
        let latest = until.saturating_add(time);
        let taken = self.held.update_if(|held| match held {
            Some((end, other)) if other != me && end > now && end <= latest => None,
            _ => Some((until, me)),
        });
        match taken {
            Ok(taken) => Ok(taken.is_some()),
            // Others were quicker each time: one of them has it.
            Err(error) if error.is_contended() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Does work while this worker has the lease, renews it as long as the work takes, and gives it back when the work is
    /// over. `None`, without work, if another worker has it.
    ///
    /// The lease can be much shorter than the work: it is how long others wait if this worker's VM fails. If the work is
    /// dropped, because its stream ends or the plugin gets a new configuration, they do not wait at all.
    ///
    /// ```
    /// # use proxy_wasm_kit::prelude::*;
    /// use std::time::Duration;
    ///
    /// async fn report(server: &Cluster) -> Result<bool> {
    ///     let lease = Lease::new("report", Duration::from_secs(3));
    ///     let answer = lease.during(server.post("/report").timeout_ms(60_000).send()).await?;
    ///     Ok(answer.transpose()?.is_some())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Shared data or the clock failed before the work began.
    pub async fn during<W: Future>(&self, work: W) -> Result<Option<W::Output>, HostError> {
        if !self.acquire()? {
            return Ok(None);
        }
        let _held = Held(self);
        match select(work, self.renew()).await {
            First::Left(output) => Ok(Some(output)),
            First::Right(never) => match never {},
        }
    }

    /// As long as that is possible: when it is not, the lease runs out, and the work goes on.
    async fn renew(&self) -> Infallible {
        let period = self.time.checked_div(RENEWALS).unwrap_or_default();
        while sleep(period).await.is_ok() && self.acquire().unwrap_or(false) {}
        pending().await
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

/// A lease that is given back whatever becomes of the work.
struct Held<'a>(&'a Lease);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Who cannot give it back lets it run out.
        let _ = self.0.release();
    }
}

fn since_epoch(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
