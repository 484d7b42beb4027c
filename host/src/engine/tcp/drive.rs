//! Drives connections: from the first plugin that is told of one to its end.

use super::{CLUSTER, Tcp};
use crate::connection::{Act, Connected, Connection};
use crate::engine::guest::{Call, Guest, Side};
use crate::engine::worker::Worker;
use crate::exchange::Message;

/// Who closed a connection, as the guest is told.
const UNKNOWN: u32 = 0;
const LOCAL: u32 = 1;
const REMOTE: u32 = 2;

/// The response flags of a connection that the upstream refuses, which the TCP proxy tries once: UF and URX.
const REFUSED: i64 = 1 << 5 | 1 << 15;

impl<G: Guest> Worker<G> {
    /// Runs one connection to its end, or until nothing is left that could move it.
    pub fn connect(&mut self, connection: Connection) -> Connected {
        let first_line = self.prepare();
        let id = self.open();
        self.with(id, |stream| stream.tcp = Some(Tcp::new(&connection)));
        self.introduce(id, 0);
        for act in connection.acts.into_iter().chain([Act::ClientEnds, Act::UpstreamEnds]) {
            self.settle();
            self.act(id, act);
        }
        self.settle();
        let tcp = self.with(id, |stream| stream.tcp.take()).flatten().unwrap_or_default();
        self.forget(id);
        Connected {
            cluster: (tcp.connected && tcp.closed).then(|| tcp.cluster().to_owned()),
            client: tcp.upstream.received,
            client_ended: tcp.upstream.end_passed || tcp.closed,
            upstream: tcp.connected.then_some(tcp.downstream.received),
            upstream_ended: tcp.downstream.end_passed || tcp.closed,
            held_back: !tcp.closed,
            seen: self.report(id, first_line),
        }
    }

    fn act(&mut self, id: u32, act: Act) {
        match act {
            Act::Wait(time) => self.pass(time),
            Act::ClientSends(bytes) => self.arrives(id, Side::Request, &bytes, false),
            Act::ClientEnds => self.arrives(id, Side::Request, &[], true),
            Act::UpstreamSends(bytes) => self.arrives(id, Side::Response, &bytes, false),
            Act::UpstreamEnds => self.arrives(id, Side::Response, &[], true),
            Act::ClientResets if self.tcp(id, |tcp| tcp.connected) == Some(true) => self.shut(id, REMOTE),
            Act::UpstreamResets if self.tcp(id, |tcp| tcp.connected) == Some(true) => self.shut(id, LOCAL),
            Act::ClientResets | Act::UpstreamResets => {}
        }
    }

    /// Bytes arrive at the proxy, or their end. An upstream that is not connected cannot say anything.
    fn arrives(&mut self, id: u32, side: Side, bytes: &[u8], end: bool) {
        let heard = self.tcp(id, |tcp| {
            let heard = !tcp.closed && !tcp.flow(side).ended && (tcp.connected || side == Side::Request);
            if heard {
                tcp.flow(side).buffer.extend(bytes);
                tcp.flow(side).ended = end;
            }
            heard && tcp.connected
        });
        if heard == Some(true) {
            self.with(id, |stream| {
                stream.request.bytes += if side == Side::Request { bytes.len() } else { 0 };
            });
            self.flow(id, side, 0);
            self.after_end(id, side, end);
        }
    }

    /// Envoy closes a connection of which both directions are over.
    fn after_end(&mut self, id: u32, side: Side, end: bool) {
        let closed_by = self.tcp(id, |tcp| match side {
            _ if !end || tcp.closed => None,
            Side::Request if tcp.upstream.end_passed => Some(REMOTE),
            Side::Request if tcp.upstream.ended && tcp.downstream.end_passed => Some(LOCAL),
            // The upstream's connection is over; else the client's is.
            Side::Response if tcp.downstream.end_passed => Some(LOCAL),
            Side::Response if tcp.downstream.ended && tcp.upstream.end_passed => Some(LOCAL),
            _ => None,
        });
        if let Some(closed_by) = closed_by.flatten() {
            self.shut(id, closed_by);
        }
    }

    /// Tells the plugins from this one on of the connection; then the upstream is connected to.
    fn introduce(&mut self, id: u32, from: usize) {
        for seat in from..self.seats(id) {
            self.create(id, seat);
            self.tcp(id, |tcp| tcp.introduced = seat + 1);
            let context = self.context_at(id, seat);
            if !self.asked(id, seat, &Call::NewConnection { context }) || self.is_closed(id) {
                return;
            }
        }
        let known = self.choose_cluster(id);
        let refused = self.tcp(id, |tcp| tcp.refused) == Some(true);
        if known && refused {
            self.with(id, |stream| stream.flags |= REFUSED);
        }
        if !known || refused {
            return self.shut(id, LOCAL);
        }
        self.with(id, |stream| {
            stream.upstream = Some(Message::default());
            let tcp = stream.tcp.get_or_insert_default();
            tcp.connected = true;
            stream.request.bytes = tcp.downstream.buffer.len();
        });
        let ended = self.tcp(id, |tcp| tcp.downstream.ended) == Some(true);
        self.flow(id, Side::Request, 0);
        self.after_end(id, Side::Request, ended);
    }

    /// The TCP proxy goes where a plugin says, by the filter state that it reads for this. Tells whether there is such a
    /// cluster.
    fn choose_cluster(&self, id: u32) -> bool {
        let chosen = self.with(id, |stream| {
            let name = stream.filter_state.get("envoy.tcp_proxy.cluster")?;
            let name = String::from_utf8_lossy(name).into_owned();
            stream.tcp.as_mut()?.cluster = Some(name.clone());
            Some(name)
        });
        let vm = self.vm.borrow();
        chosen.flatten().is_none_or(|name| name == CLUSTER || vm.setup.tcp_clusters.contains(&name))
    }

    /// Shows what is there to the plugins, but for the first `skip`; what all of them let pass reaches the other end. The
    /// upstream's data meets them in the other order.
    fn flow(&mut self, id: u32, side: Side, skip: usize) {
        let seats = self.seats(id);
        for step in skip..seats {
            let seat = if side == Side::Request { step } else { seats - 1 - step };
            let Some(pending) = self.tcp(id, |tcp| tcp.flow(side).pending()).flatten() else { return };
            if !self.show(id, seat, side, pending) || self.is_closed(id) {
                return;
            }
        }
        let passed = self.tcp(id, |tcp| tcp.flow(side).pass()).unwrap_or(0);
        self.with(id, |stream| stream.response.bytes += if side == Side::Response { passed } else { 0 });
    }

    fn show(&mut self, id: u32, seat: usize, side: Side, (size, end_of_stream): (usize, bool)) -> bool {
        self.at(id, seat, |stream| stream.gate(side).reach.chunk = true);
        let (context, size) = (self.context_at(id, seat), u32::try_from(size).unwrap_or(u32::MAX));
        let goes_on = self.asked(id, seat, &Call::Data { context, side, size, end_of_stream });
        if goes_on {
            self.at(id, seat, |stream| stream.gate(side).reach.chunk = false);
        }
        if side == Side::Response && end_of_stream && self.hears(id, seat) {
            self.notify(&Call::ConnectionClose { context, side, closed_by: UNKNOWN });
        }
        goes_on
    }

    /// Enters a callback of a connection; true when it may go on.
    fn asked(&mut self, id: u32, seat: usize, call: &Call) -> bool {
        if !self.hears(id, seat) {
            return true;
        }
        if self.failed(call.context()) {
            return self.connection_failed(id, call.context());
        }
        if !self.has(call) {
            return true;
        }
        let action = self.call(call);
        self.vm.borrow_mut().stop_iteration = false;
        self.run_deferred();
        match action {
            Ok(action) => action == 0,
            Err(_) => self.connection_failed(id, call.context()),
        }
    }

    /// Row 49: a connection whose plugin has failed is closed, unless the plugin fails open.
    fn connection_failed(&mut self, id: u32, context: u32) -> bool {
        let open = self.setting(context, |setup| setup.fail_open);
        if !open {
            self.shut(id, LOCAL);
        }
        open
    }

    /// A plugin lets its direction go on: the introduction, or what it has stopped of the client's data.
    pub(in crate::engine) fn proceed(&mut self, id: u32, seat: usize) {
        match self.tcp(id, |tcp| (tcp.closed, tcp.connected, tcp.introduced)) {
            Some((false, false, introduced)) if introduced == seat + 1 => self.introduce(id, seat + 1),
            Some((false, true, _)) => {
                self.flow(id, Side::Request, seat + 1);
                let ended = self.tcp(id, |tcp| tcp.downstream.ended) == Some(true);
                self.after_end(id, Side::Request, ended);
            }
            _ => {}
        }
    }

    /// Closes the client's connection, and tells the plugins: closed, done, log, delete (row 29).
    pub(in crate::engine) fn shut(&mut self, id: u32, closed_by: u32) {
        let open = self.tcp(id, |tcp| {
            let open = !std::mem::replace(&mut tcp.closed, true);
            if open {
                tcp.downstream.buffer.clear();
                tcp.upstream.buffer.clear();
            }
            open
        });
        if open != Some(true) {
            return;
        }
        let heard: Vec<_> = (0..self.seats(id)).filter(|seat| self.hears(id, *seat)).collect();
        for seat in &heard {
            let context = self.context_at(id, *seat);
            self.notify(&Call::ConnectionClose { context, side: Side::Request, closed_by });
        }
        self.log_expressions(id);
        for seat in heard {
            let context = self.context_at(id, seat);
            self.notify(&Call::Done { context });
            self.at(id, seat, |stream| stream.seat().logging = true);
            self.notify(&Call::Log { context });
            self.at(id, seat, |stream| stream.seat().logging = false);
            self.notify(&Call::Delete { context });
        }
    }

    fn tcp<T>(&self, id: u32, look: impl FnOnce(&mut Tcp) -> T) -> Option<T> {
        self.with(id, |stream| stream.tcp.as_mut().map(look)).flatten()
    }

    fn is_closed(&self, id: u32) -> bool {
        self.tcp(id, |tcp| tcp.closed) != Some(false)
    }

    fn seats(&self, id: u32) -> usize {
        self.with(id, |stream| stream.seats.len()).unwrap_or(0)
    }

    fn context_at(&self, id: u32, seat: usize) -> u32 {
        self.at(id, seat, |stream| stream.seat().context).unwrap_or(0)
    }

    /// Whether the guest knows the connection.
    fn hears(&self, id: u32, seat: usize) -> bool {
        self.at(id, seat, |stream| stream.seat().created) == Some(true)
    }

    fn forget(&mut self, id: u32) {
        for seat in 0..self.seats(id) {
            let context = self.context_at(id, seat);
            self.vm.borrow_mut().forget_context(context);
        }
        self.sweep();
    }
}
