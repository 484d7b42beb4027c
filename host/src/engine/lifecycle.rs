//! Resuming and ending streams from within the guest.

use super::guest::Side;
use super::reply::Deferred;
use super::status::Status;
use super::vm::Vm;

impl Vm {
    /// `proxy_continue_stream`: 0 request, 1 response, 2 downstream, 3 upstream.
    pub fn continue_stream(&mut self, kind: u32) -> Result<(), Status> {
        let side = match kind {
            0 => Side::Request,
            1 => Side::Response,
            2 => return self.continue_downstream(),
            3 => return Err(Status::UNIMPLEMENTED),
            _ => return Err(Status::BAD_ARGUMENT),
        };
        let tcp = self.is_tcp();
        let Some((id, seat)) = self.place(self.context()).filter(|_| !tcp) else { return Ok(()) };
        if let Some(stream) = self.stream() {
            // Whichever side goes on, the request is out of reach (row 22).
            let reach = &mut stream.gate(Side::Request).reach;
            (reach.headers, reach.chunk, reach.trailers) = (false, false, false);
        }
        self.deferred.push_back(Deferred::Resume(id, seat, side));
        Ok(())
    }

    fn continue_downstream(&mut self) -> Result<(), Status> {
        let tcp = self.is_tcp();
        if let Some((id, seat)) = self.place(self.context()).filter(|_| tcp) {
            self.deferred.push_back(Deferred::Proceed(id, seat));
        }
        Ok(())
    }

    /// Whether host calls are for a TCP connection.
    pub(super) fn is_tcp(&mut self) -> bool {
        self.stream().is_some_and(|stream| stream.tcp.is_some())
    }

    /// `proxy_clear_route_cache` of ABI 0.1.0, and the foreign function of that name; both look at the effective context.
    pub fn clear_route_cache(&mut self) -> Result<(), Status> {
        if let Some(stream) = self.stream() {
            stream.clear_route();
        }
        Ok(())
    }

    /// `proxy_close_stream`: resets the stream; closes the connection, whichever side of it is named.
    pub fn close_stream(&mut self, kind: u32) -> Result<(), Status> {
        if kind > 3 {
            return Err(Status::BAD_ARGUMENT);
        }
        let tcp = self.is_tcp();
        if let Some((id, _)) = self.place(self.context()).filter(|_| tcp && kind > 1) {
            self.deferred.push_back(Deferred::Shut(id));
        }
        if let Some((id, _)) = self.place(self.context()).filter(|_| !tcp && kind < 2)
            && let Some(stream) = self.stream()
        {
            stream.details.get_or_insert_with(|| "wasm_close_stream".into());
            self.deferred.push_back(Deferred::Reset(id));
        }
        Ok(())
    }

    /// `proxy_done`: only a root context that waits for it can be done (row 30).
    pub fn done(&mut self) -> Result<(), Status> {
        let root = self.context();
        if !self.waiting.remove(&root) {
            return Err(Status::NOT_FOUND);
        }
        self.deferred.push_back(Deferred::Delete(root));
        Ok(())
    }
}
