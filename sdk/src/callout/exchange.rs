//! A call that is under way: from its token to the response, read while the proxy delivers it.

use super::{Call, CallError, CallResponse};
use crate::abi::{self, Buffer, Map};
use crate::dispatch::calls::{Event, Receiver, Registration};
use crate::dispatch::tasks::{Awaited, Wait};
use crate::headers::Snapshot;
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

type Outcome = Result<CallResponse, CallError>;

/// The future of a response.
pub(super) struct Exchange {
    reception: Rc<Reception>,
    _registration: Registration,
}

struct Reception {
    limit: usize,
    timeout: Duration,
    outcome: RefCell<Option<Outcome>>,
    waker: Cell<Option<Waker>>,
    awaited: Awaited,
}

impl Exchange {
    pub(super) fn begin(call: &Call, timeout: Duration, wait: Rc<Wait>) -> Result<Self, CallError> {
        let cluster = call.cluster.name();
        let token = abi::calls::http_call(cluster, &call.headers, &call.body, &call.trailers, timeout)
            .map_err(CallError::refused)?;
        let reception = Rc::new(Reception {
            limit: call.limit,
            timeout,
            outcome: RefCell::new(None),
            waker: Cell::new(None),
            awaited: Awaited::new(wait),
        });
        let _registration = Registration::new(token, &reception);
        Ok(Self { reception, _registration })
    }
}

impl Future for Exchange {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        if let Some(outcome) = self.reception.outcome.take() {
            return Poll::Ready(outcome);
        }
        self.reception.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Reception {
    fn read(&self, headers: usize, body: usize, trailers: usize) -> Outcome {
        if headers == 0 {
            return Err(CallError::reset());
        }
        let headers = snapshot(Map::CallHeaders)?;
        let status = status(&headers);
        if body > self.limit {
            return Err(CallError::too_large(body, self.limit));
        }
        let body = if body == 0 {
            None
        } else {
            abi::buffer(Buffer::CallBody, 0, body).map_err(CallError::refused)?
        };
        let body = body.unwrap_or_default();
        if is_local(status, &headers) {
            return Err(if status == 504 {
                CallError::timeout(self.timeout)
            } else {
                CallError::unreachable(body.escape_ascii().to_string())
            });
        }
        let trailers = if trailers == 0 { Snapshot::empty() } else { snapshot(Map::CallTrailers)? };
        Ok(CallResponse { status, headers, body, trailers })
    }
}

fn snapshot(map: Map) -> Result<Snapshot, CallError> {
    let read = abi::map_pairs(map).and_then(|wire| Snapshot::new(wire, "proxy_get_header_map_pairs"));
    read.map_err(CallError::refused)
}

fn status(headers: &Snapshot) -> u16 {
    let digits = headers.first(":status").and_then(|value| str::from_utf8(value).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Whether the proxy has made the response up because no server answered. To what a server sends Envoy's router adds the
/// time that it took (measured on 1.40).
fn is_local(status: u16, headers: &Snapshot) -> bool {
    matches!(status, 503 | 504) && headers.first("x-envoy-upstream-service-time").is_none()
}

impl Receiver for Reception {
    fn receive(&self, event: Event) {
        let Event::Response { headers, body, trailers } = event else { return };
        self.outcome.replace(Some(self.read(headers, body, trailers)));
        self.awaited.close();
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
