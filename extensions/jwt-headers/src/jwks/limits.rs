//! When a server is asked for its keys, and how long they are used: times in, times out, without a clock.

use crate::config::{RemoteJwks, Span};
use serde::{Deserialize, Serialize};

/// What all workers know of a server: times in milliseconds since 1970, 0 for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Of the last fetch that was good.
    pub(super) fetched: u64,
    /// Of the last that has ended.
    pub(super) tried: u64,
    /// How many have failed since the last that was good.
    pub(super) failures: u32,
}

impl Record {
    /// The same before a fetch that failed now.
    pub(super) fn failed(self, now: u64) -> Self {
        Self { fetched: self.fetched.min(now), tried: now, failures: self.failures.saturating_add(1) }
    }
}

/// All times in milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) timeout: u64,
    pub(super) retries: u32,
    /// Between the attempts of one fetch: the first, and the longest.
    pub(super) pauses: [u64; 2],
    fresh: u64,
    stale: u64,
    refetch: u64,
    after_failure: u64,
}

impl Limits {
    pub(super) fn of(from: &RemoteJwks) -> Self {
        let time = |span: &Option<Span>, usual: u64| {
            span.map_or(usual, |span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX))
        };
        let back_off = &from.retry_policy.retry_back_off;
        let pause = time(&back_off.base_interval, 1000);
        Self {
            timeout: time(&from.http_uri.timeout, 5000),
            retries: from.retry_policy.num_retries.unwrap_or(0).min(10),
            pauses: [pause, time(&back_off.max_interval, pause.saturating_mul(10))],
            fresh: time(&from.cache_duration, 600_000),
            stale: time(&from.max_stale, 3_600_000),
            refetch: time(&from.refetch_interval, 10_000),
            after_failure: time(&from.async_fetch.failed_refetch_duration, 1000),
        }
    }

    pub(super) fn is_due(self, record: Record, is_wanted: bool, now: u64) -> bool {
        now >= self.due(record, is_wanted)
    }

    /// When it is time to fetch: a fifth before keys are old, some time after a failure, or because of a request.
    pub(super) fn due(self, record: Record, is_wanted: bool) -> u64 {
        if record.failures > 0 {
            return record.tried.saturating_add(self.after(record.failures));
        }
        if record.fetched == 0 {
            return 0;
        }
        let ahead = self.fresh.checked_div(5).unwrap_or(0);
        let usual = record.fetched.saturating_add(self.fresh.saturating_sub(ahead));
        if is_wanted { usual.min(record.tried.saturating_add(self.refetch)) } else { usual }
    }

    /// The pause after so many failures: twice as long each time, up to the interval of what requests may ask for.
    fn after(self, failures: u32) -> u64 {
        let doublings = failures.saturating_sub(1).min(20);
        let pause = self.after_failure.saturating_mul(1_u64.checked_shl(doublings).unwrap_or(1));
        pause.min(self.refetch.max(self.after_failure))
    }

    /// When keys were fetched that are just old now.
    pub(super) fn old_since(self, now: u64) -> u64 {
        now.saturating_sub(self.fresh).max(1)
    }

    /// The same without dates in the future: keys were fetched so long ago that they are no longer new.
    pub(super) fn redated(self, record: Record, now: u64) -> Record {
        let fetched = if record.fetched > now { self.old_since(now) } else { record.fetched };
        Record { fetched, tried: if record.failures > 0 { record.tried.min(now) } else { fetched }, ..record }
    }

    /// Until when keys are used.
    pub(super) fn end(self, record: Record) -> u64 {
        record.fetched.saturating_add(self.fresh).saturating_add(self.stale)
    }

    pub(super) fn is_too_old(self, record: Record, now: u64) -> bool {
        record.fetched > 0 && now > self.end(record)
    }
}

#[cfg(test)]
mod tests {
    //! Pauses after failures, and records from the future.

    use super::*;

    const NOW: u64 = 1_000_000_000;

    #[test]
    fn pauses_after_failures_grow_up_to_the_interval_of_requests() {
        let limits = Limits::of(&RemoteJwks::default());
        let pause =
            |failures| limits.due(Record { fetched: NOW, tried: NOW, failures }, true).saturating_sub(NOW);
        assert_eq!([1, 2, 3, 4, 5, 6, u32::MAX].map(pause), [1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
        let slow = Limits { after_failure: 60_000, ..limits };
        assert_eq!([1, 2, 9].map(|failures| slow.after(failures)), [60_000; 3]);
    }

    #[test]
    fn nothing_is_dated_in_the_future() {
        let limits = Limits::of(&RemoteJwks::default());
        let ahead = Record { fetched: NOW + 1, tried: NOW + 2, failures: 0 };
        let redated = limits.redated(ahead, NOW);
        assert!(redated.fetched < NOW && limits.is_due(redated, false, NOW));
        assert!(!limits.is_too_old(redated, NOW + limits.stale));
        assert!(limits.is_too_old(redated, NOW + limits.stale + 1));
        let failed = limits.redated(Record { failures: 1, ..ahead }, NOW);
        assert_eq!((failed.tried, failed.failures), (NOW, 1));
        assert_eq!(ahead.failed(NOW), Record { fetched: NOW, tried: NOW, failures: 1 });
    }
}
