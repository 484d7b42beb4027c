//! The plugin as a filter of the chain: creates its context, enters its callbacks, and reads its actions as Envoy does.

use super::guest::{Call, Guest, Side};
use super::reply::LocalReply;
use super::stream::{Iteration, Stream};
use super::worker::Worker;

/// What a body callback wants done with the piece it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyVerdict {
    Continue,
    /// Hold it back, up to the buffer limit.
    Buffer,
    /// Hold it back and slow the sender down.
    Watermark,
    /// Stop, and keep nothing.
    Drop,
}

/// What came of entering a stream callback.
enum Outcome {
    /// The plugin has nothing to say: it lacks the callback, or it has failed and fails open.
    Continue,
    /// The VM has failed and the stream with it.
    Closed,
    /// The callback returned this action.
    Action(u32),
}

/// Bigger than every action: what a callback means when it asked for a local reply (row 13).
const STOP: u32 = u32::MAX;

impl<G: Guest> Worker<G> {
    /// Rows 7 and 10.
    pub(super) fn filter_headers(
        &mut self,
        id: u32,
        seat: usize,
        side: Side,
        end_of_stream: bool,
    ) -> Iteration {
        if side == Side::Request {
            self.create(id, seat);
        }
        let Some(context) = self.listener(id, seat, side) else { return Iteration::Continue };
        let count = self.at(id, seat, |stream| {
            stream.seat().end_of_stream = end_of_stream;
            stream.gate(side).reach.headers = true;
            stream.half(side).headers.as_ref().map_or(0, |headers| headers.0.len())
        });
        let call = Call::Headers { context, side, count: number(count), end_of_stream };
        let relaxed = self.setting(context, |setup| setup.allow_on_headers_stop_iteration);
        let verdict = match self.enter(id, seat, call) {
            Outcome::Continue | Outcome::Action(0 | 2) => Iteration::Continue,
            Outcome::Action(1) if relaxed => Iteration::Stop,
            Outcome::Action(3) => Iteration::StopAllAndBuffer,
            Outcome::Closed | Outcome::Action(_) => Iteration::StopAllAndWatermark,
        };
        if verdict == Iteration::Continue {
            self.at(id, seat, |stream| stream.gate(side).reach.headers = false);
        }
        verdict
    }

    /// Rows 11 and 14.
    pub(super) fn filter_data(
        &mut self,
        id: u32,
        seat: usize,
        side: Side,
        end_of_stream: bool,
    ) -> BodyVerdict {
        let Some(context) = self.listener(id, seat, side) else { return BodyVerdict::Continue };
        if !self.append_to_held(id, seat, side) {
            return BodyVerdict::Drop;
        }
        let size = self.at(id, seat, |stream| {
            stream.seat().end_of_stream = end_of_stream;
            stream.gate(side).reach.chunk = true;
            stream.buffer(side).map_or(0, |buffer| buffer.len())
        });
        let call = Call::Body { context, side, size: number(size), end_of_stream };
        let verdict = match self.enter(id, seat, call) {
            Outcome::Continue | Outcome::Action(0) => BodyVerdict::Continue,
            Outcome::Action(1) => BodyVerdict::Buffer,
            Outcome::Action(2) => BodyVerdict::Watermark,
            Outcome::Closed | Outcome::Action(_) => BodyVerdict::Drop,
        };
        self.at(id, seat, |stream| {
            let reach = &mut stream.gate(side).reach;
            reach.held = verdict == BodyVerdict::Buffer;
            reach.chunk &= verdict != BodyVerdict::Continue;
        });
        verdict
    }

    /// Row 12. True means continue.
    pub(super) fn filter_trailers(&mut self, id: u32, seat: usize, side: Side) -> bool {
        let Some(context) = self.listener(id, seat, side) else { return true };
        let count = self.at(id, seat, |stream| {
            stream.gate(side).reach.trailers = true;
            stream.half(side).trailers.as_ref().map_or(0, |trailers| trailers.0.len())
        });
        let call = Call::Trailers { context, side, count: number(count) };
        let goes_on = matches!(self.enter(id, seat, call), Outcome::Continue | Outcome::Action(0));
        if goes_on {
            self.at(id, seat, |stream| stream.gate(side).reach.trailers = false);
        }
        goes_on
    }

    /// Tells the guest of the context, once (row 7).
    pub(super) fn create(&mut self, id: u32, seat: usize) {
        let first = self.at(id, seat, |stream| {
            let seat = stream.seat();
            (seat.plugged && !std::mem::replace(&mut seat.created, true)).then_some(seat.context)
        });
        if let Some(context) = first.flatten() {
            let parent = self.vm.borrow().root_of(context);
            self.notify(&Call::ContextCreate { context, parent });
        }
    }

    /// Enters a callback whose result does not matter, unless the VM has failed (row 51).
    pub(super) fn notify(&mut self, call: &Call) {
        let known = self.vm.borrow().contexts.contains_key(&call.context());
        if known && !self.failed(call.context()) && self.has(call) {
            // A failure is kept in the VM.
            let _ = self.call(call);
            self.vm.borrow_mut().stop_iteration = false;
            self.run_deferred();
        }
    }

    /// The plugin's context if the plugin hears of this side: the guest knows the context, and no reply for a failure of
    /// the plugin is on the way.
    fn listener(&mut self, id: u32, seat: usize, side: Side) -> Option<u32> {
        let heard = self.at(id, seat, |stream| {
            let seat = stream.seat();
            (seat.created && (side == Side::Request || !seat.failed)).then_some(seat.context)
        });
        heard.flatten()
    }

    fn enter(&mut self, id: u32, seat: usize, call: Call) -> Outcome {
        if self.failed(call.context()) {
            return self.fail_stream(id, seat, call.context());
        }
        if !self.has(&call) {
            return Outcome::Continue;
        }
        let outcome = match self.call(&call) {
            Ok(_) if self.vm.borrow().stop_iteration => Outcome::Action(STOP),
            Ok(action) => Outcome::Action(action),
            Err(_) => self.fail_stream(id, seat, call.context()),
        };
        self.vm.borrow_mut().stop_iteration = false;
        self.run_deferred();
        outcome
    }

    /// Row 49: one 503, unless the plugin fails open.
    fn fail_stream(&mut self, id: u32, seat: usize, context: u32) -> Outcome {
        if self.setting(context, |setup| setup.fail_open) {
            return Outcome::Continue;
        }
        let again = self.at(id, seat, |stream| std::mem::replace(&mut stream.seat().failed, true));
        if again == Some(false) {
            self.at(id, seat, Stream::see_answer);
            let details = "wasm_fail_stream".to_owned();
            let reply = LocalReply { status: 503, details, grpc_status: Some(14), ..LocalReply::default() };
            self.local_reply(id, reply);
        }
        Outcome::Closed
    }

    /// While a body is held back, the next piece is appended before the plugin sees it (row 14). False when that was too
    /// much and reset the stream; a request that is too much is still shown, and then answered with 413 (row 15).
    fn append_to_held(&mut self, id: u32, seat: usize, side: Side) -> bool {
        if self.at(id, seat, |stream| stream.gate(side).reach.held) == Some(true) {
            self.hold(id, side, true);
        }
        self.with(id, |stream| !stream.over()) == Some(true)
    }
}

fn number(count: Option<usize>) -> u32 {
    u32::try_from(count.unwrap_or(0)).unwrap_or(u32::MAX)
}
