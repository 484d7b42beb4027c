//! The filter chain with the plugin as its only filter: on one end the router to the upstream, on the other the client.
//!
//! Both directions follow the same rules, those of Envoy's filter manager: a filter can stop headers, body and trailers,
//! what arrives meanwhile is held back, and resuming delivers it, in whole, behind the filter or from it on (row 16).

use super::filter::BodyVerdict;
use super::guest::{Guest, Side};
use super::reply::LocalReply;
use super::stream::{Iteration, Stream};
use super::worker::{Worker, outgoing, without_body};
use crate::exchange::{Headers, Message};

impl<G: Guest> Worker<G> {
    /// Headers arrive at the plugin.
    pub(super) fn headers(&mut self, id: u32, side: Side, end_of_stream: bool) {
        self.with(id, |stream| stream.half(side).ended = end_of_stream);
        let verdict = self.calling(id, side, |worker| worker.filter_headers(id, side, end_of_stream));
        if !self.goes_on(id, side) {
            return self.send_prepared(id);
        }
        if verdict == Iteration::Continue {
            return self.pass_headers(id, side, end_of_stream);
        }
        self.with(id, |stream| stream.half(side).iteration = verdict);
    }

    /// A piece of the body arrives at the plugin.
    pub(super) fn data(&mut self, id: u32, side: Side, piece: Vec<u8>, end_of_stream: bool) {
        match self.with(id, |stream| stream.half(side).iteration) {
            Some(Iteration::StopAllAndBuffer) => return self.hold(id, side, piece, true),
            Some(Iteration::StopAllAndWatermark) => return self.hold(id, side, piece, false),
            _ => {}
        }
        let had_trailers = self.with(id, |stream| {
            let half = stream.half(side);
            half.chunk = piece;
            half.ended = end_of_stream;
            half.trailers.is_some()
        });
        let verdict = self.calling(id, side, |worker| worker.filter_data(id, side, end_of_stream));
        if !self.goes_on(id, side) {
            return self.send_prepared(id);
        }
        let made_trailers = had_trailers == Some(false) && self.has_trailers(id, side);
        self.after_data(id, side, verdict, end_of_stream && !made_trailers);
        let passed = self.with(id, |stream| stream.half(side).iteration == Iteration::Continue);
        if made_trailers && passed == Some(true) {
            self.pass_trailers(id, side);
        }
    }

    /// The trailers arrive at the plugin.
    pub(super) fn trailers(&mut self, id: u32, side: Side) {
        if self.with(id, |stream| stream.half(side).iteration.stops_all()) != Some(false) {
            return;
        }
        self.with(id, |stream| stream.half(side).ended = true);
        let goes_on = self.calling(id, side, |worker| worker.filter_trailers(id, side));
        if !self.goes_on(id, side) {
            return self.send_prepared(id);
        }
        match self.with(id, |stream| stream.half(side).iteration) {
            Some(Iteration::Stop) if goes_on => self.resume(id, side),
            Some(Iteration::Continue) if goes_on => self.pass_trailers(id, side),
            Some(Iteration::Continue) => {
                self.with(id, |stream| stream.half(side).iteration = Iteration::Stop);
            }
            _ => {}
        }
    }

    /// Lets a stopped direction go on, with all that was held back.
    pub(super) fn resume(&mut self, id: u32, side: Side) {
        if !self.goes_on(id, side) {
            return;
        }
        let Some(state) = self.with(id, |stream| take_held(stream, side)).flatten() else { return };
        if state.pass_headers {
            self.pass_headers(id, side, state.complete && state.held.is_none() && !state.had_trailers);
        }
        if let Some(held) = state.held
            && self.goes_on(id, side)
        {
            let end_of_stream = state.complete && !state.had_trailers;
            if state.resume_here {
                self.data(id, side, held, end_of_stream);
            } else {
                self.pass_data(id, side, held, end_of_stream);
            }
        }
        if state.had_trailers && self.goes_on(id, side) {
            if state.resume_here { self.trailers(id, side) } else { self.pass_trailers(id, side) }
        }
    }

    /// Adds to what is held back. More than the limit ends the stream, unless the sender is being slowed down.
    pub(super) fn hold(&mut self, id: u32, side: Side, piece: Vec<u8>, limited: bool) {
        let limit = self.vm.borrow().setup.buffer_limit;
        let size = self.with(id, |stream| {
            let held = stream.half(side).held.get_or_insert_default();
            held.extend(piece);
            held.len()
        });
        if limited && size.is_some_and(|size| size > limit) {
            self.local_reply(id, too_large(side));
        }
    }

    fn after_data(&mut self, id: u32, side: Side, verdict: BodyVerdict, end_of_stream: bool) {
        let Some((piece, iteration)) = self.with(id, |stream| {
            let half = stream.half(side);
            (std::mem::take(&mut half.chunk), half.iteration)
        }) else {
            return;
        };
        match (verdict, iteration) {
            (BodyVerdict::Continue, Iteration::Continue) => {
                return self.pass_data(id, side, piece, end_of_stream);
            }
            (BodyVerdict::Continue, _) => {
                self.hold(id, side, piece, true);
                return self.resume(id, side);
            }
            (BodyVerdict::Buffer, _) => self.hold(id, side, piece, true),
            (BodyVerdict::Watermark, _) => self.hold(id, side, piece, false),
            (BodyVerdict::Drop, _) if end_of_stream => self.hold(id, side, Vec::new(), false),
            (BodyVerdict::Drop, _) => {}
        }
        self.with(id, |stream| stream.half(side).iteration = Iteration::Stop);
    }

    /// Headers leave the plugin: the router sends them upstream, or the client gets them.
    pub(super) fn pass_headers(&mut self, id: u32, side: Side, end_of_stream: bool) {
        let now = self.vm.borrow().now();
        self.with(id, |stream| {
            let head = stream.is_head();
            let half = stream.half(side);
            if std::mem::replace(&mut half.headers_passed, true) {
                return;
            }
            let headers = half.headers.get_or_insert_default();
            match side {
                Side::Request => stream.upstream = Some(message(headers.clone())),
                Side::Response => {
                    // In place: the log phase sees what was sent.
                    outgoing(headers, now);
                    let headers = headers.clone();
                    let status = stream.code.unwrap_or_default();
                    let headers =
                        if end_of_stream && !head { without_body(headers, status) } else { headers };
                    stream.client = Some(message(headers));
                }
            }
            finish(stream, side, end_of_stream);
        });
    }

    /// A piece of body leaves the plugin.
    pub(super) fn pass_data(&mut self, id: u32, side: Side, piece: Vec<u8>, end_of_stream: bool) {
        self.with(id, |stream| {
            if side == Side::Response {
                stream.response.bytes += piece.len();
            }
            if let Some(message) = destination(stream, side)
                && !piece.is_empty()
            {
                message.body.push(piece);
            }
            finish(stream, side, end_of_stream);
        });
    }

    /// The trailers leave the plugin.
    fn pass_trailers(&mut self, id: u32, side: Side) {
        self.with(id, |stream| {
            let half = stream.half(side);
            if std::mem::replace(&mut half.trailers_passed, true) {
                return;
            }
            let trailers = half.trailers.clone().unwrap_or_default();
            if let Some(message) = destination(stream, side) {
                message.trailers = trailers;
            }
            finish(stream, side, true);
        });
    }

    /// Runs a filter callback, marking whose it is.
    fn calling<T>(&mut self, id: u32, side: Side, run: impl FnOnce(&mut Self) -> T) -> T {
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
}

/// What a direction had in store when it was resumed.
struct Resumed {
    held: Option<Vec<u8>>,
    pass_headers: bool,
    had_trailers: bool,
    complete: bool,
    resume_here: bool,
}

/// Nothing, if this direction has not even begun.
fn take_held(stream: &mut Stream, side: Side) -> Option<Resumed> {
    if stream.half(side).iteration == Iteration::Continue {
        stream.misuse.push(format!("{side:?} resumed while it was not paused"));
    }
    let half = stream.half(side);
    half.headers.as_ref()?;
    let resume_here = half.iteration.stops_all();
    half.iteration = Iteration::Continue;
    Some(Resumed {
        held: half.held.take(),
        pass_headers: !half.headers_passed,
        had_trailers: half.trailers.is_some() && !half.trailers_passed,
        complete: half.complete,
        resume_here,
    })
}

fn message(headers: Headers) -> Message {
    Message { headers, ..Message::default() }
}

fn destination(stream: &mut Stream, side: Side) -> Option<&mut Message> {
    match side {
        Side::Request => stream.upstream.as_mut(),
        Side::Response => stream.client.as_mut(),
    }
}

fn finish(stream: &mut Stream, side: Side, end_of_stream: bool) {
    match side {
        Side::Request => stream.upstream_complete |= end_of_stream,
        Side::Response => stream.ended |= end_of_stream,
    }
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
