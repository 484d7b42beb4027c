//! An HTTP stream: what a message says of its sender goes into filter state, what we say goes into its headers.

use crate::MetadataExchange;
use crate::around::Found;
use crate::policy::plan::{Plan, Way};
use crate::policy::{BAGGAGE, ID, METADATA, Said, UNKNOWN_ID, baggage};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit::set_filter_state;
use std::fmt::Display;

/// The filter state of one end of a stream.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) peer: &'static str,
    pub(crate) id: &'static str,
}

pub(crate) const DOWNSTREAM: End = End { peer: "downstream_peer", id: "downstream_peer_id" };
pub(crate) const UPSTREAM: End = End { peer: "upstream_peer", id: "upstream_peer_id" };

/// One stream.
pub(crate) struct Stream {
    plugin: Rc<MetadataExchange>,
    request: Option<Request>,
}

/// What is remembered of the request until its response.
#[derive(Clone, Copy)]
struct Request {
    around: Found,
    said_id: bool,
    said_metadata: bool,
}

impl Stream {
    pub(crate) fn new(plugin: Rc<MetadataExchange>) -> Self {
        Self { plugin, request: None }
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let plugin = &*self.plugin;
        let around = plugin.around.look()?;
        let plan = plugin.plans.of(around.side);
        let headers = request.headers().snapshot()?;
        let said = Said::in_headers(headers.iter());
        plugin.remember(&said, &plan.ask_downstream, DOWNSTREAM)?;
        let (said_id, said_metadata) = (said.id().is_some(), said.metadata().is_some());
        self.request = Some(Request { around, said_id, said_metadata });
        let tells: &[Way] = if around.leaves { &[] } else { &plan.tell_upstream };
        let telling = tells.contains(&Way::Headers);
        let telling = Telling { id: telling, metadata: telling, baggage: tells.contains(&Way::Baggage) };
        plugin.edit(&request.headers(), &said, telling, plan.strip_request)?;
        plugin.edit_baggage(&request.headers(), &said, telling, plan.strip_baggage)?;
        Ok(Flow::Continue)
    }

    fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
        // A reply of a filter before this one: no request was seen, and nobody is at the other end.
        let Some(request) = self.request else { return Ok(Flow::Continue) };
        let plugin = &*self.plugin;
        let plan = plugin.plans.of(request.around.side);
        let headers = response.headers().snapshot()?;
        let said = Said::in_headers(headers.iter());
        if !request.around.leaves {
            plugin.remember(&said, &plan.ask_upstream, UPSTREAM)?;
        }
        let telling = answering(plan, request);
        plugin.edit(&response.headers(), &said, telling, plan.strip_response)?;
        plugin.edit_baggage(&response.headers(), &said, telling, plan.strip_baggage)?;
        Ok(Flow::Continue)
    }

    /// Whoever watches must not stand in the way.
    fn on_error(&mut self, _error: &Error) -> Flow {
        Flow::Continue
    }
}

/// Who has said something is told the same of us.
fn answering(plan: &Plan, request: Request) -> Telling {
    let headers = plan.tell_downstream.contains(&Way::Headers);
    Telling {
        id: headers && request.said_id,
        metadata: headers && request.said_metadata,
        baggage: plan.tell_downstream.contains(&Way::Baggage),
    }
}

/// What of us goes into the headers.
#[derive(Clone, Copy)]
struct Telling {
    id: bool,
    metadata: bool,
    baggage: bool,
}

impl MetadataExchange {
    pub(crate) fn refuse(&self, why: impl Display) {
        log::debug!("a peer is not believed: {why}");
        // A count that is lost must not cost a request.
        let _ = self.refused.add(1);
    }

    /// Puts what is believed into filter state. It ends with the stream, so each stream has to be told.
    fn remember(&self, said: &Said<'_>, ways: &[Way], end: End) -> Result<(), HostError> {
        for way in ways {
            let found = match way {
                Way::Headers => self.by_headers(said, end)?,
                Way::Baggage => self.by_baggage(said, end)?,
            };
            if found {
                break;
            }
        }
        Ok(())
    }

    fn by_headers(&self, said: &Said<'_>, end: End) -> Result<bool, HostError> {
        if let Some(fault) = said.fault() {
            self.refuse(fault);
            return Ok(false);
        }
        if let Some(id) = said.id() {
            set_filter_state(end.id, id)?;
        }
        let Some(metadata) = said.metadata() else { return Ok(false) };
        match self.peers.borrow_mut().by_header(metadata) {
            Ok(peer) => set_filter_state(end.peer, peer).map(|()| true),
            Err(refusal) => {
                self.refuse(refusal);
                Ok(false)
            }
        }
    }

    fn by_baggage(&self, said: &Said<'_>, end: End) -> Result<bool, HostError> {
        let Some(baggage) = &said.baggage else { return Ok(false) };
        match self.peers.borrow_mut().by_baggage(baggage) {
            Ok(None) => Ok(false),
            Ok(Some(peer)) => {
                set_filter_state(end.id, UNKNOWN_ID)?;
                set_filter_state(end.peer, peer).map(|()| true)
            }
            Err(refusal) => {
                self.refuse(refusal);
                Ok(false)
            }
        }
    }

    fn edit(
        &self,
        headers: &HeadersMut<'_>,
        said: &Said<'_>,
        telling: Telling,
        strip: bool,
    ) -> Result<(), HostError> {
        let Self { local, .. } = self;
        put(headers, ID, said.has_id() && strip, telling.id.then_some(&local.id))?;
        put(headers, METADATA, said.has_metadata() && strip, telling.metadata.then_some(&local.metadata))
    }

    fn edit_baggage(
        &self,
        headers: &HeadersMut<'_>,
        said: &Said<'_>,
        telling: Telling,
        strip: bool,
    ) -> Result<(), HostError> {
        let (sent, own) = (said.baggage.as_deref(), &self.local.baggage);
        if telling.baggage && !own.is_empty() {
            return headers.set(BAGGAGE, baggage::merged(sent, own));
        }
        match sent.filter(|_| strip).and_then(baggage::stripped) {
            Some(left) if left.is_empty() => headers.remove(BAGGAGE),
            Some(left) => headers.set(BAGGAGE, left),
            None => Ok(()),
        }
    }
}

fn put(headers: &HeadersMut<'_>, name: &str, strip: bool, value: Option<&String>) -> Result<(), HostError> {
    match value.filter(|value| !value.is_empty()) {
        Some(value) => headers.set(name, value),
        None if strip => headers.remove(name),
        None => Ok(()),
    }
}
