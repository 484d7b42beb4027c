//! What will happen, in the order in which it is due. Time passes only when something is taken from here.

use crate::outside::{Answer, Part};
use std::collections::BTreeMap;
use std::time::Duration;

/// Something that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A part of the answer to a callout.
    Arrive(u32, Part),
    /// A callout has taken too long.
    Expire(u32),
    /// The timer of a root context.
    Tick(u32),
    /// A queue has a new entry: the root context that receives it, and the queue.
    QueueReady(u32, u32),
    /// The upstream answers a stream.
    Answer(u32, Box<Answer>),
}

/// Events by time; of those that are due at once, the one that was entered first comes first.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    passed: Duration,
    entries: BTreeMap<(Duration, u64), Event>,
    entered: u64,
}

impl Agenda {
    /// Time since the VM was made.
    pub(super) fn passed(&self) -> Duration {
        self.passed
    }

    pub(super) fn enter(&mut self, after: Duration, event: Event) {
        self.entered += 1;
        self.entries.insert((self.passed.saturating_add(after), self.entered), event);
    }

    /// When the next event is due.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.entries.keys().next().map(|(due, _)| *due)
    }

    /// The next event that is due by `limit`; it is that late then.
    pub(super) fn take(&mut self, limit: Duration) -> Option<Event> {
        let entry = self.entries.first_entry().filter(|entry| entry.key().0 <= limit)?;
        self.passed = self.passed.max(entry.key().0);
        Some(entry.remove())
    }

    /// Lets time pass in which nothing happens.
    pub(super) fn pass(&mut self, until: Duration) {
        self.passed = self.passed.max(until);
    }

    /// Strikes out what does not happen any more.
    pub(super) fn strike(&mut self, which: impl Fn(&Event) -> bool) {
        self.entries.retain(|_, event| !which(event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_the_order_in_which_they_are_due_and_time_never_goes_back() {
        let mut agenda = Agenda::default();
        let ms = Duration::from_millis;
        agenda.enter(ms(5), Event::Expire(1));
        agenda.enter(ms(2), Event::Tick(1));
        agenda.enter(ms(2), Event::Expire(2));
        assert_eq!(agenda.next_due(), Some(ms(2)));
        assert_eq!(agenda.take(ms(1)), None);
        assert_eq!((agenda.take(ms(9)), agenda.take(ms(9))), (Some(Event::Tick(1)), Some(Event::Expire(2))));
        agenda.pass(ms(7));
        assert_eq!((agenda.take(ms(9)), agenda.passed()), (Some(Event::Expire(1)), ms(7)));
        agenda.enter(ms(0), Event::Tick(1));
        agenda.strike(|event| *event == Event::Tick(1));
        assert_eq!(agenda.next_due(), None);
    }
}
