//! A stream in pieces, for a proxy that carries the bytes itself.
//!
//! Whoever drives it tells what arrives ([`Worker::admit`], [`Worker::piece_arrives`], [`Worker::answer_begins`], ...) and
//! takes what has left the plugins by then ([`Worker::take_passed`]). Many streams may be under way at once, and a step of
//! one can move others: [`Worker::take_moved`] names them.

use super::guest::{Guest, Side};
use super::watch::{Aside, Detail, Visit};
use super::worker::Worker;
use crate::exchange::{Headers, LogLine, Protocol};
use std::net::SocketAddr;

/// The client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number, unique in the proxy.
    pub number: u64,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// The client's end.
    pub client: SocketAddr,
    /// The proxy's end.
    pub listener: SocketAddr,
}

/// What has left the plugins of a stream on one side since it was last taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// The headers, once.
    pub headers: Option<Headers>,
    /// Pieces of the body.
    pub body: Vec<Vec<u8>>,
    /// The trailers, once.
    pub trailers: Option<Headers>,
    /// Nothing follows.
    pub end: bool,
}

/// Why there is no answer of the upstream, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// It could not be connected to.
    Refused,
    /// It broke off.
    Broken,
    /// It took too long.
    Late,
}

/// What came of a stream.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The status that the client got; none if its answer had not begun.
    pub status: Option<u16>,
    /// The response code details.
    pub details: String,
    /// The proxy broke off the stream.
    pub reset: bool,
    /// What plugins did that the ABI forbids and a proxy does not report.
    pub misuse: Vec<String>,
    /// What each plugin did, if it was watched, in the order in which a request passes them.
    pub visits: Vec<Visit>,
}

impl<G: Guest> Worker<G> {
    /// Keeps from now on, for each stream and plugin, what [`Outcome`] and [`Worker::take_aside`] tell; [`Detail`] says how
    /// much. Without it log lines and counts of host calls are kept for exchanges.
    pub fn watch(&mut self, detail: Detail) {
        self.vm.borrow_mut().watched = Some(detail);
    }

    /// A request arrives on a connection of this worker. It passes the plugins that `serving` picks by their places in the
    /// chain. Returns the number of its stream.
    pub fn admit(
        &mut self,
        worker: usize,
        request: Headers,
        end_of_stream: bool,
        link: Link,
        serving: impl Fn(usize) -> bool,
    ) -> u32 {
        self.turn_to(worker);
        let id = self.open_through(serving);
        self.with(id, |stream| stream.link = Some(link));
        self.headers_arrive(id, Side::Request, request, end_of_stream);
        id
    }

    /// The upstream's answer begins; what nobody waits for is dropped.
    pub fn answer_begins(&mut self, id: u32, response: Headers, end_of_stream: bool) {
        let wanted = self.with(id, |stream| {
            let wanted = !stream.over() && stream.response.headers.is_none();
            if wanted {
                stream.details = Some("via_upstream".into());
                stream.answered = true;
            }
            wanted
        });
        if wanted == Some(true) {
            self.headers_arrive(id, Side::Response, response, end_of_stream);
        }
    }

    /// Takes what has left the plugins on this side: on its way to the upstream, or to the client.
    pub fn take_passed(&mut self, id: u32, side: Side) -> Passed {
        let taken = self.with(id, |stream| {
            let end = match side {
                Side::Request => stream.upstream_complete,
                Side::Response => stream.ended,
            };
            let first = !stream.half(side).taken;
            let message = stream.destination(side)?;
            let passed = Passed {
                headers: first.then(|| std::mem::take(&mut message.headers)),
                body: std::mem::take(&mut message.body),
                trailers: Some(std::mem::take(&mut message.trailers)).filter(|fields| !fields.0.is_empty()),
                end,
            };
            stream.half(side).taken = true;
            Some(passed)
        });
        taken.flatten().unwrap_or_default()
    }

    /// Nothing more happens on the stream: the client has its answer, or the stream was reset.
    pub fn is_over(&self, id: u32) -> bool {
        self.with(id, |stream| stream.over()) != Some(false)
    }

    /// Whether the proxy has broken off the stream.
    pub fn is_reset(&self, id: u32) -> bool {
        self.with(id, |stream| stream.reset) != Some(false)
    }

    /// Whether plugins hold back so much on this side that its sender has to wait.
    pub fn is_full(&self, id: u32, side: Side) -> bool {
        let limit = self.vm.borrow().setup.buffer_limit;
        let held = self.with(id, |stream| stream.half(side).held.as_ref().map_or(0, Vec::len));
        held.is_some_and(|held| held > limit)
    }

    /// Ends a stream, also when its client went away before.
    pub fn end(&mut self, id: u32) -> Outcome {
        self.close(id);
        let mut vm = self.vm.borrow_mut();
        let mut stream = vm.streams.remove(&id).unwrap_or_default();
        Outcome {
            status: stream.client.as_ref().and(stream.code),
            visits: vm.visits(&mut stream),
            details: stream.details.unwrap_or_default(),
            reset: stream.reset,
            misuse: stream.misuse,
        }
    }

    /// Takes the streams that a plugin has resumed, answered or reset since this was last asked, whosever step it was.
    pub fn take_moved(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.vm.borrow_mut().moved)
    }

    /// Takes what plugins did for no stream since this was last asked: in timers, at the start, at the end.
    pub fn take_aside(&mut self) -> Vec<Aside> {
        std::mem::take(&mut self.vm.borrow_mut().aside)
    }

    /// Takes what was logged in no callback, as by a module that does not start.
    pub fn take_lines(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.vm.borrow_mut().lines)
    }

    /// The stream, and the place in it of the plugin, that made a callout.
    pub fn caller(&self, call: u32) -> Option<(u32, usize)> {
        self.vm.borrow().calls.open.get(&call)?.stream
    }

    /// Of so many plugins that did not start together, the place of the one that refused.
    pub fn refused(&self, plugins: usize) -> usize {
        let plan = self.vm.borrow().plugins.last().map_or(0, |plugin| plugin.plan);
        plan.saturating_sub(self.plans.len().saturating_sub(plugins))
    }

    /// Whether root contexts are not done yet with a shutdown (row 30).
    pub fn lingers(&self) -> bool {
        !self.vm.borrow().waiting.is_empty()
    }
}
