//! A request in steps, for a proxy that carries the bytes itself: it begins, goes on to the upstream or not, is answered,
//! and ends. Several may be under way at once; what they cost is taken apart by whoever takes the steps.

use super::guest::{Guest, Side};
use super::worker::Worker;
use crate::exchange::{Exchange, LogLine, Message};
use std::collections::BTreeMap;

/// Where a request stands between two steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The plugin holds it back.
    Held,
    /// It is whole, and on its way to the upstream as it is now.
    Upstream(Message),
    /// The client has its answer, or the stream was reset.
    Over,
}

impl<G: Guest> Worker<G> {
    /// A request arrives. Returns the number of its stream.
    pub fn admit(&mut self, request: Message) -> u32 {
        let id = self.open();
        self.send(id, Side::Request, request);
        id
    }

    /// Where a request stands.
    pub fn standing(&self, id: u32) -> Standing {
        let look = self.with(id, |stream| match &stream.upstream {
            _ if stream.over() => Standing::Over,
            Some(message) if stream.upstream_complete && !stream.answered => {
                Standing::Upstream(message.clone())
            }
            _ => Standing::Held,
        });
        look.unwrap_or(Standing::Over)
    }

    /// The upstream answers.
    pub fn upstream_answers(&mut self, id: u32, response: Message) {
        let wanted = self.with(id, |stream| {
            stream.details = Some("via_upstream".into());
            stream.answered = true;
            !stream.over()
        });
        if wanted == Some(true) {
            self.send(id, Side::Response, response);
        }
    }

    /// What the client has of its answer; none if the stream was reset.
    pub fn client_side(&self, id: u32) -> Option<Message> {
        self.with(id, |stream| stream.client.clone().filter(|_| !stream.reset)).flatten()
    }

    /// The stream ends, also when its client went away before.
    pub fn end(&mut self, id: u32) -> Exchange {
        self.close(id);
        self.report(id, usize::MAX)
    }

    /// Takes what was logged since this was last asked.
    pub fn take_lines(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.vm().borrow_mut().lines)
    }

    /// Takes the host calls that were counted since this was last asked, by name.
    pub fn take_host_calls(&mut self) -> BTreeMap<String, u32> {
        let mut vm = self.vm().borrow_mut();
        vm.callbacks.clear();
        std::mem::take(&mut vm.host_calls)
    }
}
