//! gRPC calls and streams (row 40): Envoy's client over the same requests and answers as HTTP callouts.

use super::calls::{ID_STEP, Kind, State, failure_text};
use super::fields;
use super::guest::{Call, Guest, Side};
use super::maps::MapType;
use super::reply::{Deferred, grpc_status};
use super::status::Status;
use super::vm::Vm;
use super::worker::Worker;
use crate::exchange::{Headers, Message};
use crate::outside::{Callout, Frames, Part, framed};
use std::time::Duration;

const OK: u32 = 0;
const CANCELED: u32 = 1;
const UNKNOWN: u32 = 2;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;

/// What a plugin calls, and how.
#[derive(Clone, Debug)]
pub struct GrpcCall<'a> {
    /// The name of a cluster, or a serialised `envoy.config.core.v3.GrpcService`.
    pub upstream: &'a [u8],
    /// The full name of the service.
    pub service: &'a [u8],
    /// The method.
    pub method: &'a [u8],
    /// Initial metadata.
    pub metadata: Headers,
}

/// A call or a stream that is open.
#[derive(Debug, Default)]
pub(super) struct Grpc {
    stream: bool,
    frames: Frames,
    /// The message of a call, kept until its status is known.
    message: Option<Vec<u8>>,
    local_closed: bool,
    remote_closed: bool,
}

impl Vm {
    /// `proxy_grpc_call`.
    pub fn grpc_call(&mut self, call: GrpcCall<'_>, message: &[u8], timeout: u32) -> Result<u32, Status> {
        let mut callout = self.grpc_callout(call)?;
        callout.request.body = vec![framed(message)];
        callout.whole = true;
        let timeout = Duration::from_millis(timeout.into());
        callout.timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
        if let Some(timeout) = callout.timeout {
            callout.request.headers.add("grpc-timeout", format!("{}m", timeout.as_millis()));
        }
        self.grpc_begin(callout, Kind::GrpcCall)
    }

    /// `proxy_grpc_stream`.
    pub fn grpc_stream(&mut self, call: GrpcCall<'_>) -> Result<u32, Status> {
        let callout = self.grpc_callout(call)?;
        self.grpc_begin(callout, Kind::GrpcStream)
    }

    /// `proxy_grpc_send`.
    pub fn grpc_send(&mut self, id: u32, message: &[u8], end_of_stream: bool) -> Result<(), Status> {
        if id % ID_STEP != Kind::GrpcStream as u32 {
            return Err(Status::BAD_ARGUMENT);
        }
        let (call, stream) = self.grpc_of(id).ok_or(Status::NOT_FOUND)?;
        let closed = stream.remote_closed || stream.local_closed;
        stream.local_closed |= end_of_stream;
        if !closed {
            let arrivals = self.outside.send(call, &framed(message), end_of_stream);
            self.expect(call, arrivals);
        }
        Ok(())
    }

    /// `proxy_grpc_close`: the plugin's side of a stream ends; a call is cancelled.
    pub fn grpc_close(&mut self, id: u32) -> Result<(), Status> {
        let (call, open) = self.grpc_of(id).ok_or(Status::NOT_FOUND)?;
        let ended = std::mem::replace(&mut open.local_closed, true);
        if !open.stream || open.remote_closed {
            return self.grpc_cancel(id);
        }
        if !ended {
            let arrivals = self.outside.send(call, &[], true);
            self.expect(call, arrivals);
        }
        Ok(())
    }

    /// `proxy_grpc_cancel`: nothing more is heard of it.
    pub fn grpc_cancel(&mut self, id: u32) -> Result<(), Status> {
        let (call, _) = self.grpc_of(id).ok_or(Status::NOT_FOUND)?;
        self.calls.open.remove(&call);
        self.hang_up(call);
        Ok(())
    }

    /// What the guest knows under this id.
    fn grpc_of(&mut self, id: u32) -> Option<(u32, &mut Grpc)> {
        let vm = self.plugin().vm;
        let mut open = self.calls.open.iter_mut().filter(|(_, open)| open.vm == vm && open.id == id);
        open.find_map(|(call, open)| match &mut open.state {
            State::Grpc(grpc) => Some((*call, grpc)),
            State::Http(_) => None,
        })
    }

    fn grpc_callout(&mut self, call: GrpcCall<'_>) -> Result<Callout, Status> {
        let cluster = match cluster_of_service(call.upstream) {
            Some(cluster) => cluster,
            None => Some(call.upstream.to_vec()).filter(|name| self.knows(&String::from_utf8_lossy(name))),
        };
        let cluster = String::from_utf8_lossy(&cluster.ok_or(Status::PARSE_FAILURE)?).into_owned();
        let path = [b"/", call.service, b"/", call.method].concat();
        let mut headers = Headers::default();
        headers.add(":method", "POST");
        headers.add(":path", path);
        headers.add(":authority", cluster.clone());
        headers.add(":scheme", "http");
        headers.add("te", "trailers");
        headers.add("content-type", "application/grpc");
        headers.0.extend(call.metadata.0);
        let headers = fields::arriving(MapType::Headers(Side::Request), headers);
        let request = Message { headers, ..Message::default() };
        Ok(Callout { id: 0, cluster, request, whole: false, timeout: None })
    }

    /// What fails on the spot is called back for an id that the plugin was never given (row 38).
    fn grpc_begin(&mut self, callout: Callout, kind: Kind) -> Result<u32, Status> {
        let id = self.next_id(kind);
        let known = self.knows(&callout.cluster);
        let open = Grpc { stream: kind == Kind::GrpcStream, ..Grpc::default() };
        let begun = if known { self.call_out(callout, id, State::Grpc(open)) } else { None };
        if begun.is_none() {
            let text = if known { "no healthy upstream" } else { "Cluster not available" };
            let root = self.plugin().root;
            self.deferred.push_back(Deferred::GrpcClose(root, id, text));
            return Err(Status::INTERNAL_FAILURE);
        }
        Ok(id)
    }
}

impl<G: Guest> Worker<G> {
    pub(super) fn arrive_grpc(&mut self, call: u32, part: Part) {
        match part {
            Part::Headers(headers, end) => self.grpc_headers(call, headers, end),
            Part::Data(piece, end) => self.grpc_data(call, &piece, end),
            Part::Trailers(trailers) => self.grpc_trailers(call, trailers),
            Part::Failed(reason) => self.grpc_local(call, &failure_text(&reason)),
            Part::Reset => self.grpc_error(call, INTERNAL),
        }
    }

    /// The proxy's own reply, as a gRPC client reads it: headers that are trailers.
    pub(super) fn grpc_local(&mut self, call: u32, text: &str) {
        let mut headers = Message::response(200).header("content-type", "application/grpc").headers;
        headers.add("grpc-status", UNAVAILABLE.to_string());
        headers.add("grpc-message", text);
        self.grpc_headers(call, headers, true);
    }

    fn grpc_headers(&mut self, call: u32, headers: Headers, end: bool) {
        let headers = fields::arriving(MapType::Headers(Side::Response), headers);
        let status = Message { headers: headers.clone(), ..Message::default() }.status();
        let shown = if end { Headers::default() } else { headers.clone() };
        self.grpc_metadata(call, shown, true);
        if status != 200 && !(end && headers.first("grpc-status").is_some()) {
            return self.grpc_error(call, http_to_grpc(status));
        }
        if end {
            self.grpc_trailers(call, headers);
        }
    }

    fn grpc_data(&mut self, call: u32, piece: &[u8], end: bool) {
        self.grpc_with(call, |open| open.frames.add(piece));
        while let Some(next) = self.grpc_with(call, |open| open.frames.next_message()) {
            match next {
                Ok(Some(message)) => self.grpc_message(call, message),
                Ok(None) => break,
                Err(_) => return self.grpc_error(call, INTERNAL),
            }
        }
        if end {
            self.grpc_error(call, UNKNOWN);
        }
    }

    fn grpc_message(&mut self, call: u32, message: Vec<u8>) {
        match self.grpc_owner(call) {
            Some((root, id, true)) => self.grpc_received(root, id, message),
            _ => drop(self.grpc_with(call, |open| open.message = Some(message))),
        }
    }

    fn grpc_trailers(&mut self, call: u32, trailers: Headers) {
        let status = trailers.first("grpc-status").and_then(|value| std::str::from_utf8(value).ok());
        let status = status.and_then(|digits| digits.parse().ok()).unwrap_or(UNKNOWN);
        let text = trailers.first("grpc-message").map(|text| String::from_utf8_lossy(text).into_owned());
        self.grpc_metadata(call, trailers, false);
        self.grpc_ended(call, status, &text.unwrap_or_default());
    }

    fn grpc_error(&mut self, call: u32, status: u32) {
        self.grpc_metadata(call, Headers::default(), false);
        self.grpc_ended(call, status, "");
    }

    /// Of a call only its message or its failure is told; a stream is told of everything.
    fn grpc_metadata(&mut self, call: u32, fields: Headers, initial: bool) {
        let Some((root, id, true)) = self.grpc_owner(call) else { return };
        let count = u32::try_from(fields.0.len()).unwrap_or(u32::MAX);
        let callback = {
            let mut vm = self.vm.borrow_mut();
            let heard = vm.hear(root);
            if initial {
                heard.initial_metadata = Some(fields);
                Call::GrpcInitialMetadata { context: root, id, count }
            } else {
                heard.trailing_metadata = Some(fields);
                Call::GrpcTrailingMetadata { context: root, id, count }
            }
        };
        self.notify(&callback);
        let mut vm = self.vm.borrow_mut();
        let heard = vm.hear(root);
        (heard.initial_metadata, heard.trailing_metadata) = (None, None);
    }

    fn grpc_received(&mut self, root: u32, id: u32, message: Vec<u8>) {
        let size = u32::try_from(message.len()).unwrap_or(u32::MAX);
        self.vm.borrow_mut().hear(root).message = Some(message);
        self.notify(&Call::GrpcReceive { context: root, id, size });
        self.vm.borrow_mut().hear(root).message = None;
    }

    fn grpc_ended(&mut self, call: u32, status: u32, text: &str) {
        let Some((root, id, stream)) = self.grpc_owner(call) else { return };
        self.vm.borrow_mut().hang_up(call);
        let message = self.grpc_with(call, |open| {
            open.remote_closed = true;
            open.message.take()
        });
        match (status, message.flatten()) {
            _ if stream => self.grpc_closed(root, id, status, text),
            (OK, Some(message)) => self.grpc_received(root, id, message),
            (OK, None) => self.grpc_closed(root, id, INTERNAL, ""),
            (status, _) => self.grpc_closed(root, id, status, text),
        }
        // A stream that the plugin has not ended stays open for it.
        if !stream || self.grpc_with(call, |open| open.local_closed) == Some(true) {
            self.vm.borrow_mut().calls.open.remove(&call);
        }
    }

    /// A call that failed on the spot.
    pub(super) fn grpc_refused(&mut self, root: u32, id: u32, text: &str) {
        self.grpc_closed(root, id, UNAVAILABLE, text);
    }

    fn grpc_closed(&mut self, root: u32, id: u32, status: u32, text: &str) {
        self.vm.borrow_mut().hear(root).status = (status, text.to_owned());
        self.notify(&Call::GrpcClose { context: root, id, status });
        self.vm.borrow_mut().hear(root).status.1.clear();
    }

    /// Root context, the guest's id, and whether it is a stream.
    fn grpc_owner(&self, call: u32) -> Option<(u32, u32, bool)> {
        let vm = self.vm.borrow();
        let open = vm.calls.open.get(&call)?;
        match &open.state {
            State::Grpc(grpc) => Some((open.root, open.id, grpc.stream)),
            State::Http(_) => None,
        }
    }

    fn grpc_with<T>(&mut self, call: u32, look: impl FnOnce(&mut Grpc) -> T) -> Option<T> {
        match &mut self.vm.borrow_mut().calls.open.get_mut(&call)?.state {
            State::Grpc(grpc) => Some(look(grpc)),
            State::Http(_) => None,
        }
    }
}

fn http_to_grpc(status: u16) -> u32 {
    if (200..300).contains(&status) { CANCELED } else { grpc_status(status.into()) }
}

/// The cluster that a serialised `GrpcService` names: none if these bytes are no such message, `Some(None)` if it names
/// none.
fn cluster_of_service(bytes: &[u8]) -> Option<Option<Vec<u8>>> {
    let target = last_field(bytes, 1)?;
    match target {
        None => Some(None),
        Some(target) => Some(last_field(&target, 1)?),
    }
}

/// The last value of a field with a length, by its number. None: this is no protobuf message.
fn last_field(mut bytes: &[u8], number: u64) -> Option<Option<Vec<u8>>> {
    let mut found = None;
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        match tag & 7 {
            0 => drop(varint(&mut bytes)?),
            1 => drop(take(&mut bytes, 8)?),
            2 => {
                let size = usize::try_from(varint(&mut bytes)?).ok()?;
                let value = take(&mut bytes, size)?;
                if tag >> 3 == number {
                    found = Some(value.to_vec());
                }
            }
            5 => drop(take(&mut bytes, 4)?),
            _ => return None,
        }
        if tag >> 3 == 0 {
            return None;
        }
    }
    Some(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(size)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_service_names_its_cluster_and_a_plain_name_is_none() {
        assert_eq!(cluster_of_service(b"\x0a\x08\x0a\x06policy"), Some(Some(b"policy".to_vec())));
        assert_eq!(
            cluster_of_service(b"\x0a\x08\x0a\x06policy\x1a\x02\x08\x05"),
            Some(Some(b"policy".to_vec()))
        );
        assert_eq!(cluster_of_service(b""), Some(None));
        for name in ["policy", "auth", "outbound|80||a.b.svc", "x"] {
            assert_eq!(cluster_of_service(name.as_bytes()), None, "{name}");
        }
    }
}
