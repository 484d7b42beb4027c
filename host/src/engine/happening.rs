//! What happens between two callbacks of a stream: answers arrive, timers run out, the upstream answers.
//!
//! The engine never waits. It takes what is due next from the agenda, and the clock stands at that time. An exchange is over
//! when its stream is, or when nothing is left that could move it: then its client goes away.

use super::agenda::Event;
use super::guest::{Guest, Side};
use super::worker::Worker;
use crate::exchange::{Exchange, Message};
use crate::outside::{Answer, Fault};
use std::time::Duration;

/// So long a client waits for the end of its response. Longer than any timeout of a test, and not so long that a timer
/// of a millisecond would make a test slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than this happens at one point of time only when a plugin answers every answer by a further call.
const MOST_AT_ONCE: usize = 10_000;

/// A request, and what is around it.
#[derive(Clone, Debug)]
pub struct Errand {
    /// What the client sends.
    pub request: Message,
    /// What the upstream answers if the whole request reaches it.
    pub upstream: Answer,
    /// How long the client waits for the whole response.
    pub patience: Option<Duration>,
}

/// A request that is under way.
struct UnderWay {
    id: u32,
    /// When its client goes away.
    limit: Duration,
    /// The upstream's answer, until it is due.
    upstream: Option<Answer>,
}

/// The client that will be the first to go away.
fn impatient(under_way: &[UnderWay]) -> Option<usize> {
    (0..under_way.len()).min_by_key(|index| under_way[*index].limit)
}

impl<G: Guest> Worker<G> {
    /// Runs one request to its end. The upstream answers `upstream` if the whole request reaches it; a client whose
    /// request is held back for ever goes away.
    pub fn exchange(&mut self, request: Message, upstream: &Message) -> Exchange {
        self.run(Errand { request, upstream: upstream.clone().into(), patience: None })
    }

    /// The same, with all that can go wrong around it.
    pub fn run(&mut self, errand: Errand) -> Exchange {
        self.run_all(vec![errand]).pop().unwrap_or_default()
    }

    /// Several requests, which are under way at the same time. Each exchange holds the log and the calls of all.
    pub fn run_all(&mut self, errands: Vec<Errand>) -> Vec<Exchange> {
        let first_line = self.prepare();
        let mut under_way: Vec<UnderWay> = errands.into_iter().map(|errand| self.send_off(errand)).collect();
        let ids: Vec<u32> = under_way.iter().map(|one| one.id).collect();
        while let Some(impatient) = impatient(&under_way) {
            under_way.iter_mut().for_each(|one| self.ask_upstream(one));
            let over = |one: &UnderWay| self.with(one.id, |stream| stream.over()) == Some(true);
            let ended = under_way.iter().position(over);
            // Where nothing happens any more, the client goes away.
            if ended.is_some() || !self.happen(under_way[impatient].limit) {
                let one = under_way.remove(ended.unwrap_or(impatient));
                self.close(one.id);
            }
        }
        self.settle();
        ids.into_iter().map(|id| self.report(id, first_line)).collect()
    }

    fn send_off(&mut self, errand: Errand) -> UnderWay {
        let id = self.open();
        let limit = self.passed().saturating_add(errand.patience.unwrap_or(PATIENCE));
        self.with(id, |stream| stream.no_host = errand.upstream.fault == Some(Fault::NoHost));
        self.send(id, Side::Request, errand.request);
        UnderWay { id, limit, upstream: Some(errand.upstream) }
    }

    fn ask_upstream(&mut self, one: &mut UnderWay) {
        if let Some(answer) = one.upstream.take_if(|answer| self.upstream_is_due(one.id, answer)) {
            let mut vm = self.vm.borrow_mut();
            vm.agenda.enter(answer.delay, Event::Answer(one.id, Box::new(answer)));
        }
    }

    /// Lets time pass, with all that happens meanwhile.
    pub fn pass(&mut self, time: Duration) {
        let until = self.passed().saturating_add(time);
        while self.happen(until) {}
        self.vm.borrow_mut().agenda.pass(until);
    }

    /// [`Worker::pass`] for who has no time to wait for plugins that always find something more to do at once.
    pub fn catch_up(&mut self, time: Duration) {
        let until = self.passed().saturating_add(time);
        let _ = (0..MOST_AT_ONCE).take_while(|_| self.happen(until)).count();
        self.vm.borrow_mut().agenda.pass(until);
    }

    /// When something happens by itself, counted from now; none if nothing will.
    pub fn next_due(&self) -> Option<Duration> {
        let vm = self.vm.borrow();
        vm.agenda.next_due().map(|due| due.saturating_sub(vm.agenda.passed()))
    }

    fn passed(&self) -> Duration {
        self.vm.borrow().agenda.passed()
    }

    /// What is due without any delay still happens.
    pub(super) fn settle(&mut self) {
        let now = self.passed();
        let _ = (0..MOST_AT_ONCE).take_while(|_| self.happen(now)).count();
    }

    /// The next thing happens; false when nothing is due by `limit`.
    fn happen(&mut self, limit: Duration) -> bool {
        let event = self.vm.borrow_mut().agenda.take(limit);
        match event {
            Some(Event::Arrive(id, part)) => self.arrive(id, part),
            Some(Event::Expire(id)) => self.expire(id),
            Some(Event::Tick(root)) => self.tick(root),
            Some(Event::QueueReady(root, queue)) => self.queue_ready(root, queue),
            Some(Event::Answer(id, answer)) => self.answer(id, &answer),
            None => return false,
        }
        true
    }
}
