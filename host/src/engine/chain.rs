//! The filter chain: the plugins in a row, on one end the router to the upstream, on the other the client.
//!
//! Both directions follow the same rules, those of Envoy's filter manager: a filter can stop headers, body and trailers,
//! what arrives meanwhile is held back, and resuming delivers it, in whole, behind the filter or from it on (row 16). A
//! request passes the plugins in their order, a response in the opposite one.

use super::filter::BodyVerdict;
use super::guest::{Guest, Side};
use super::reply::LocalReply;
use super::stream::{Iteration, Stream};
use super::worker::{Worker, outgoing, without_body};
use crate::exchange::{Headers, Message};

/// Where something is that passes the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before the plugin in this seat.
    At(usize),
    /// Behind the last plugin of the direction.
    End,
}

impl<G: Guest> Worker<G> {
    /// Headers arrive.
    pub(super) fn headers(&mut self, id: u32, side: Side, end_of_stream: bool) {
        let start = self.start_of(id, side);
        self.headers_from(id, side, start, end_of_stream);
    }

    /// A piece of the body arrives.
    pub(super) fn data(&mut self, id: u32, side: Side, piece: Vec<u8>, end_of_stream: bool) {
        self.with(id, |stream| {
            let half = stream.half(side);
            (half.chunk, half.held_passes) = (piece, false);
        });
        let start = self.start_of(id, side);
        self.data_from(id, side, start, end_of_stream);
    }

    /// The trailers arrive.
    pub(super) fn trailers(&mut self, id: u32, side: Side) {
        let start = self.start_of(id, side);
        self.trailers_from(id, side, start);
    }

    fn headers_from(&mut self, id: u32, side: Side, mut place: Place, end_of_stream: bool) {
        while let Place::At(seat) = place {
            self.at(id, seat, |stream| {
                stream.gate(side).ended = end_of_stream;
                stream.see_headers(side, place);
            });
            let verdict =
                self.calling(id, side, |worker| worker.filter_headers(id, seat, side, end_of_stream));
            if !self.goes_on(id, side) {
                return self.send_prepared(id);
            }
            self.at(id, seat, |stream| {
                stream.gate(side).iteration = verdict;
                stream.gate(side).headers_passed |= verdict == Iteration::Continue;
            });
            if verdict != Iteration::Continue {
                return;
            }
            place = self.after(id, side, seat);
        }
        self.with(id, |stream| stream.see_headers(side, place));
        self.leave_headers(id, side, end_of_stream);
    }

    /// The passing piece goes on from here.
    fn data_from(&mut self, id: u32, side: Side, mut place: Place, mut end_of_stream: bool) {
        let had_trailers = self.has_trailers(id, side);
        let mut made_at = None;
        while let Place::At(seat) = place {
            match self.iteration(id, seat, side) {
                Iteration::StopAllAndBuffer => return self.hold(id, side, true),
                Iteration::StopAllAndWatermark => return self.hold(id, side, false),
                Iteration::Continue | Iteration::Stop => {}
            }
            self.at(id, seat, |stream| {
                stream.gate(side).ended = end_of_stream;
                stream.see_piece(side, place);
            });
            let verdict = self.calling(id, side, |worker| worker.filter_data(id, seat, side, end_of_stream));
            if !self.goes_on(id, side) {
                return self.send_prepared(id);
            }
            if !had_trailers && made_at.is_none() && self.has_trailers(id, side) {
                (made_at, end_of_stream) = (Some(seat), false);
            }
            place = match self.after_data(id, seat, side, verdict, end_of_stream) {
                true => self.after(id, side, seat),
                false => break,
            };
        }
        if place == Place::End {
            self.with(id, |stream| {
                stream.see_piece(side, place);
                stream.pass_piece(side, end_of_stream);
            });
        }
        if let Some(seat) = made_at
            && self.iteration(id, seat, side) == Iteration::Continue
        {
            let next = self.next(id, side, seat);
            self.trailers_from(id, side, next);
        }
    }

    fn trailers_from(&mut self, id: u32, side: Side, mut place: Place) {
        while let Place::At(seat) = place {
            if self.iteration(id, seat, side).stops_all() {
                return;
            }
            self.at(id, seat, |stream| {
                stream.gate(side).ended = true;
                stream.see_trailers(side, place);
            });
            let goes_on = self.calling(id, side, |worker| worker.filter_trailers(id, seat, side));
            if !self.goes_on(id, side) {
                return self.send_prepared(id);
            }
            match self.iteration(id, seat, side) {
                Iteration::Stop if goes_on => return self.resume(id, seat, side),
                Iteration::Continue if goes_on => place = self.after(id, side, seat),
                Iteration::Continue => return self.stop(id, seat, side),
                _ => return,
            }
        }
        self.with(id, |stream| {
            stream.see_trailers(side, place);
            stream.pass_trailers(side);
        });
    }

    /// Lets a direction that a plugin has stopped go on, with all that was held back.
    pub(super) fn resume(&mut self, id: u32, seat: usize, side: Side) {
        if !self.goes_on(id, side) {
            return;
        }
        let Some(resumed) = self.at(id, seat, |stream| open_gate(stream, side)).flatten() else { return };
        if resumed.pass_headers {
            let next = self.after(id, side, seat);
            let end_of_stream = resumed.complete && !resumed.holds && !resumed.had_trailers;
            self.headers_from(id, side, next, end_of_stream);
        }
        if self.holds(id, side) && self.goes_on(id, side) {
            self.with(id, |stream| stream.half(side).held_passes = true);
            let next = self.next(id, side, seat);
            self.data_from(id, side, next, resumed.complete && !resumed.had_trailers);
        }
        if resumed.had_trailers && self.goes_on(id, side) {
            let next = self.next(id, side, seat);
            self.trailers_from(id, side, next);
        }
        self.at(id, seat, |stream| stream.gate(side).resumes_here = false);
    }

    /// Adds the passing piece to what is held back, unless it is that. More than the limit ends the stream, unless the
    /// sender is being slowed down.
    pub(super) fn hold(&mut self, id: u32, side: Side, limited: bool) {
        let limit = self.vm.borrow().setup.buffer_limit;
        let size = self.with(id, |stream| {
            let half = stream.half(side);
            if half.held_passes {
                return 0;
            }
            let held = half.held.get_or_insert_default();
            held.append(&mut half.chunk);
            held.len()
        });
        if limited && size.is_some_and(|size| size > limit) {
            self.local_reply(id, too_large(side));
        }
    }

    /// Does with the passing piece what the plugin wants. True if it goes on behind the plugin.
    fn after_data(
        &mut self,
        id: u32,
        seat: usize,
        side: Side,
        verdict: BodyVerdict,
        end_of_stream: bool,
    ) -> bool {
        match (verdict, self.iteration(id, seat, side)) {
            (BodyVerdict::Continue, Iteration::Continue) => return true,
            (BodyVerdict::Continue, _) => {
                self.hold(id, side, true);
                self.resume(id, seat, side);
                return false;
            }
            (BodyVerdict::Buffer, _) => self.hold(id, side, true),
            (BodyVerdict::Watermark, _) => self.hold(id, side, false),
            // An empty buffer makes the end of the stream be told when the direction is resumed.
            (BodyVerdict::Drop, _) => {
                self.with(id, |stream| {
                    let half = stream.half(side);
                    half.chunk.clear();
                    if end_of_stream {
                        half.held.get_or_insert_default();
                    }
                });
            }
        }
        self.stop(id, seat, side);
        false
    }

    fn stop(&mut self, id: u32, seat: usize, side: Side) {
        self.at(id, seat, |stream| stream.gate(side).iteration = Iteration::Stop);
    }

    /// Headers leave the chain: the router sends them upstream, or the client gets them.
    pub(super) fn leave_headers(&mut self, id: u32, side: Side, end_of_stream: bool) {
        if side == Side::Request {
            return self.route(id, end_of_stream);
        }
        let now = self.vm.borrow().now();
        self.with(id, |stream| stream.send_to_client(end_of_stream, now));
    }

    /// Runs a filter callback, marking whose it is.
    pub(super) fn calling<T>(&mut self, id: u32, side: Side, run: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.with(id, |stream| stream.calling.replace(side)).flatten();
        let result = run(self);
        self.with(id, |stream| stream.calling = before);
        result
    }

    /// Whether this direction still moves.
    pub(super) fn goes_on(&mut self, id: u32, side: Side) -> bool {
        self.with(id, |stream| !stream.over() && !stream.half(side).aborted) == Some(true)
    }

    fn has_trailers(&mut self, id: u32, side: Side) -> bool {
        self.with(id, |stream| stream.half(side).trailers.is_some()) == Some(true)
    }

    fn holds(&mut self, id: u32, side: Side) -> bool {
        self.with(id, |stream| stream.half(side).held.is_some()) == Some(true)
    }

    fn iteration(&mut self, id: u32, seat: usize, side: Side) -> Iteration {
        self.at(id, seat, |stream| stream.gate(side).iteration).unwrap_or_default()
    }

    fn start_of(&mut self, id: u32, side: Side) -> Place {
        let seats = self.with(id, |stream| stream.seats.len()).unwrap_or(0);
        match side {
            _ if seats == 0 => Place::End,
            Side::Request => Place::At(0),
            Side::Response => Place::At(seats - 1),
        }
    }

    fn after(&mut self, id: u32, side: Side, seat: usize) -> Place {
        let seats = self.with(id, |stream| stream.seats.len()).unwrap_or(0);
        match side {
            Side::Request if seat + 1 < seats => Place::At(seat + 1),
            Side::Response if seat > 0 => Place::At(seat - 1),
            _ => Place::End,
        }
    }

    /// Where body and trailers go on that a plugin has held back, or made.
    fn next(&mut self, id: u32, side: Side, seat: usize) -> Place {
        let here = self.at(id, seat, |stream| stream.gate(side).resumes_here);
        if here == Some(true) { Place::At(seat) } else { self.after(id, side, seat) }
    }
}

/// What a direction had in store when it was resumed.
struct Resumed {
    pass_headers: bool,
    holds: bool,
    had_trailers: bool,
    complete: bool,
}

/// Nothing, if this direction has not even begun.
fn open_gate(stream: &mut Stream, side: Side) -> Option<Resumed> {
    if stream.gate(side).iteration == Iteration::Continue {
        stream.misuse.push(format!("{side:?} resumed while it was not paused"));
    }
    stream.half(side).headers.as_ref()?;
    let gate = stream.gate(side);
    gate.resumes_here = gate.iteration.stops_all();
    gate.iteration = Iteration::Continue;
    let pass_headers = !std::mem::replace(&mut gate.headers_passed, true);
    let half = stream.half(side);
    Some(Resumed {
        pass_headers,
        holds: half.held.is_some(),
        had_trailers: half.trailers.is_some() && !half.trailers_passed,
        complete: half.complete,
    })
}

impl Stream {
    pub(super) fn send_upstream(&mut self, end_of_stream: bool) {
        if self.upstream.is_none() {
            let headers = self.request.headers.clone().unwrap_or_default();
            self.upstream = Some(message(headers));
            self.finish(Side::Request, end_of_stream);
        }
    }

    fn send_to_client(&mut self, end_of_stream: bool, now: u64) {
        if self.client.is_some() {
            return;
        }
        let head = self.is_head();
        let headers = self.response.headers.get_or_insert_default();
        // In place: the log phase sees what was sent.
        outgoing(headers, now);
        let headers = headers.clone();
        let status = self.code.unwrap_or_default();
        let headers = if end_of_stream && !head { without_body(headers, status) } else { headers };
        self.client = Some(message(headers));
        self.finish(Side::Response, end_of_stream);
    }

    /// The passing piece leaves the chain.
    fn pass_piece(&mut self, side: Side, end_of_stream: bool) {
        let half = self.half(side);
        let held = half.held.take_if(|_| half.held_passes);
        let piece = held.unwrap_or_else(|| std::mem::take(&mut half.chunk));
        self.pass_body(side, piece, end_of_stream);
    }

    /// A piece of body leaves the chain.
    pub(super) fn pass_body(&mut self, side: Side, piece: Vec<u8>, end_of_stream: bool) {
        if side == Side::Response {
            self.response.bytes += piece.len();
        }
        if let Some(message) = self.destination(side)
            && !piece.is_empty()
        {
            message.body.push(piece);
        }
        self.finish(side, end_of_stream);
    }

    /// The trailers leave the chain.
    fn pass_trailers(&mut self, side: Side) {
        let half = self.half(side);
        if std::mem::replace(&mut half.trailers_passed, true) {
            return;
        }
        let trailers = half.trailers.clone().unwrap_or_default();
        if let Some(message) = self.destination(side) {
            message.trailers = trailers;
        }
        self.finish(side, true);
    }

    pub(super) fn destination(&mut self, side: Side) -> Option<&mut Message> {
        match side {
            Side::Request => self.upstream.as_mut(),
            Side::Response => self.client.as_mut(),
        }
    }

    fn finish(&mut self, side: Side, end_of_stream: bool) {
        match side {
            Side::Request => self.upstream_complete |= end_of_stream,
            Side::Response => self.ended |= end_of_stream,
        }
    }
}

fn message(headers: Headers) -> Message {
    Message { headers, ..Message::default() }
}

fn too_large(side: Side) -> LocalReply {
    let (status, body, details) = match side {
        Side::Request => (413, "Payload Too Large", "request_payload_too_large"),
        Side::Response => (500, "Internal Server Error", "response_payload_too_large"),
    };
    LocalReply { status, body: body.into(), details: details.into(), ..LocalReply::default() }
}

#[cfg(test)]
mod tests;
