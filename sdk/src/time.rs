//! The proxy's clock.

use crate::abi;
use crate::error::HostError;
use std::time::{Duration, SystemTime};

/// The wall clock of the proxy. It need not move while a hook runs, and it can jump.
///
/// ```
/// # use proxy_wasm_kit::prelude::*;
/// fn expired(deadline: std::time::SystemTime) -> Result<bool> {
///     Ok(proxy_wasm_kit::now()? > deadline)
/// }
/// ```
///
/// # Errors
///
/// `proxy_get_current_time_nanoseconds` failed.
pub fn now() -> Result<SystemTime, HostError> {
    abi::current_time_nanoseconds().map(after_epoch)
}

/// The time so many nanoseconds after the start of 1970 (UTC).
pub(crate) fn after_epoch(nanoseconds: u64) -> SystemTime {
    let since = Duration::from_nanos(nanoseconds);
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}
