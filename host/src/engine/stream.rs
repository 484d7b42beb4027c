//! The state of one HTTP stream: what the proxy knows of it, and what of that the plugin can reach.

use super::foreign::Held;
use super::guest::Side;
use super::live::Link;
use super::reply::LocalReply;
use super::tcp::Tcp;
use super::watch::Watch;
use crate::exchange::{Headers, Message};
use std::collections::BTreeMap;

/// One HTTP stream, and each plugin's part in it.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) request: Half,
    pub(super) response: Half,
    /// The plugins of the chain, in the order in which a request passes them.
    pub(super) seats: Vec<Seat>,
    /// The seat from which somebody looks at the stream.
    looking: usize,
    /// The side whose callback is running.
    pub(super) calling: Option<Side>,
    /// A local reply waiting for the running callback to return.
    pub(super) prepared: Option<LocalReply>,
    pub(super) details: Option<String>,
    pub(super) upstream: Option<Message>,
    /// The whole request reached the upstream.
    pub(super) upstream_complete: bool,
    pub(super) client: Option<Message>,
    /// There is no host to send the request to.
    pub(super) no_host: bool,
    /// Nobody listened at the upstream's address.
    pub(super) refused: bool,
    /// Envoy's response flags, but for those of the client.
    pub(super) flags: i64,
    /// The status of the response, known from when it begins.
    pub(super) code: Option<u16>,
    /// The upstream made the response.
    pub(super) answered: bool,
    /// The client went away before its answer came.
    pub(super) abandoned: bool,
    /// The whole response reached the client.
    pub(super) ended: bool,
    pub(super) reset: bool,
    /// The request is over, one way or another: durations are known.
    pub(super) complete: bool,
    pub(super) filter_state: BTreeMap<String, Vec<u8>>,
    /// What the access log shows of expressions.
    pub(super) expressions: BTreeMap<String, String>,
    /// What is known of filter state beside its value, by the same names.
    pub(super) held: BTreeMap<String, Held>,
    pub(super) route_clears: u32,
    pub(super) misuse: Vec<String>,
    pub(super) start_time: u64,
    /// Of a TCP connection.
    pub(super) tcp: Option<Tcp>,
    /// The client's connection, where there is a real one.
    pub(super) link: Option<Link>,
    /// What the plugins do to it, where somebody watches.
    pub(super) watch: Option<Box<Watch>>,
}

/// A plugin's part in a stream.
#[derive(Default)]
pub(super) struct Seat {
    /// The plugin's context.
    pub(super) context: u32,
    /// Index of the plugin.
    pub(super) plugin: usize,
    /// The plugin is part of this stream; not so when its VM had failed before and the plugin fails open.
    pub(super) plugged: bool,
    /// The guest was told of this context.
    pub(super) created: bool,
    /// The last headers or body callback ended its side.
    pub(super) end_of_stream: bool,
    /// `on_log` is running: only copies of the headers can be read.
    pub(super) logging: bool,
    /// The reply for a failed VM was sent.
    pub(super) failed: bool,
    pub(super) request: Gate,
    pub(super) response: Gate,
}

/// How one direction of a stream stands at one plugin.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) iteration: Iteration,
    /// What is held back is shown to this plugin first when the direction goes on (row 16).
    pub(super) resumes_here: bool,
    pub(super) headers_passed: bool,
    /// The plugin has seen the end of this direction.
    pub(super) ended: bool,
    /// Which of these the plugin can reach now (row 21).
    pub(super) reach: Reach,
}

/// One direction of a stream, as all plugins see it.
#[derive(Default)]
pub(super) struct Half {
    pub(super) headers: Option<Headers>,
    pub(super) trailers: Option<Headers>,
    /// The piece of the body that is passing.
    pub(super) chunk: Vec<u8>,
    /// What a plugin made the proxy hold back; Envoy has one such buffer for all of them.
    pub(super) held: Option<Vec<u8>>,
    /// The piece that is passing is all that was held back.
    pub(super) held_passes: bool,
    pub(super) trailers_passed: bool,
    /// All of this direction has arrived.
    pub(super) complete: bool,
    /// A local reply ended the way through the plugins.
    pub(super) aborted: bool,
    /// Bytes of body: those that have arrived, of a request; those that have left, of a response.
    pub(super) bytes: usize,
    /// The headers that have left the plugins were taken on their way.
    pub(super) taken: bool,
}

/// What the plugin can reach of one direction.
#[derive(Clone, Copy, Default)]
pub(super) struct Reach {
    pub(super) headers: bool,
    pub(super) chunk: bool,
    /// The body buffer is what is held back, not the passing piece (row 14).
    pub(super) held: bool,
    pub(super) trailers: bool,
}

/// How far a direction may go on by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Iteration {
    #[default]
    Continue,
    /// Headers or body stopped at the plugin; what follows is still shown to it.
    Stop,
    /// Everything is held back before the plugin, up to the buffer limit.
    StopAllAndBuffer,
    /// Everything is held back before the plugin, and the sender is slowed down.
    StopAllAndWatermark,
}

impl Iteration {
    pub(super) fn stops_all(self) -> bool {
        matches!(self, Self::StopAllAndBuffer | Self::StopAllAndWatermark)
    }
}

impl Half {
    /// The piece of the body that is passing, wherever it is kept.
    pub(super) fn piece(&mut self) -> Option<&mut Vec<u8>> {
        if self.held_passes { self.held.as_mut() } else { Some(&mut self.chunk) }
    }
}

impl Seat {
    pub(super) fn gate(&mut self, side: Side) -> &mut Gate {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }
}

impl Stream {
    /// A stream with these plugins.
    pub(super) fn new(seats: Vec<Seat>, start_time: u64, watch: Option<Box<Watch>>) -> Self {
        Self { seats, start_time, watch, ..Self::default() }
    }

    /// The stream as the plugin in this seat sees it.
    pub(super) fn seen_from(&mut self, seat: usize) -> &mut Self {
        self.looking = seat;
        self
    }

    /// The seat from which the stream is looked at.
    pub(super) fn seat(&mut self) -> &mut Seat {
        &mut self.seats[self.looking]
    }

    /// The number of that seat.
    pub(super) fn seat_number(&self) -> usize {
        self.looking
    }

    /// How a direction stands at the seat from which the stream is looked at.
    pub(super) fn gate(&mut self, side: Side) -> &mut Gate {
        self.seat().gate(side)
    }

    pub(super) fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    /// The buffer behind the body buffer types; none when there is nothing to read or write.
    pub(super) fn buffer(&mut self, side: Side) -> Option<&mut Vec<u8>> {
        let (reach, http) = (self.gate(side).reach, self.tcp.is_none());
        match reach {
            Reach { held: true, .. } => self.half(side).held.as_mut(),
            Reach { chunk: true, .. } if http => self.half(side).piece(),
            _ => None,
        }
    }

    /// A response begins, whoever makes it.
    pub(super) fn begin_response(&mut self, headers: Headers) {
        let message = Message { headers, ..Message::default() };
        self.code = Some(message.status());
        self.response.headers = Some(message.headers);
    }

    pub(super) fn is_head(&self) -> bool {
        self.request.headers.as_ref().is_some_and(|headers| headers.first(":method") == Some(b"HEAD"))
    }

    /// Nothing more happens on this stream.
    pub(super) fn over(&self) -> bool {
        self.ended || self.reset
    }

    /// The route is looked up again (row 26).
    pub(super) fn clear_route(&mut self) {
        self.route_clears += 1;
    }
}
