//! The server behind Envoy: records what reaches it and answers as the case says.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Error;
use crate::exchange::Message;
use crate::http1::{Reader, response_bytes};
use crate::outside::Answer;

/// A server on a port of its own; it ends with this value.
#[derive(Debug)]
pub(super) struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    answer: Answer,
    seen: Option<Message>,
    /// Requests of which only the head has arrived.
    arriving: usize,
    stopped: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upstream {
    pub(super) fn start() -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forgets what was seen and answers with `answer` from now on.
    pub(super) fn expect(&self, answer: Answer) {
        let mut state = self.shared.state();
        state.answer = answer;
        state.seen = None;
    }

    /// What has reached it, once that has arrived whole or its connection has ended.
    pub(super) fn seen(&self, patience: Duration) -> Option<Message> {
        let state = self.shared.state();
        let whole = self.shared.changed.wait_timeout_while(state, patience, |state| state.arriving > 0);
        whole.unwrap_or_else(PoisonError::into_inner).0.seen.take()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.state().stopped {
            return;
        }
        if let Ok(stream) = stream {
            let shared = Arc::clone(shared);
            // Ends with its connection, which ends with Envoy.
            std::thread::spawn(move || serve(&stream, &shared));
        }
    }
}

fn serve(stream: &TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let mut reader = Reader::new(stream);
    while let Ok(Some(mut request)) = reader.request_head() {
        shared.state().arriving += 1;
        let whole = reader.body(&mut request, false);
        let to_head = request.headers.first(":method") == Some(b"HEAD");
        let answer = {
            let mut state = shared.state();
            state.arriving -= 1;
            state.seen = Some(request);
            state.answer.clone()
        };
        shared.changed.notify_all();
        std::thread::sleep(answer.delay);
        if whole.is_err() || !reply(stream, &answer, to_head) {
            return;
        }
    }
}

/// Answers; false when the connection is over.
fn reply(mut stream: &TcpStream, answer: &Answer, to_head: bool) -> bool {
    match answer.fault {
        None => stream.write_all(&response_bytes(&answer.message, to_head)).is_ok(),
        Some(_) => {
            let _ = super::clusters::reply(stream, answer);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1;

    #[test]
    fn it_records_what_arrives_and_answers_as_told() {
        let patience = Duration::from_secs(5);
        let upstream = Upstream::start().unwrap();
        let request = Message::request("POST", "/a").header("content-length", "2").body("hi");
        for status in [200, 503] {
            upstream.expect(Message::response(status).header("content-length", "0").into());
            assert_eq!(upstream.seen(patience), None);
            let response = http1::exchange(upstream.address(), &request, patience).unwrap().unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(upstream.seen(patience), Some(request.clone()));
        }
    }
}
