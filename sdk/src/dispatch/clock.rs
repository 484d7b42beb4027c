//! A clock that never goes back, made of the proxy's wall clock, which can.

use crate::abi;
use crate::error::HostError;
use std::cell::Cell;

thread_local! {
    /// The latest time that was given, and what has to be added to the wall clock because that was set back.
    static CLOCK: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Nanoseconds from some start.
pub(crate) fn now() -> Result<u64, HostError> {
    abi::current_time_nanoseconds().map(|wall| after(wall, 0))
}

/// The same, known to be `least` or later.
pub(super) fn now_after(least: u64) -> Result<u64, HostError> {
    abi::current_time_nanoseconds().map(|wall| after(wall, least))
}

fn after(wall: u64, least: u64) -> u64 {
    let (latest, skew) = CLOCK.get();
    let least = least.max(latest);
    let skew = skew.max(least.saturating_sub(wall));
    let now = wall.saturating_add(skew);
    CLOCK.set((now, skew));
    now
}

#[cfg(test)]
mod tests {
    //! A wall clock that is set.

    use super::*;

    #[test]
    fn a_wall_clock_set_back_stands_still_and_goes_on() {
        CLOCK.set((0, 0));
        assert_eq!([100, 40, 50].map(|wall| after(wall, 0)), [100, 100, 110]);
        assert_eq!(after(60, 500), 500, "a timer that fires knows that its time has come");
        assert_eq!(after(61, 0), 501);
    }
}
