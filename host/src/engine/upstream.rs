//! The upstream of a request, as the router behind the last plugin meets it: it answers, late, in part, or not at all.
//!
//! Measured on Envoy 1.40: a request for a cluster without a host is answered as soon as its headers have passed the
//! plugins, one whose connection is refused when that is known; when an answer breaks off, that is a protocol error, for
//! which the router answers itself if the client has nothing yet, past the plugins.

use super::calls::failure_text;
use super::guest::{Guest, Side};
use super::live::Outage;
use super::reply::LocalReply;
use super::worker::Worker;
use crate::exchange::Message;
use crate::outside::{Answer, Fault, TERMINATED};

/// Response flags of Envoy.
mod flag {
    pub(super) const NO_HOST: i64 = 1 << 1;
    pub(super) const TIMEOUT: i64 = 1 << 2;
    pub(super) const REFUSED: i64 = 1 << 5;
    pub(super) const TERMINATED: i64 = 1 << 6;
    pub(super) const PROTOCOL_ERROR: i64 = 1 << 23;
}

/// Why there is no connection, as the transport says it.
pub(super) const CONNECTION_REFUSED: &str = "delayed connect error: Connection refused";

impl<G: Guest> Worker<G> {
    /// Whether the upstream can be asked for its answer now.
    pub(super) fn upstream_is_due(&self, id: u32, answer: &Answer) -> bool {
        let due = self.with(id, |stream| match answer.fault {
            _ if stream.over() => false,
            // Nobody waits for a body that has nowhere to go.
            Some(Fault::Refuse) => stream.upstream.is_some(),
            _ => stream.upstream_complete,
        });
        due == Some(true)
    }

    /// The headers of a request reach the router.
    pub(super) fn route(&mut self, id: u32, end_of_stream: bool) {
        if self.with(id, |stream| stream.no_host) == Some(true) {
            // The router is a filter, too.
            self.calling(id, Side::Request, |worker| worker.unreachable(id, Fault::NoHost));
            return self.send_prepared(id);
        }
        self.with(id, |stream| stream.send_upstream(end_of_stream));
    }

    /// The upstream answers, or something goes wrong with it.
    pub(super) fn answer(&mut self, id: u32, answer: &Answer) {
        if self.with(id, |stream| stream.over()) != Some(false) {
            return;
        }
        match answer.fault {
            Some(Fault::Timeout | Fault::NoHost) => {}
            Some(fault @ (Fault::Refuse | Fault::Disconnect)) => self.unreachable(id, fault),
            Some(Fault::Reset) => self.answer_in_part(id, answer),
            Some(Fault::Oversize) => self.answer_in_full(id, answer.oversized()),
            None => self.answer_in_full(id, answer.message.clone()),
        }
    }

    fn answer_in_full(&mut self, id: u32, message: Message) {
        self.via_upstream(id);
        self.send(id, Side::Response, message);
    }

    /// A part arrives; then the connection breaks off, and the client's with it.
    fn answer_in_part(&mut self, id: u32, answer: &Answer) {
        self.via_upstream(id);
        self.send_part(id, Side::Response, answer.cut_off());
        self.broken_off(id);
    }

    /// The rest of an answer is missing.
    fn broken_off(&mut self, id: u32) {
        if self.with(id, |stream| stream.over()) == Some(false) {
            self.with(id, |stream| stream.flags |= flag::PROTOCOL_ERROR);
            let details = "upstream_reset_after_response_started{protocol_error}";
            self.local_reply(id, reply(502, details, failure_text("protocol error")));
        }
    }

    /// There is no answer of a real upstream, or its rest is missing.
    pub fn upstream_fails(&mut self, id: u32, outage: Outage) {
        match (outage, self.with(id, |stream| (stream.over(), stream.response.headers.is_some()))) {
            (_, None | Some((true, _))) => {}
            (_, Some((false, true))) => self.broken_off(id),
            (Outage::Refused, _) => self.unreachable(id, Fault::Refuse),
            (Outage::Broken, _) => self.unreachable(id, Fault::Disconnect),
            (Outage::Late, _) => {
                self.with(id, |stream| stream.flags |= flag::TIMEOUT);
                self.local_reply(id, reply(504, "response_timeout", "upstream request timeout".into()));
            }
        }
    }

    /// The router answers itself.
    fn unreachable(&mut self, id: u32, fault: Fault) {
        let (flag, details, body) = match fault {
            Fault::NoHost => (flag::NO_HOST, "no_healthy_upstream", "no healthy upstream".into()),
            Fault::Refuse => (flag::REFUSED, REFUSED, failure_text("remote connection failure")),
            _ => (flag::TERMINATED, DISCONNECTED, failure_text(TERMINATED)),
        };
        self.with(id, |stream| {
            stream.flags |= flag;
            stream.refused = fault == Fault::Refuse;
        });
        self.local_reply(id, reply(503, details, body));
    }

    fn via_upstream(&mut self, id: u32) {
        self.with(id, |stream| {
            stream.details = Some("via_upstream".into());
            stream.answered = true;
        });
    }
}

fn reply(status: u32, details: &str, body: String) -> LocalReply {
    let (details, body) = (details.to_owned(), body.into_bytes());
    LocalReply { status, details, body, grpc_status: Some(14), ..LocalReply::default() }
}

const REFUSED: &str = "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}";
const DISCONNECTED: &str = "upstream_reset_before_response_started{connection_termination}";
