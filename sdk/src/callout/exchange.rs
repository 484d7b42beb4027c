//! A call that is under way: from its token to the response, read while the proxy delivers it.

use super::{CallError, CallResponse, Request, TIMEOUT};
use crate::abi::calls::{HttpCall, http_call};
use crate::abi::{self, Buffer, Map};
use crate::bytes::Bytes;
use crate::dispatch::calls::{Event, Receiver, Registration};
use crate::dispatch::tasks::{self, Awaited};
use crate::headers::Snapshot;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A request, and then the future of its response: sent when it is polled for the first time.
pub(super) struct Sending {
    exchange: Rc<Exchange>,
    /// Since it was sent.
    registration: Option<Registration>,
}

impl Sending {
    pub(super) fn new(request: Request) -> Self {
        Self { exchange: Rc::new(Exchange::new(request)), registration: None }
    }

    pub(super) fn unsent(&self) -> &Request {
        &self.exchange.request
    }

    /// The request, as long as it was not sent: nobody else has it then.
    pub(super) fn request(&mut self) -> Option<&mut Request> {
        Rc::get_mut(&mut self.exchange).map(|exchange| &mut exchange.request)
    }

    fn send(&mut self) -> Result<(), CallError> {
        let token = Rc::get_mut(&mut self.exchange).map_or(Ok(None), Exchange::send)?;
        self.registration = token.map(|token| Registration::new(token, &self.exchange));
        Ok(())
    }
}

impl Clone for Sending {
    fn clone(&self) -> Self {
        Self::new(self.exchange.request.clone())
    }
}

impl Future for Sending {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        if self.registration.is_none() {
            self.send()?;
        }
        let polled = self.exchange.poll(context.waker());
        if polled.is_ready() {
            // Who was delivered to is on the list no more.
            std::mem::forget(self.registration.take());
        }
        polled
    }
}

type Outcome = Result<CallResponse, CallError>;

/// A request, and its response once there is one; in one place, which is moved with neither.
pub(super) struct Exchange {
    request: Request,
    awaited: Option<Awaited>,
    waker: Cell<Option<Waker>>,
    outcome: Cell<Option<Outcome>>,
}

impl Exchange {
    fn new(request: Request) -> Self {
        Self { request, awaited: None, waker: Cell::new(None), outcome: Cell::new(None) }
    }

    /// Sends the request, which is not needed any more then, and gives the call's token. No token: the task has no time
    /// left, and its deadline is about to end it. An error would let work that tries again and again do so for ever.
    fn send(&mut self) -> Result<Option<u32>, CallError> {
        if self.awaited.is_some() {
            return Ok(None);
        }
        let request = &mut self.request;
        if let Some(mistake) = &request.mistake {
            return Err(CallError::mistake(mistake.to_string()));
        }
        let Some(wait) = tasks::current() else { return Err(CallError::nobody_waits()) };
        let asked = request.timeout.unwrap_or(TIMEOUT);
        if asked.is_zero() {
            return Err(CallError::timeout(asked));
        }
        let timeout = wait.left().map_err(CallError::refused)?.map_or(asked, |left| left.min(asked));
        if timeout.is_zero() {
            return Ok(None);
        }
        let token = http_call(&HttpCall {
            cluster: request.cluster.name(),
            headers: request.headers.as_ref(),
            body: request.body.as_deref().unwrap_or_default(),
            trailers: request.trailers.as_deref(),
            timeout,
        });
        let token = token.map_err(CallError::refused)?;
        request.headers = None;
        request.body = None;
        request.trailers = None;
        request.timeout = Some(timeout);
        self.awaited = Some(Awaited::new(wait));
        Ok(Some(token))
    }

    fn poll(&self, waker: &Waker) -> Poll<Outcome> {
        if let Some(outcome) = self.outcome.take() {
            return Poll::Ready(outcome);
        }
        // Mostly it is the task itself that waits, and no combinator with a waker of its own.
        let own = self.awaited.as_ref().is_some_and(|awaited| awaited.wait().is_woken_by(waker));
        self.waker.set(if own { None } else { Some(waker.clone()) });
        Poll::Pending
    }

    fn read(&self, headers: usize, body: usize, trailers: usize) -> Outcome {
        if headers == 0 {
            return Err(CallError::reset());
        }
        let headers = snapshot(Map::CallHeaders)?;
        let status = headers.first(":status").and_then(number).unwrap_or(0);
        let limit = self.request.limit;
        if body > limit {
            return Err(CallError::too_large(body, limit));
        }
        let body = if body == 0 { Bytes::default() } else { bytes(body)? };
        if is_local(status, &headers) {
            return Err(if status == 504 {
                CallError::timeout(self.request.timeout.unwrap_or(TIMEOUT))
            } else {
                CallError::unreachable(body.escape_ascii().to_string())
            });
        }
        let trailers = if trailers == 0 { Snapshot::empty() } else { snapshot(Map::CallTrailers)? };
        Ok(CallResponse { status, headers, body, trailers })
    }
}

/// All headers at once: whoever wants one beside the status has it without another host call.
fn snapshot(map: Map) -> Result<Snapshot, CallError> {
    let read = abi::map_pairs(map).and_then(|wire| Snapshot::new(wire, "proxy_get_header_map_pairs"));
    read.map_err(CallError::refused)
}

fn bytes(size: usize) -> Result<Bytes, CallError> {
    abi::buffer(Buffer::CallBody, 0, size).map(Option::unwrap_or_default).map_err(CallError::refused)
}

fn number(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0_u16, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// Whether the proxy has made the response up because no server answered. To what a server sends Envoy's router adds the
/// time that it took (measured on 1.40).
fn is_local(status: u16, headers: &Snapshot) -> bool {
    matches!(status, 503 | 504) && headers.first("x-envoy-upstream-service-time").is_none()
}

impl Receiver for Exchange {
    fn receive(&self, event: Event) {
        let Event::Response { headers, body, trailers } = event else { return };
        self.outcome.set(Some(self.read(headers, body, trailers)));
        let wait = self.awaited.as_ref().map(|awaited| {
            awaited.close();
            awaited.wait()
        });
        match (self.waker.take(), wait) {
            (Some(waker), _) => waker.wake(),
            (None, Some(task)) => task.wake(),
            (None, None) => {}
        }
    }
}
