//! Drives a guest: start-up, and exchanges from the request's first header to the stream's end.

use super::fields::{arriving, set_in_place};
use super::guest::{Call, Guest, Side, Trap};
use super::maps::MapType;
use super::process::Plan;
use super::stream::{Seat, Stream};
use super::vm::{Shared, named};
use crate::exchange::{Exchange, Headers, LogLine, Message, Protocol, Setup};
use std::fmt;

/// The guests of a host, each in a VM, and the plugins that make up the filter chain of each worker.
pub struct Worker<G> {
    pub(super) vm: Shared,
    /// By the index of their VM; none where the VM has ended.
    pub(super) guests: Vec<Option<G>>,
    /// All plugins that were ever configured, the present chain last.
    pub(super) plans: Vec<Plan<G>>,
    /// The worker that gets the next stream.
    pub(super) turn: usize,
    /// What the guests had executed when the last exchange began.
    pub(super) instructions_before: u64,
}

/// So many callbacks lie inside each other in Envoy 1.40 before the stack of V8 overflows, where routes answer streams that a
/// plugin resumed in one callback; with replies of the plugin some more (measured).
const DEEPEST: usize = 273;

const TOO_DEEP: &str = "Maximum call stack size exceeded";

/// Why a plugin did not start (row 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `proxy_on_vm_start` returned false.
    VmStart,
    /// `proxy_on_configure` returned false.
    Configure,
    /// The VM failed.
    Failed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::VmStart => formatter.write_str("the VM did not start"),
            Self::Configure => formatter.write_str("the plugin refused its configuration"),
            Self::Failed(reason) => write!(formatter, "the VM failed: {reason}"),
        }
    }
}

impl<G: Guest> Worker<G> {
    /// Creates the root context, starts the VM and configures the plugin.
    pub(super) fn start_plugin(&mut self, plugin: usize) -> Result<(), Refusal> {
        let (root, vm_size, size) = {
            let mut vm = self.vm.borrow_mut();
            let setup = &vm.plugins[plugin].setup;
            let (vm_size, size) = (setup.vm_configuration.len(), setup.configuration.len());
            (vm.new_root(plugin), vm_size, size)
        };
        self.check(root)?;
        self.begin(&Call::ContextCreate { context: root, parent: 0 })?;
        let call = Call::VmStart { context: root, size: u32::try_from(vm_size).unwrap_or(u32::MAX) };
        self.begin(&call)?.then_some(()).ok_or(Refusal::VmStart)?;
        self.vm.borrow_mut().configuring = true;
        let call = Call::Configure { context: root, size: u32::try_from(size).unwrap_or(u32::MAX) };
        let accepted = self.begin(&call);
        self.vm.borrow_mut().configuring = false;
        accepted?.then_some(()).ok_or(Refusal::Configure)
    }

    /// The VM this worker drives.
    pub fn vm(&self) -> &Shared {
        &self.vm
    }

    /// Whether the VM of this context has failed.
    pub(super) fn failed(&self, context: u32) -> bool {
        self.vm.borrow().failure_of(context).is_some()
    }

    /// Whether the guest of the callback's context has this callback.
    pub(super) fn has(&self, call: &Call) -> bool {
        let vm = self.vm.borrow();
        let guest = self.guests.get(vm.vm_of(call.context())).and_then(Option::as_ref);
        guest.is_some_and(|guest| guest.has(call)) && vm.allows(call)
    }

    /// A setting of a context's plugin.
    pub(super) fn setting<T>(&self, context: u32, pick: impl FnOnce(&Setup) -> T) -> T {
        pick(&self.vm.borrow().plugin_of(context).setup)
    }

    /// Enters the guest. Whatever happened in there, a failed VM is an error.
    pub(super) fn call(&mut self, call: &Call) -> Result<u32, Trap> {
        let (index, told) = self.vm.borrow_mut().enter(call);
        let guest = self.guests.get_mut(index).and_then(Option::as_mut);
        let meter = self.vm.borrow().meter(guest.as_deref());
        let result = match guest {
            _ if self.vm.borrow().depth > DEEPEST => Err(Trap(TOO_DEEP.into())),
            Some(guest) => guest.call(&told),
            None => Err(Trap("the VM has ended".into())),
        };
        let mut vm = self.vm.borrow_mut();
        vm.leave();
        if let Err(trap) = &result {
            vm.fail(trap.0.clone());
        }
        if let Some(meter) = meter {
            let guest = self.guests.get(index).and_then(Option::as_ref);
            vm.charge(call.context(), meter, guest);
        }
        match &vm.sandboxes[index].failure {
            Some(reason) => Err(Trap(reason.clone())),
            None => result,
        }
    }

    /// Looks at a stream, between two entries into the guest.
    pub(super) fn with<T>(&self, id: u32, look: impl FnOnce(&mut Stream) -> T) -> Option<T> {
        self.vm.borrow_mut().streams.get_mut(&id).map(look)
    }

    /// Looks at a stream as the plugin in this seat sees it.
    pub(super) fn at<T>(&self, id: u32, seat: usize, look: impl FnOnce(&mut Stream) -> T) -> Option<T> {
        self.with(id, |stream| look(stream.seen_from(seat)))
    }

    /// A callback of the start; a missing one counts as true.
    fn begin(&mut self, call: &Call) -> Result<bool, Refusal> {
        if !self.has(call) {
            return Ok(true);
        }
        let result = self.call(call);
        self.vm.borrow_mut().stop_iteration = false;
        self.run_deferred();
        result.map(|accepted| accepted != 0).map_err(|trap| Refusal::Failed(trap.0))
    }

    fn check(&self, root: u32) -> Result<(), Refusal> {
        match self.vm.borrow().failure_of(root) {
            Some(reason) => Err(Refusal::Failed(reason.to_owned())),
            None => Ok(()),
        }
    }

    /// Resets what is counted per exchange; tells where its log begins.
    pub(super) fn prepare(&mut self) -> usize {
        self.instructions_before = self.instructions().unwrap_or_default();
        let mut vm = self.vm.borrow_mut();
        vm.host_calls.clear();
        vm.callbacks.clear();
        vm.lines.len()
    }

    /// A new stream, with a context in each plugin of a worker.
    pub(super) fn open(&mut self) -> u32 {
        self.open_through(|_| true)
    }

    /// A new stream through those plugins that are picked by their places in the chain.
    pub(super) fn open_through(&mut self, serving: impl Fn(usize) -> bool) -> u32 {
        let mut chain = self.next_chain();
        let mut place = 0..;
        chain.retain(|_| place.next().is_some_and(&serving));
        let mut vm = self.vm.borrow_mut();
        let (mut seats, mut stream) = (Vec::new(), None);
        for (seat, plugin) in chain.into_iter().enumerate() {
            let place = |context| Some((*stream.get_or_insert(context), seat));
            let context = vm.new_context(plugin, place);
            let skipped = vm.failure_of(context).is_some() && vm.plugins[plugin].setup.skips_failed();
            seats.push(Seat { context, plugin, plugged: !skipped, ..Seat::default() });
        }
        let id = stream.unwrap_or_else(|| vm.next_context());
        let watch = vm.watch_of(seats.len());
        let mut stream = Stream::new(seats, vm.now(), watch);
        let noted = vm.setup.filter_state.iter();
        stream.filter_state = noted.map(|(name, text)| (name.clone(), text.clone().into_bytes())).collect();
        vm.streams.insert(id, stream);
        id
    }

    /// A whole message arrives on one side, piece by piece, as long as anybody wants it.
    pub(super) fn send(&mut self, id: u32, side: Side, message: Message) {
        self.deliver(id, side, message, true);
    }

    /// The same, of a message that never ends.
    pub(super) fn send_part(&mut self, id: u32, side: Side, message: Message) {
        self.deliver(id, side, message, false);
    }

    fn deliver(&mut self, id: u32, side: Side, message: Message, whole: bool) {
        let Message { headers, mut body, trailers } = message;
        let trailers = Some(trailers).filter(|trailers| !trailers.0.is_empty());
        let ends_apart = self.vm.borrow().setup.protocol == Protocol::Http1 && trailers.is_none();
        if whole && ends_apart && body.last().is_some_and(|piece| !piece.is_empty()) {
            body.push(Vec::new());
        }
        let last = if whole { body.len() } else { usize::MAX };
        self.headers_arrive(id, side, headers, last == 0 && trailers.is_none());
        for (index, piece) in body.into_iter().enumerate() {
            self.piece_arrives(id, side, piece, index + 1 == last && trailers.is_none());
        }
        if let Some(trailers) = trailers {
            self.trailers_arrive(id, side, trailers);
        }
    }

    /// The headers of a message arrive.
    pub(super) fn headers_arrive(&mut self, id: u32, side: Side, headers: Headers, end_of_stream: bool) {
        self.with(id, |stream| {
            match side {
                Side::Request => stream.request.headers = Some(incoming(id, headers)),
                Side::Response => stream.begin_response(answering(headers)),
            }
            stream.half(side).complete = end_of_stream;
        });
        self.headers(id, side, end_of_stream);
    }

    /// A piece of a body arrives, as long as anybody wants it.
    pub fn piece_arrives(&mut self, id: u32, side: Side, piece: Vec<u8>, end_of_stream: bool) {
        if self.goes_on(id, side) {
            self.with(id, |stream| {
                stream.half(side).complete = end_of_stream;
                if side == Side::Request {
                    stream.request.bytes += piece.len();
                }
            });
            self.data(id, side, piece, end_of_stream);
        }
    }

    /// The trailers of a message arrive, as long as anybody wants them.
    pub fn trailers_arrive(&mut self, id: u32, side: Side, trailers: Headers) {
        if self.goes_on(id, side) {
            self.with(id, |stream| {
                stream.half(side).trailers = Some(arriving(MapType::Trailers(side), trailers));
                stream.half(side).complete = true;
            });
            self.trailers(id, side);
        }
    }

    /// Ends the stream: all plugins log, then one after the other is done and deleted (row 29).
    pub(super) fn close(&mut self, id: u32) {
        self.with(id, |stream| {
            if !stream.over() {
                stream.details = Some("downstream_remote_disconnect".into());
                stream.abandoned = true;
            }
            stream.complete = true;
        });
        let seats = self.with(id, |stream| stream.seats.len()).unwrap_or(0);
        (0..seats).for_each(|seat| self.log_seat(id, seat));
        self.log_expressions(id);
        (0..seats).for_each(|seat| self.end_seat(id, seat));
        self.sweep();
    }

    /// The plugin's context, if its guest knows it.
    fn created(&self, id: u32, seat: usize) -> Option<u32> {
        let context = |stream: &mut Stream| Some(stream.seat().context).filter(|_| stream.seat().created);
        self.at(id, seat, context).flatten()
    }

    fn log_seat(&mut self, id: u32, seat: usize) {
        self.create(id, seat);
        if let Some(context) = self.created(id, seat) {
            self.at(id, seat, |stream| stream.seat().logging = true);
            self.notify(&Call::Log { context });
            self.at(id, seat, |stream| stream.seat().logging = false);
        }
    }

    /// What the access log shows of the expressions that were asked for, once all plugins have logged.
    pub(super) fn log_expressions(&mut self, id: u32) {
        // A stream may pass no plugin at all.
        let first = self.with(id, |stream| stream.seats.first().map(|seat| seat.context));
        let Some(context) = first.flatten() else { return };
        self.at(id, 0, |stream| stream.seat().logging = true);
        let sources = self.vm.borrow().setup.expressions.clone();
        for source in sources {
            let shown = self.vm.borrow_mut().print_expression(context, &source);
            self.with(id, |stream| shown.map(|shown| stream.expressions.insert(source, shown)));
        }
        self.at(id, 0, |stream| stream.seat().logging = false);
    }

    fn end_seat(&mut self, id: u32, seat: usize) {
        if let Some(context) = self.created(id, seat) {
            self.notify(&Call::Done { context });
            self.notify(&Call::Delete { context });
        }
        let context = self.at(id, seat, |stream| stream.seat().context);
        self.vm.borrow_mut().forget_context(context.unwrap_or(0));
    }

    /// What all guests have executed so far, where that is counted.
    pub fn instructions(&self) -> Option<u64> {
        self.guests.iter().flatten().map(Guest::instructions).sum()
    }

    /// The memory that all guests have taken.
    fn memory(&self) -> Option<u64> {
        self.guests.iter().flatten().map(Guest::memory).sum()
    }

    pub(super) fn report(&mut self, id: u32, first_line: usize) -> Exchange {
        let executed = self.instructions().map(|now| now.saturating_sub(self.instructions_before));
        let memory = self.memory();
        let mut vm = self.vm.borrow_mut();
        let stream = vm.streams.remove(&id).unwrap_or_default();
        let failure = stream.seats.iter().find_map(|seat| vm.failure_of_plugin(seat.plugin));
        let vm_failure = failure.map(str::to_owned);
        let log: Vec<LogLine> = vm.lines.iter().skip(first_line).cloned().collect();
        Exchange {
            client: stream.client,
            reset: stream.reset,
            upstream: stream.upstream.filter(|_| !stream.refused),
            callouts: vm.outside.take_reached(),
            details: stream.details.unwrap_or_default(),
            filter_state: stream.filter_state,
            expressions: stream.expressions,
            log,
            host_calls: vm.host_calls(),
            callbacks: named(&vm.callbacks),
            guest_instructions: executed,
            guest_memory: memory,
            route_clears: stream.route_clears,
            misuse: stream.misuse,
            vm_failure,
        }
    }
}

/// What the connection manager makes of a request before the filters see it. The request id is the same in every run.
fn incoming(id: u32, headers: Headers) -> Headers {
    let mut headers = arriving(MapType::Headers(Side::Request), headers);
    if headers.first("x-forwarded-proto").is_none() {
        headers.add("x-forwarded-proto", "http");
    }
    if headers.first("x-request-id").is_none() {
        headers.add("x-request-id", format!("00000000-0000-4000-8000-{id:012x}"));
    }
    headers
}

/// What the router makes of a response before the filters see it.
fn answering(headers: Headers) -> Headers {
    let mut headers = arriving(MapType::Headers(Side::Response), headers);
    set_in_place(&mut headers, "x-envoy-upstream-service-time", b"0");
    headers
}

/// What the connection manager makes of a response behind the filters.
pub(super) fn outgoing(headers: &mut Headers, now: u64) {
    let hop_by_hop = |name: &[u8]| {
        matches!(
            name,
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade"
        )
    };
    headers.0.retain(|(name, _)| !hop_by_hop(name));
    set_in_place(headers, "server", b"envoy");
    if headers.first("date").is_none() {
        headers.add("date", super::clock::http_date(now));
    }
}

/// What the codec of HTTP/1.1 makes of a response that is over with its headers.
pub(super) fn without_body(mut headers: Headers, status: u16) -> Headers {
    let may_have_length = status >= 200 && status != 204;
    if may_have_length && headers.first("content-length").is_none() {
        headers.add("content-length", "0");
    }
    headers
}
