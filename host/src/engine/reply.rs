//! Local replies, and the other things that a host call only asks for: they happen when the callback has returned.

use super::fields;
use super::guest::{Guest, Side};
use super::maps::MapType;
use super::status::Status;
use super::stream::Stream;
use super::vm::Vm;
use super::worker::Worker;
use crate::exchange::Headers;

/// A response that the proxy makes itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalReply {
    /// The status code.
    pub status: u32,
    /// The response code details.
    pub details: String,
    /// The body; the gRPC message when the request is gRPC.
    pub body: Vec<u8>,
    /// Fields to add.
    pub headers: Headers,
    /// The gRPC status; only used when the request is gRPC.
    pub grpc_status: Option<u32>,
}

/// What happens when the current callback has returned, to which stream.
pub(super) enum Deferred {
    Reply(u32, LocalReply),
    /// A direction goes on at this seat.
    Resume(u32, usize, Side),
    Reset(u32),
    /// A connection goes on at this seat.
    Proceed(u32, usize),
    /// A connection is closed.
    Shut(u32),
    /// This root context is done.
    Delete(u32),
    /// A gRPC call of a root context has failed on the spot: its id, and a text.
    GrpcClose(u32, u32, &'static str),
}

impl Vm {
    /// `proxy_send_local_response` (row 32). Without a stream it is Ok and does nothing.
    pub fn send_local_response(&mut self, mut reply: LocalReply) -> Result<(), Status> {
        self.stop_iteration = true;
        reply.details = reply.details.replace(|space: char| space.is_ascii_whitespace(), "_");
        reply.grpc_status = reply.grpc_status.filter(|code| *code <= 16);
        let tcp = self.is_tcp();
        if let Some((id, _)) = self.place(self.context()).filter(|_| !tcp) {
            self.deferred.push_back(Deferred::Reply(id, reply));
            self.stream().map(Stream::see_answer);
        }
        Ok(())
    }
}

impl Vm {
    fn next_deferred(&mut self) -> Option<Deferred> {
        let next = self.deferred.pop_front()?;
        if let Deferred::Reply(id, _) | Deferred::Resume(id, ..) | Deferred::Reset(id) = next
            && self.watched.is_some()
        {
            self.moved.push(id);
        }
        Some(next)
    }
}

impl<G: Guest> Worker<G> {
    /// Each may enter a guest, and what is left is then done when that has returned: one inside the other, as in Envoy.
    pub(super) fn run_deferred(&mut self) {
        self.vm.borrow_mut().depth += 1;
        while let Some(next) = self.next_deferred() {
            match next {
                Deferred::Reply(id, reply) => self.local_reply(id, reply),
                Deferred::Resume(id, seat, side) => self.resume(id, seat, side),
                Deferred::Reset(id) => self.reset(id),
                Deferred::Proceed(id, seat) => self.proceed(id, seat),
                Deferred::Shut(id) => self.shut(id, 1),
                Deferred::Delete(root) => self.delete_root(root),
                Deferred::GrpcClose(root, id, text) => self.grpc_refused(root, id, text),
            }
        }
        self.vm.borrow_mut().depth -= 1;
    }

    fn next_deferred(&self) -> Option<Deferred> {
        self.vm.borrow_mut().next_deferred()
    }

    /// Answers the client in place of the upstream (row 33): through the plugin's own response callbacks if no response
    /// has begun, past them if one has, and by a reset once its headers are on their way.
    pub(super) fn local_reply(&mut self, id: u32, reply: LocalReply) {
        let Some(route) = self.with(id, |stream| plan(stream, &reply)) else { return };
        match route {
            Route::Nowhere => {}
            // Of several replies in one callback the first is sent, under the details of the last.
            Route::AfterCallback => {
                self.with(id, |stream| stream.prepared = stream.prepared.take().or(Some(reply)));
            }
            Route::ThroughFilters => self.reply_through_filters(id, &reply),
            Route::Direct => self.reply_directly(id, &reply),
            Route::Reset => self.reset(id),
        }
    }

    /// Sends the reply that was waiting for the callback to return.
    pub(super) fn send_prepared(&mut self, id: u32) {
        if let Some(reply) = self.with(id, |stream| stream.prepared.take()).flatten() {
            self.reply_through_filters(id, &reply);
        }
    }

    fn reply_through_filters(&mut self, id: u32, reply: &LocalReply) {
        let Some((headers, body)) = self.with(id, |stream| render(stream, reply)) else { return };
        let end_of_stream = body.is_empty();
        self.with(id, |stream| {
            stream.begin_response(headers);
            stream.response.complete = end_of_stream;
        });
        self.headers(id, Side::Response, end_of_stream);
        if !end_of_stream && self.goes_on(id, Side::Response) {
            self.with(id, |stream| stream.response.complete = true);
            self.data(id, Side::Response, body, true);
        }
    }

    fn reply_directly(&mut self, id: u32, reply: &LocalReply) {
        let Some((headers, body)) = self.with(id, |stream| render(stream, reply)) else { return };
        self.with(id, |stream| {
            stream.begin_response(headers);
            stream.response.trailers = None;
            stream.response.aborted = true;
        });
        self.leave_headers(id, Side::Response, body.is_empty());
        if !body.is_empty() {
            self.with(id, |stream| stream.pass_body(Side::Response, body, true));
        }
    }

    fn reset(&mut self, id: u32) {
        self.with(id, |stream| stream.reset |= !stream.ended);
    }
}

/// The way a local reply takes.
enum Route {
    Nowhere,
    AfterCallback,
    ThroughFilters,
    Direct,
    Reset,
}

fn plan(stream: &mut Stream, reply: &LocalReply) -> Route {
    if stream.over() {
        return Route::Nowhere;
    }
    if let Some(side) = stream.calling {
        stream.half(side).aborted = true;
    }
    stream.details = Some(reply.details.clone());
    match (stream.response.headers.is_some(), stream.calling) {
        (false, Some(_)) => Route::AfterCallback,
        (false, None) => Route::ThroughFilters,
        (true, _) if stream.client.is_none() => Route::Direct,
        (true, _) => Route::Reset,
    }
}

/// The headers and the body of a local reply.
fn render(stream: &mut Stream, reply: &LocalReply) -> (Headers, Vec<u8>) {
    let request = stream.request.headers.clone().unwrap_or_default();
    let mut headers = Headers::default();
    headers.add(":status", reply.status.to_string());
    let map = MapType::Headers(Side::Response);
    reply.headers.0.iter().for_each(|(name, value)| fields::add(map, &mut headers, name, value));
    if is_grpc(&request) {
        render_grpc(&mut headers, reply);
        return (headers, Vec::new());
    }
    if reply.body.is_empty() {
        headers.remove("content-length");
        headers.remove("content-type");
        return (headers, Vec::new());
    }
    fields::set_in_place(&mut headers, "content-length", reply.body.len().to_string().as_bytes());
    if headers.first("content-type").is_none() {
        headers.add("content-type", "text/plain");
    }
    let body = if stream.is_head() { Vec::new() } else { reply.body.clone() };
    (headers, body)
}

fn is_grpc(request: &Headers) -> bool {
    let kind = request.first("content-type").unwrap_or_default();
    kind.strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// A gRPC client reads the outcome from headers of a 200.
fn render_grpc(headers: &mut Headers, reply: &LocalReply) {
    headers.remove("content-length");
    fields::set_in_place(headers, ":status", b"200");
    fields::set_in_place(headers, "content-type", b"application/grpc");
    if headers.first("grpc-status").is_none() {
        let status = reply.grpc_status.unwrap_or_else(|| grpc_status(reply.status));
        headers.set("grpc-status", status.to_string());
    }
    if !reply.body.is_empty() {
        headers.set("grpc-message", percent_encoded(&reply.body));
    }
}

/// The gRPC status that stands for an HTTP status.
pub(super) fn grpc_status(http: u32) -> u32 {
    match http {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

fn percent_encoded(text: &[u8]) -> Vec<u8> {
    text.iter()
        .flat_map(|byte| match byte {
            b' '..=b'~' if *byte != b'%' => vec![*byte],
            _ => format!("%{byte:02X}").into_bytes(),
        })
        .collect()
}
