//! What each plugin does to a stream, kept for those who want to see it: the message as it passes from one plugin to the
//! next, and what each entry into a guest cost. Cases ask for none of this, and nothing is kept for them.

use super::chain::Place;
use super::guest::{Guest, Side};
use super::stream::Stream;
use super::vm::{Vm, named};
use crate::exchange::{Headers, LogLine};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Log lines and failures.
    Lines,
    /// Also messages between plugins, and costs.
    Everything,
}

/// What entries into a guest have brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// How long they took.
    pub time: Duration,
    /// What the guest executed.
    pub instructions: u64,
    /// The host functions that it called, by name.
    pub host_calls: BTreeMap<String, u32>,
    /// What it logged.
    pub lines: Vec<LogLine>,
    /// Clusters that it wanted to call and that there are not.
    pub unknown_clusters: Vec<String>,
}

/// What a plugin did for no stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// The plugin's name.
    pub plugin: String,
    /// What came of it.
    pub account: Account,
}

/// A message as it stood between two plugins.
#[derive(Clone, Debug, Default)]
pub struct Glimpse {
    /// Its headers.
    pub headers: Headers,
    /// Bytes of its body that came by.
    pub size: usize,
    /// Its trailers.
    pub trailers: Headers,
    content: Sha256,
}

impl Glimpse {
    /// Whether this is another body.
    pub fn differs(&self, other: &Self) -> bool {
        self.size != other.size || self.content.clone().finalize() != other.content.clone().finalize()
    }
}

/// What a plugin did for a stream.
#[derive(Clone, Debug, Default)]
pub struct Visit {
    /// The plugin's name.
    pub plugin: String,
    /// The request before and behind it.
    pub request: [Option<Glimpse>; 2],
    /// The response before and behind it.
    pub response: [Option<Glimpse>; 2],
    /// It answered the request itself, or its failure did.
    pub answered: bool,
    /// Why its VM has failed, if it has.
    pub failure: Option<String>,
    /// What its callbacks for the stream have brought.
    pub account: Account,
}

/// What was seen of a stream.
#[derive(Default)]
pub(super) struct Watch {
    everything: bool,
    /// By place: before the plugin in each seat, and behind the last one of the direction.
    request: Vec<Option<Glimpse>>,
    response: Vec<Option<Glimpse>>,
    accounts: Vec<Account>,
    answered: Option<usize>,
}

impl Watch {
    fn glimpse(&mut self, side: Side, place: Place) -> Option<&mut Glimpse> {
        let glimpses = match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        };
        let index = match place {
            Place::At(seat) => seat,
            Place::End => glimpses.len().checked_sub(1)?,
        };
        glimpses.get_mut(index).filter(|_| self.everything).map(|glimpse| glimpse.get_or_insert_default())
    }
}

/// Before an entry into a guest.
pub(super) struct Meter {
    begun: Option<Instant>,
    instructions: u64,
}

impl Stream {
    pub(super) fn see_headers(&mut self, side: Side, place: Place) {
        let Some(mut watch) = self.watch.take() else { return };
        if let Some(glimpse) = watch.glimpse(side, place) {
            glimpse.headers = self.half(side).headers.clone().unwrap_or_default();
        }
        self.watch = Some(watch);
    }

    pub(super) fn see_piece(&mut self, side: Side, place: Place) {
        let Some(mut watch) = self.watch.take() else { return };
        if let Some(glimpse) = watch.glimpse(side, place)
            && let Some(piece) = self.half(side).piece()
        {
            glimpse.size += piece.len();
            glimpse.content.update(piece);
        }
        self.watch = Some(watch);
    }

    pub(super) fn see_trailers(&mut self, side: Side, place: Place) {
        let Some(mut watch) = self.watch.take() else { return };
        if let Some(glimpse) = watch.glimpse(side, place) {
            glimpse.trailers = self.half(side).trailers.clone().unwrap_or_default();
        }
        self.watch = Some(watch);
    }

    /// The plugin that looks at the stream answers it.
    pub(super) fn see_answer(&mut self) {
        let seat = self.seat_number();
        if let Some(watch) = &mut self.watch {
            watch.answered.get_or_insert(seat);
        }
    }
}

impl Vm {
    /// What is kept of a new stream with so many plugins.
    pub(super) fn watch_of(&self, seats: usize) -> Option<Box<Watch>> {
        let everything = self.watched? == Detail::Everything;
        let glimpses = || vec![None; if everything { seats + 1 } else { 0 }];
        let accounts = vec![Account::default(); seats];
        Some(Box::new(Watch {
            everything,
            request: glimpses(),
            response: glimpses(),
            accounts,
            answered: None,
        }))
    }

    pub(super) fn meter<G: Guest>(&self, guest: Option<&G>) -> Option<Meter> {
        let everything = self.watched? == Detail::Everything;
        let instructions = guest.and_then(Guest::instructions).unwrap_or_default();
        Some(Meter { begun: everything.then(Instant::now), instructions })
    }

    /// Puts what an entry has brought on the account of the stream that it was made for.
    pub(super) fn charge<G: Guest>(&mut self, context: u32, meter: Meter, guest: Option<&G>) {
        let lines = std::mem::take(&mut self.lines);
        if meter.begun.is_none() && lines.is_empty() {
            return;
        }
        let host_calls = std::mem::take(&mut self.host_calls);
        let place = self.place(context).or(self.behalf);
        let Some(account) = self.account(context, place) else { return };
        account.lines.extend(lines);
        if let Some(begun) = meter.begun {
            account.time += begun.elapsed();
            let executed = guest.and_then(Guest::instructions).unwrap_or_default();
            account.instructions += executed.saturating_sub(meter.instructions);
            let calls = named(&host_calls);
            calls.into_iter().for_each(|(name, count)| *account.host_calls.entry(name).or_default() += count);
        }
    }

    /// The plugin that asks wants to call a cluster that there is not.
    pub(super) fn note_unknown(&mut self, cluster: &str) {
        let context = self.context();
        let place = self.place(context).or(self.behalf);
        if self.watched.is_some()
            && let Some(account) = self.account(context, place)
        {
            account.unknown_clusters.push(cluster.to_owned());
        }
    }

    /// The account of a plugin in a stream; one of its own, if there is no such stream any more.
    fn account(&mut self, context: u32, place: Option<(u32, usize)>) -> Option<&mut Account> {
        let alive = |vm: &Self, (id, seat): (u32, usize)| {
            let watch = vm.streams.get(&id).and_then(|stream| stream.watch.as_ref());
            watch.is_some_and(|watch| seat < watch.accounts.len())
        };
        if let Some((id, seat)) = place.filter(|place| alive(self, *place)) {
            return self.streams.get_mut(&id)?.watch.as_mut()?.accounts.get_mut(seat);
        }
        let plugin = self.plugin_of(context).setup.name.clone();
        self.aside.push(Aside { plugin, account: Account::default() });
        self.aside.last_mut().map(|aside| &mut aside.account)
    }

    /// What each plugin did for a stream.
    pub(super) fn visits(&self, stream: &mut Stream) -> Vec<Visit> {
        let Some(watch) = stream.watch.take() else { return Vec::new() };
        let silent = |account: &Account| *account == Account::default();
        let failed = || stream.seats.iter().any(|seat| self.failure_of_plugin(seat.plugin).is_some());
        if !watch.everything && watch.accounts.iter().all(silent) && !failed() {
            return Vec::new();
        }
        let Watch { request, response, accounts, answered, .. } = *watch;
        let last = request.len().saturating_sub(1);
        let at = |glimpses: &[Option<Glimpse>], index: usize| glimpses.get(index).cloned().flatten();
        let visit = |(seat, account): (usize, Account)| {
            let plugin = stream.seats.get(seat).map_or(0, |seat| seat.plugin);
            Visit {
                plugin: self.plugins[plugin].setup.name.clone(),
                request: [at(&request, seat), at(&request, seat + 1)],
                response: [at(&response, seat), at(&response, seat.checked_sub(1).unwrap_or(last))],
                answered: answered == Some(seat),
                failure: self.failure_of_plugin(plugin).map(str::to_owned),
                account,
            }
        };
        accounts.into_iter().enumerate().map(visit).collect()
    }
}
