//! The time as the plugin and the `date` header tell it.

use super::vm::Vm;
use crate::exchange::Clock;
use std::time::{SystemTime, UNIX_EPOCH};

impl Vm {
    /// `proxy_get_current_time_nanoseconds`.
    pub fn now(&self) -> u64 {
        let start = match self.setup.clock {
            Clock::Fixed(start) => start,
            Clock::Real => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
            }
        };
        start.saturating_add(self.passed_nanoseconds())
    }

    /// From now on it is this time, in nanoseconds since 1970. What is due stays due when it was.
    pub fn set_clock(&mut self, now: u64) {
        self.setup.clock = Clock::Fixed(now.saturating_sub(self.passed_nanoseconds()));
    }

    fn passed_nanoseconds(&self) -> u64 {
        u64::try_from(self.agenda.passed().as_nanos()).unwrap_or(u64::MAX)
    }
}

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A point in time as HTTP writes it (RFC 9110).
pub(super) fn http_date(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (weekday, month) = (DAYS[(days % 7) as usize], MONTHS[month as usize]);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Year, month from 0 and day of the month, for days since 1970. Counts from a March, so that leap days come last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12;
    (era * 400 + year_of_era + u64::from(month < 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::http_date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases = [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_767_225_599, "Wed, 31 Dec 2025 23:59:59 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        ];
        cases.iter().for_each(|(seconds, date)| assert_eq!(http_date(seconds * 1_000_000_000), *date));
    }
}
