//! Calls of gRPC and connections that are open, which are reported from time to time.

use crate::expressions::Results;
use crate::plugin::{Ends, Plugin, is_settled};
use crate::policy::{Fact, Facts, LONGEST_VALUE, Protocol, Side, Value};
use proxy_wasm_kit::{Bytes, ContextId};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// What is open, by its stream.
#[derive(Default)]
pub(crate) struct Open(RefCell<HashMap<ContextId, Reported>>);

#[derive(Clone)]
enum Reported {
    Call(Rc<Call>),
    Connection(Rc<Connection>),
}

impl Open {
    pub(crate) fn call(&self, call: &Rc<Call>) {
        self.insert(Reported::Call(call.clone()));
    }

    pub(crate) fn connection(&self, connection: &Rc<Connection>) {
        self.insert(Reported::Connection(connection.clone()));
    }

    fn insert(&self, opened: Reported) {
        if let Some(stream) = ContextId::current() {
            self.0.borrow_mut().insert(stream, opened);
        }
    }

    /// The stream whose callback runs is over.
    pub(crate) fn close(&self) {
        if let Some(stream) = ContextId::current() {
            self.0.borrow_mut().remove(&stream);
        }
    }

    /// Reports all that is open.
    pub(crate) fn report(&self, plugin: &Plugin) {
        let open: Vec<_> = self.0.borrow().iter().map(|(stream, open)| (*stream, open.clone())).collect();
        for (stream, reported) in open {
            let entered = stream.enter(|| match reported {
                Reported::Call(call) => call.report(plugin),
                Reported::Connection(connection) => connection.report(plugin),
            });
            if entered.is_err() {
                // It is gone, and nobody said so.
                self.0.borrow_mut().remove(&stream);
            }
        }
    }
}

/// A call of gRPC, which may be open for long.
pub(crate) struct Call {
    /// The proxy does not know it any more when a timer asks.
    host: Bytes,
    /// Messages of the client and of the server that were reported.
    reported: Cell<(u64, u64)>,
}

impl Call {
    pub(crate) fn new(host: &Bytes) -> Self {
        // As far as a label can hold it: a call may be open for long, and there may be many.
        let host = host.get(..LONGEST_VALUE).unwrap_or(host).to_vec().into();
        Self { host, reported: Cell::new((0, 0)) }
    }

    /// The host that it was reported under; `None` when it was not.
    pub(crate) fn reported_host(&self) -> Option<&Bytes> {
        (self.reported.get() != (0, 0)).then_some(&self.host)
    }

    /// How many messages there are that were not reported; now they are.
    pub(crate) fn unreported(&self, (request, response): (u64, u64)) -> (u64, u64) {
        let (known_request, known_response) = self.reported.replace((request, response));
        (request.saturating_sub(known_request), response.saturating_sub(known_response))
    }

    /// Expressions would see the plugin and not the call, so with them a call is reported at its end.
    fn report(&self, plugin: &Plugin) {
        if plugin.has_expressions() {
            return;
        }
        let side = plugin.side();
        let look = |wanted: fn(Fact) -> bool| plugin.look_at(side, Protocol::Grpc, wanted);
        let messages = look(|fact| fact == Fact::Messages).facts(side).messages();
        if messages == self.reported.get() {
            return;
        }
        let other = plugin.other(side);
        if plugin.calls_wait() && !is_settled(side, other.as_ref()) {
            return;
        }
        let answers = look(is_of_open_calls);
        let mut facts = answers.facts(side);
        facts.set(Fact::Host, &self.host);
        let (request, response) = self.unreported(messages);
        let ends = plugin.ends_with(side, other, &facts);
        plugin.report((side, Protocol::Grpc), &facts, &ends, &Results::default(), |value| match value {
            Value::RequestMessages => Some(request),
            Value::ResponseMessages => Some(response),
            _ => None,
        });
    }
}

/// What the labels of messages are made of.
fn is_of_open_calls(fact: Fact) -> bool {
    !matches!(
        fact,
        Fact::Duration
            | Fact::RequestSize
            | Fact::ResponseSize
            | Fact::Flags
            | Fact::Code
            | Fact::GrpcStatus
            | Fact::ContentType
            | Fact::Host
            | Fact::Messages
    )
}

/// A TCP connection.
#[derive(Default)]
pub(crate) struct Connection {
    /// Bytes from the client.
    pub(crate) received: Amount,
    /// Bytes to the client.
    pub(crate) sent: Amount,
    is_counted: Cell<bool>,
    idle: Idle,
    results: OnceCell<Results>,
}

/// How much there was, and how much of it was reported.
#[derive(Default)]
pub(crate) struct Amount {
    total: Cell<u64>,
    reported: Cell<u64>,
}

impl Amount {
    pub(crate) fn add(&self, amount: usize) {
        let amount = u64::try_from(amount).unwrap_or(u64::MAX);
        self.total.set(self.total.get().saturating_add(amount));
    }

    fn total(&self) -> u64 {
        self.total.get()
    }

    fn has_news(&self) -> bool {
        self.total.get() != self.reported.get()
    }

    fn unreported(&self) -> u64 {
        self.total.get().saturating_sub(self.reported.replace(self.total.get()))
    }
}

/// How often a connection is looked at whose other end is not known yet: always when bytes have come, and otherwise after 1,
/// 2, 4 and up to 64 reports. There may be many that nobody will ever know.
#[derive(Default)]
struct Idle {
    bytes: Cell<(u64, u64)>,
    left: Cell<u8>,
    wait: Cell<u8>,
}

impl Idle {
    fn skips(&self, received: u64, sent: u64) -> bool {
        if self.bytes.replace((received, sent)) != (received, sent) {
            self.left.set(0);
            self.wait.set(1);
            return false;
        }
        match self.left.get().checked_sub(1) {
            Some(left) => self.left.set(left),
            None => {
                self.left.set(self.wait.get());
                self.wait.set(self.wait.get().saturating_mul(2).clamp(1, 64));
                return false;
            }
        }
        true
    }
}

impl Connection {
    /// Bytes have come from the server: now all is there that expressions may ask for, and they may be asked.
    pub(crate) fn evaluate(&self, plugin: &Plugin) {
        if plugin.has_expressions() && self.results.get().is_none() {
            let (_, _, results) = plugin.see(Protocol::Tcp);
            self.results.get_or_init(|| results);
        }
    }

    /// While it is open: as soon as it is known who is at the other end, or that nobody will say. What is idle costs nothing
    /// then, and little before.
    fn report(&self, plugin: &Plugin) {
        let none = Results::default();
        let results = if plugin.has_expressions() { self.results.get() } else { Some(&none) };
        let has_news = !self.is_counted.get() || self.received.has_news() || self.sent.has_news();
        let Some(results) = results.filter(|_| has_news) else { return };
        if !self.is_counted.get() && self.idle.skips(self.received.total(), self.sent.total()) {
            return;
        }
        let side = plugin.side();
        let other = plugin.other(side);
        if !is_settled(side, other.as_ref()) {
            return;
        }
        let answers = plugin.look_at(side, Protocol::Tcp, |_| true);
        let facts = answers.facts(side);
        let ends = plugin.ends_with(side, other, &facts);
        self.write(plugin, side, &facts, &ends, results, false);
    }

    /// It is over.
    pub(crate) fn finish(&self, plugin: &Plugin) {
        let (side, answers, results) = plugin.see(Protocol::Tcp);
        let facts = answers.facts(side);
        let ends = plugin.ends(side, &facts);
        self.write(plugin, side, &facts, &ends, &results, true);
    }

    fn write(
        &self,
        plugin: &Plugin,
        side: Side,
        facts: &Facts<'_>,
        ends: &Ends,
        results: &Results,
        is_over: bool,
    ) {
        let (sent, received) = (self.sent.unreported(), self.received.unreported());
        let opened = u64::from(!self.is_counted.replace(true));
        plugin.report((side, Protocol::Tcp), facts, ends, results, |value| match value {
            Value::Sent => Some(sent),
            Value::Received => Some(received),
            Value::Opened => Some(opened),
            Value::Closed => Some(u64::from(is_over)),
            _ => None,
        });
    }
}
