//! An HTTP stream: what a message says of its sender goes into filter state, what we say goes into its headers.

use crate::MetadataExchange;
use crate::around::Found;
use crate::policy::plan::{Plan, Way};
use crate::policy::{BAGGAGE, Has, ID, METADATA, Own, Said, UNKNOWN_ID, baggage};
use proxy_wasm_kit::foreign::{LifeSpan, Property};
use proxy_wasm_kit::prelude::*;
use proxy_wasm_kit::{property, set_filter_state};
use proxy_wasm_kit_mesh::Peer;
use std::fmt::Display;

/// The filter state of one end of a stream.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) peer: &'static str,
    pub(crate) id: &'static str,
}

pub(crate) const DOWNSTREAM: End = End { peer: "downstream_peer", id: "downstream_peer_id" };
pub(crate) const UPSTREAM: End = End { peer: "upstream_peer", id: "upstream_peer_id" };

impl End {
    /// For as long as the request: an internal redirect runs the filters again, over headers that this one took away.
    pub(crate) fn declare(self, root: &Root) -> Result<(), HostError> {
        Property::new(self.peer).flat_buffer(Peer::FLAT_SCHEMA).lives(LifeSpan::Request).declare(root)?;
        Property::new(self.id).lives(LifeSpan::Request).declare(root)
    }
}

/// One stream.
pub(crate) struct Stream {
    plugin: Rc<MetadataExchange>,
    request: Option<Request>,
}

/// What is remembered of the request until its response.
#[derive(Clone, Copy)]
struct Request {
    around: Found,
    says: Has,
}

impl Stream {
    pub(crate) fn new(plugin: Rc<MetadataExchange>) -> Self {
        Self { plugin, request: None }
    }
}

impl Stream {
    /// At the edge. No proxy of a mesh says there who it is, but an application may take trailers for headers.
    fn strip_trailers(&self, trailers: &HeadersMut<'_>) -> Result<(), HostError> {
        let plugin = &*self.plugin;
        let is_edge = |Request { around, .. }: &Request| plugin.plans.of(around.side).strip_trailers;
        if !self.request.as_ref().is_some_and(is_edge) {
            return Ok(());
        }
        let sent = trailers.snapshot()?;
        let said = Said::in_headers(sent.iter());
        plugin.edit(trailers, said.has(), Telling::default())?;
        plugin.edit_baggage(trailers, &said, false, Telling::default(), true)
    }
}

impl HttpFilter for Stream {
    fn on_request_headers(&mut self, request: &mut RequestHeaders<'_>) -> Result {
        let plugin = &*self.plugin;
        let around = plugin.around.of_request();
        let headers = request.headers().snapshot()?;
        let mut said = Said::in_headers(headers.iter());
        let has = said.has();
        let plan = plugin.plans.of(around.side);
        let own = said.forget_own(&plugin.local, &plan.tell_upstream);
        plugin.remember(&said, &plan.ask_downstream, DOWNSTREAM);
        self.request = Some(Request { around, says: plugin.says(&said, own) });
        let ways: &[Way] = if plan.knows_server(around.cluster) { &plan.tell_upstream } else { &[] };
        let telling = asking(ways);
        let strip = Has {
            id: has.id && (plan.strip_request || own.headers.id),
            metadata: has.metadata && (plan.strip_request || own.headers.metadata),
        };
        plugin.edit(&request.headers(), strip, telling)?;
        plugin.edit_baggage(&request.headers(), &said, own.baggage, telling, plan.strip_baggage)?;
        Ok(Flow::Continue)
    }

    fn on_response_headers(&mut self, response: &mut ResponseHeaders<'_>) -> Result {
        // A reply of a filter before this one: no request was seen, and nobody is at the other end.
        let Some(request) = self.request else { return Ok(Flow::Continue) };
        let plugin = &*self.plugin;
        let plan = plugin.plans.of(request.around.side);
        let telling = answering(plan, request);
        if is_blind(plan, telling) {
            let strip = Has { id: plan.strip_response, metadata: plan.strip_response };
            plugin.edit(&response.headers(), strip, telling)?;
            return Ok(Flow::Continue);
        }
        let headers = response.headers().snapshot()?;
        let said = Said::in_headers(headers.iter());
        if plan.knows_server(request.around.cluster) {
            plugin.remember(&said, &plan.ask_upstream, UPSTREAM);
        }
        let Has { id, metadata } = said.has();
        let strip = Has { id: id && plan.strip_response, metadata: metadata && plan.strip_response };
        plugin.edit(&response.headers(), strip, telling)?;
        plugin.edit_baggage(&response.headers(), &said, false, telling, plan.strip_baggage)?;
        Ok(Flow::Continue)
    }

    fn on_request_trailers(&mut self, request: &mut RequestTrailers<'_>) -> Result {
        self.strip_trailers(&request.trailers())?;
        Ok(Flow::Continue)
    }

    fn on_response_trailers(&mut self, response: &mut ResponseTrailers<'_>) -> Result {
        self.strip_trailers(&response.trailers())?;
        Ok(Flow::Continue)
    }

    /// Whoever watches must not stand in the way.
    fn on_error(&mut self, _error: &Error) -> Flow {
        Flow::Continue
    }
}

/// Whether a response need not be read: nobody is asked, `baggage` stays as it is, and what is said is overwritten, or stays.
fn is_blind(plan: &Plan, telling: Telling) -> bool {
    let asks = !plan.ask_upstream.is_empty() || telling.baggage || plan.strip_baggage;
    !asks && (telling.id || telling.metadata || !plan.strip_response)
}

fn asking(ways: &[Way]) -> Telling {
    let headers = ways.contains(&Way::Headers);
    Telling { id: headers, metadata: headers, baggage: ways.contains(&Way::Baggage) }
}

/// Who has said something is told the same of us.
fn answering(plan: &Plan, request: Request) -> Telling {
    let ways: &[Way] = if plan.answers(request.around.cluster) { &plan.tell_downstream } else { &[] };
    let telling = asking(ways);
    Telling {
        id: telling.id && request.says.id,
        metadata: telling.metadata && request.says.metadata,
        baggage: telling.baggage,
    }
}

/// What of us goes into the headers.
#[derive(Clone, Copy, Default)]
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

    /// Puts what is believed into filter state. It ends with the stream, so each stream has to be told. What cannot be put
    /// there is told in the log: headers are to be edited all the same.
    fn remember(&self, said: &Said<'_>, ways: &[Way], end: End) {
        for way in ways {
            let found = match way {
                Way::Headers => self.by_headers(said, end),
                Way::Baggage => self.by_baggage(said, end),
            };
            match found {
                Ok(false) => {}
                Ok(true) => return,
                Err(error) => return log::warn!("{}: {error}", end.peer),
            }
        }
    }

    fn by_headers(&self, said: &Said<'_>, end: End) -> Result<bool, HostError> {
        if let Some(fault) = said.fault() {
            self.refuse(fault);
            return Ok(false);
        }
        let peer = said.metadata().map(|metadata| self.peers.borrow_mut().by_header(metadata));
        let peer = peer.transpose().inspect_err(|refusal| self.refuse(refusal));
        if let Some(id) = said.id() {
            set_filter_state(end.id, id)?;
        }
        let Ok(Some(peer)) = peer else { return Ok(false) };
        set_filter_state(end.peer, peer).map(|()| true)
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

    /// What the client has said, in this pass or in one before an internal redirect: then the headers may be gone, and
    /// filter state is still there.
    fn says(&self, said: &Said<'_>, own: Own) -> Has {
        let says = said.says();
        if !said.redirected && own == Own::default() || says != Has::default() {
            return says;
        }
        let noted = |name| property(&[name]).ok().flatten();
        match noted(DOWNSTREAM.id) {
            // Known by its baggage.
            Some(id) if *id == *UNKNOWN_ID => says,
            id => Has { id: id.is_some(), metadata: noted(DOWNSTREAM.peer).is_some() },
        }
    }

    fn edit(&self, headers: &HeadersMut<'_>, strip: Has, telling: Telling) -> Result<(), HostError> {
        let Self { local, .. } = self;
        put(headers, ID, strip.id, telling.id.then_some(&local.id))?;
        put(headers, METADATA, strip.metadata, telling.metadata.then_some(&local.metadata))
    }

    /// What was `said` there is without own members; whether there were some, `had_own` tells.
    fn edit_baggage(
        &self,
        headers: &HeadersMut<'_>,
        said: &Said<'_>,
        had_own: bool,
        telling: Telling,
        strip: bool,
    ) -> Result<(), HostError> {
        let (sent, own) = (said.baggage.as_deref(), &self.local.baggage);
        if telling.baggage && !own.is_empty() {
            return headers.set(BAGGAGE, baggage::merged(sent, own));
        }
        let stripped = sent.filter(|_| strip).and_then(baggage::stripped);
        match stripped.or_else(|| had_own.then(|| sent.unwrap_or_default().to_vec())) {
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
