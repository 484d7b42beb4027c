//! HTTP callouts (rows 34 to 39), and what all callouts have in common.

use super::agenda::Event;
use super::fields;
use super::grpc::Grpc;
use super::guest::{Call, Guest, Side};
use super::maps::MapType;
use super::status::Status;
use super::vm::Vm;
use super::worker::Worker;
use crate::exchange::{Headers, Message, Protocol};
use crate::outside::{Arrival, Callout, Part};
use std::collections::BTreeMap;
use std::time::Duration;

/// The low bits of an id tell what it was given for; ids of a kind lie this far apart.
pub(super) const ID_STEP: u32 = 4;
/// Envoy takes no response that is larger.
const LARGEST: usize = 32 * 1024 * 1024;
/// What `proxy_get_status` tells of a call without a response: BrokenConnection.
const BROKEN: u32 = 11;

/// What an id was given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Http = 0,
    GrpcCall = 1,
    GrpcStream = 2,
}

/// The callouts of all plugins, by a number that is unique in the host.
#[derive(Default)]
pub(super) struct Calls {
    last: u32,
    pub(super) open: BTreeMap<u32, Open>,
    /// The last id of each kind that a VM was given.
    given: BTreeMap<usize, [u32; 3]>,
    /// By root context.
    heard: BTreeMap<u32, Heard>,
}

/// A callout on its way.
pub(super) struct Open {
    /// The root context that owns it, whoever has made it.
    pub(super) root: u32,
    /// The stream, and the place in it, of whoever has made it.
    pub(super) stream: Option<(u32, usize)>,
    /// The VM, and the id that its guest was given.
    pub(super) vm: usize,
    pub(super) id: u32,
    pub(super) state: State,
}

/// What has come of a callout so far.
pub(super) enum State {
    Http(Message),
    Grpc(Grpc),
}

/// What a root context hears of its callouts: readable inside the callback that tells it.
#[derive(Default)]
pub(super) struct Heard {
    response: Option<Message>,
    pub(super) initial_metadata: Option<Headers>,
    pub(super) trailing_metadata: Option<Headers>,
    pub(super) message: Option<Vec<u8>>,
    pub(super) status: (u32, String),
}

static NOTHING: Heard = Heard {
    response: None,
    initial_metadata: None,
    trailing_metadata: None,
    message: None,
    status: (0, String::new()),
};

impl Heard {
    /// A map of a callout, by its number at the ABI.
    pub(super) fn map(&self, number: u32) -> Option<&Headers> {
        let response = self.response.as_ref();
        match number {
            4 => self.initial_metadata.as_ref(),
            5 => self.trailing_metadata.as_ref(),
            6 => response.map(|response| &response.headers),
            _ => response.map(|response| &response.trailers).filter(|trailers| !trailers.0.is_empty()),
        }
    }

    pub(super) fn response_body(&self) -> Option<&[u8]> {
        // Collected into one piece before the callback.
        self.response.as_ref().map(|response| response.body.first().map_or(&[][..], Vec::as_slice))
    }
}

impl Vm {
    /// `proxy_http_call` (row 34). The call belongs to the root, whoever makes it.
    pub fn http_call(&mut self, cluster: &[u8], request: Message, timeout: u32) -> Result<u32, Status> {
        let cluster = String::from_utf8_lossy(cluster).into_owned();
        if i32::try_from(timeout).is_err() || !self.knows(&cluster) {
            return Err(Status::BAD_ARGUMENT);
        }
        let mut request = outgoing(request).ok_or(Status::BAD_ARGUMENT)?;
        if self.setup.protocol == Protocol::Http1 && request.headers.first("content-length").is_some() {
            // HTTP/1.1 has no room for trailers behind a body of known size.
            request.trailers = Headers::default();
        }
        let timeout = Some(Duration::from_millis(timeout.into())).filter(|timeout| !timeout.is_zero());
        let callout = Callout { id: 0, cluster, request, whole: true, timeout };
        let id = self.next_id(Kind::Http);
        // Without any host the call is over before it began, and nobody is called back (row 35).
        self.call_out(callout, id, State::Http(Message::default())).ok_or(Status::INTERNAL_FAILURE)?;
        Ok(id)
    }

    /// Whether there is a cluster of this name; a watcher is told of one that is not there.
    pub(super) fn knows(&mut self, cluster: &str) -> bool {
        let known = self.outside.knows(cluster);
        if !known {
            self.note_unknown(cluster);
        }
        known
    }

    /// `proxy_get_status`: of the last callout that failed, or of gRPC that ended; the text only inside its callback.
    pub fn get_status(&self) -> (u32, Vec<u8>) {
        let (code, text) = &self.heard().status;
        (*code, text.clone().into_bytes())
    }

    /// What the plugin that asks hears of its callouts now.
    pub(super) fn heard(&self) -> &Heard {
        self.calls.heard.get(&self.plugin().root).unwrap_or(&NOTHING)
    }

    pub(super) fn hear(&mut self, root: u32) -> &mut Heard {
        self.calls.heard.entry(root).or_default()
    }

    /// The id that the guest is given next.
    pub(super) fn next_id(&mut self, kind: Kind) -> u32 {
        let vm = self.plugin().vm;
        let [http, call, stream] = self.calls.given.entry(vm).or_default();
        let given = match kind {
            Kind::Http => http,
            Kind::GrpcCall => call,
            Kind::GrpcStream => stream,
        };
        *given += ID_STEP;
        *given + kind as u32
    }

    /// Sends a callout; none if it fails on the spot.
    pub(super) fn call_out(&mut self, mut callout: Callout, id: u32, state: State) -> Option<()> {
        self.calls.last += 1;
        callout.id = self.calls.last;
        mark(&mut callout);
        let arrivals = self.outside.call(&callout)?;
        let (root, vm) = (self.plugin().root, self.plugin().vm);
        let stream = self.place(self.context()).or(self.behalf);
        self.calls.open.insert(callout.id, Open { root, stream, vm, id, state });
        if let Some(timeout) = callout.timeout {
            self.agenda.enter(timeout, Event::Expire(callout.id));
        }
        self.expect(callout.id, arrivals);
        Some(())
    }

    pub(super) fn expect(&mut self, call: u32, arrivals: Vec<Arrival>) {
        for Arrival { after, part } in arrivals {
            self.agenda.enter(after, Event::Arrive(call, part));
        }
    }

    /// A root context that ends takes its callouts with it (row 39).
    pub(super) fn cancel_calls(&mut self, root: u32) {
        let own = self.calls.open.extract_if(.., |_, open| open.root == root);
        let own: Vec<u32> = own.map(|(call, _)| call).collect();
        own.into_iter().for_each(|call| self.hang_up(call));
        self.calls.heard.remove(&root);
    }

    /// Nothing of a callout arrives any more.
    pub(super) fn hang_up(&mut self, call: u32) {
        self.agenda.strike(
            |event| matches!(event, Event::Arrive(other, _) | Event::Expire(other) if *other == call),
        );
        self.outside.cancel(call);
    }
}

impl<G: Guest> Worker<G> {
    /// A part of the answer to a callout arrives. What nobody waits for is dropped.
    pub fn arrive(&mut self, call: u32, part: Part) {
        self.on_behalf(call, |worker| worker.take_part(call, part));
    }

    /// Whatever a root context hears of a callout, it hears on behalf of the stream that has made it.
    fn on_behalf(&mut self, call: u32, run: impl FnOnce(&mut Self)) {
        let caller = self.vm.borrow().calls.open.get(&call).and_then(|open| open.stream);
        self.vm.borrow_mut().behalf = caller;
        run(self);
        self.vm.borrow_mut().behalf = None;
    }

    fn take_part(&mut self, call: u32, part: Part) {
        let progress = match self.vm.borrow_mut().calls.open.get_mut(&call).map(|open| &mut open.state) {
            None => return,
            Some(State::Http(response)) => Some(take(response, part.clone())),
            Some(State::Grpc(_)) => None,
        };
        match progress {
            None => self.arrive_grpc(call, part),
            Some(Progress::More) => {}
            Some(Progress::Complete) => self.answered(call),
            Some(Progress::Broken) => self.broken(call),
        }
    }

    /// A callout has taken too long: the proxy answers 504 itself, unless a response has already begun.
    pub(super) fn expire(&mut self, call: u32) {
        self.on_behalf(call, |worker| worker.run_out(call));
    }

    fn run_out(&mut self, call: u32) {
        let text = "upstream request timeout";
        let begun = match self.vm.borrow_mut().calls.open.get_mut(&call).map(|open| &mut open.state) {
            None => return,
            Some(State::Grpc(_)) => None,
            Some(State::Http(response)) => {
                let begun = !response.headers.0.is_empty();
                *response = local(504, text);
                Some(begun)
            }
        };
        match begun {
            None => self.grpc_local(call, text),
            Some(true) => self.broken(call),
            Some(false) => self.answered(call),
        }
    }

    fn answered(&mut self, call: u32) {
        let Some((root, id, mut response)) = self.http_over(call) else { return };
        response.body = vec![response.whole_body()];
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let callback = Call::HttpCallResponse {
            context: root,
            id,
            headers: number(response.headers.0.len()),
            body_size: number(response.body.iter().map(Vec::len).sum()),
            trailers: number(response.trailers.0.len()),
        };
        self.vm.borrow_mut().hear(root).response = Some(response);
        self.notify(&callback);
        self.vm.borrow_mut().hear(root).response = None;
    }

    /// There is no response: nothing but a status tells why (row 36).
    fn broken(&mut self, call: u32) {
        let Some((root, id, _)) = self.http_over(call) else { return };
        self.vm.borrow_mut().hear(root).status = (BROKEN, "reset".into());
        self.notify(&Call::HttpCallResponse { context: root, id, headers: 0, body_size: 0, trailers: 0 });
        self.vm.borrow_mut().hear(root).status.1.clear();
    }

    fn http_over(&mut self, call: u32) -> Option<(u32, u32, Message)> {
        let mut vm = self.vm.borrow_mut();
        vm.hang_up(call);
        let open = vm.calls.open.remove(&call)?;
        match open.state {
            State::Http(response) => Some((open.root, open.id, response)),
            State::Grpc(_) => None,
        }
    }
}

enum Progress {
    More,
    Complete,
    Broken,
}

fn take(response: &mut Message, part: Part) -> Progress {
    let end = match part {
        Part::Headers(headers, end) => {
            response.headers = fields::arriving(MapType::Headers(Side::Response), headers);
            fields::set_in_place(&mut response.headers, "x-envoy-upstream-service-time", b"0");
            end
        }
        Part::Data(piece, end) => {
            response.body.push(piece);
            if response.body.iter().map(Vec::len).sum::<usize>() > LARGEST {
                return Progress::Broken;
            }
            end
        }
        Part::Trailers(trailers) => {
            response.trailers = fields::arriving(MapType::Trailers(Side::Response), trailers);
            true
        }
        Part::Failed(reason) => {
            *response = local(503, &failure_text(&reason));
            true
        }
        Part::Reset => return Progress::Broken,
    };
    if end { Progress::Complete } else { Progress::More }
}

/// What the proxy says of a connection that failed or broke off before a response.
pub(super) fn failure_text(reason: &str) -> String {
    format!("upstream connect error or disconnect/reset before headers. reset reason: {reason}")
}

/// A response that the proxy makes itself.
fn local(status: u16, text: &str) -> Message {
    Message::response(status)
        .header("content-length", text.len().to_string())
        .header("content-type", "text/plain")
        .body(text)
}

/// What the router adds to a request of the proxy's own.
fn mark(callout: &mut Callout) {
    let headers = &mut callout.request.headers;
    headers.add("x-envoy-internal", "true");
    if let Some(timeout) = callout.timeout {
        headers.add("x-envoy-expected-rq-timeout-ms", timeout.as_millis().to_string());
    }
}

/// The request as it leaves; none if it lacks what every request has.
fn outgoing(request: Message) -> Option<Message> {
    let Message { headers, mut body, trailers } = request;
    let mut headers = fields::arriving(MapType::Headers(Side::Request), headers);
    let whole = [":path", ":method", ":authority"].iter().all(|name| headers.first(name).is_some());
    body.retain(|piece| !piece.is_empty());
    let size: usize = body.iter().map(Vec::len).sum();
    if size > 0 {
        fields::set_in_place(&mut headers, "content-length", size.to_string().as_bytes());
    }
    let trailers = fields::arriving(MapType::Trailers(Side::Request), trailers);
    whole.then_some(Message { headers, body, trailers })
}
