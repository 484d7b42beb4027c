//! Streams of which nothing outlives their first hook: no context is kept for them.

use super::http::send;
use super::plugin::Plugin;
use super::tasks::{self, Place};
use super::{Action, guard};
use crate::context;
use crate::extension::{Extension, HttpFilter, Result};
use crate::phase::RequestHeaders;
use crate::response::{Flow, Response};

impl<E: Extension> Plugin<E> {
    /// The only callback of a stream: its filter is made, asked and dropped.
    pub(crate) fn brief_request_headers(&self, id: u32, end: bool) -> Action {
        guard(Action::Pause, || {
            context::begin(id, true);
            let flow = match &self.extension {
                Some(extension) => decide(E::filter(extension), end),
                None => Ok(unconfigured()),
            };
            tasks::run(Place { root: self.state.id, stream: Some(id) });
            follow(&flow)
        })
    }
}

// The flow stays in its place: an answer is not moved around.
#[inline]
fn decide(mut filter: impl HttpFilter, end: bool) -> Result {
    let mut flow = filter.on_request_headers(&mut RequestHeaders::new(end));
    if let Err(error) = &flow {
        log::error!("a hook failed: {error}");
        flow = Ok(filter.on_error(error));
    }
    flow
}

fn unconfigured() -> Flow {
    Flow::Reply(Response::new(503).details("plugin_not_configured"))
}

/// A stream whose plugin is not known, which no faithful proxy lets happen.
pub(crate) fn without_plugin() -> Action {
    follow(&Ok(unconfigured()))
}

#[inline]
fn follow(flow: &Result) -> Action {
    match flow {
        Ok(Flow::Continue) => return Action::Continue,
        Ok(Flow::Reply(response)) => send(response),
        // Pruning does not make streams brief where there is such work; the error has become a flow.
        Ok(Flow::Later(_)) | Err(_) => send(&Response::new(500).details("nothing_can_wait")),
    }
    Action::Pause
}
