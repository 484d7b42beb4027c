//! The servers around Envoy, behind requests and behind the clusters of a plugin: they answer as a case says, with real
//! faults, and record what arrives.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Error;
use super::closed_port::ClosedPort;
use crate::exchange::Message;
use crate::http1::{Reader, chunk_bytes, end_bytes, is_chunked, response_bytes, response_head};
use crate::outside::{Answer, Cluster, Fault, Frames, GrpcAnswer, framed, grpc_response};

/// Servers by the names of their clusters; they end with this value.
#[derive(Debug, Default)]
pub(super) struct Servers {
    shared: Arc<Shared>,
    /// Where the server of a cluster listens; none where there is to be no host.
    pub(super) addresses: BTreeMap<String, Option<SocketAddr>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    clusters: BTreeMap<String, Cluster>,
    given: BTreeMap<String, usize>,
    /// By a number of their own, in order; with the cluster.
    reached: BTreeMap<u64, (String, Message)>,
    last: u64,
    /// Requests that have not arrived whole.
    arriving: usize,
    stopped: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Servers {
    /// A cluster that refuses is one at the port that is `closed`.
    pub(super) fn start(clusters: &BTreeMap<String, Cluster>, closed: &ClosedPort) -> Result<Self, Error> {
        let mut servers = Self::default();
        servers.shared.state().clusters = clusters.clone();
        for (name, cluster) in clusters {
            let address = match cluster.answers.first().and_then(|answer| answer.fault) {
                Some(Fault::NoHost) => None,
                Some(Fault::Refuse) => Some(closed.address()),
                _ => Some(servers.listen(name)?),
            };
            servers.addresses.insert(name.clone(), address);
        }
        Ok(servers)
    }

    fn listen(&self, name: &str) -> Result<SocketAddr, Error> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (name, shared) = (name.to_owned(), Arc::clone(&self.shared));
        std::thread::spawn(move || accept(&listener, &name, &shared));
        Ok(address)
    }

    /// What a cluster answers from now on. What it has got before is forgotten.
    pub(super) fn replace(&self, name: &str, answers: Vec<Answer>) {
        let mut state = self.shared.state();
        state.reached.retain(|_, (cluster, _)| cluster != name);
        state.given.remove(name);
        state.clusters.insert(name.to_owned(), Cluster { answers });
    }

    /// Takes what has arrived, once that is whole or its connection has ended.
    pub(super) fn take_reached(&self, patience: Duration) -> Vec<(String, Message)> {
        let state = self.shared.state();
        let whole = self.shared.changed.wait_timeout_while(state, patience, |state| state.arriving > 0);
        let reached = std::mem::take(&mut whole.unwrap_or_else(PoisonError::into_inner).0.reached);
        reached.into_values().collect()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        for address in self.addresses.values().flatten() {
            // Wakes the thread that accepts.
            let _ = TcpStream::connect(address);
        }
    }
}

fn accept(listener: &TcpListener, name: &str, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.state().stopped {
            return;
        }
        if let Ok(stream) = stream {
            let (name, shared) = (name.to_owned(), Arc::clone(shared));
            // Ends with its connection, which ends with Envoy.
            std::thread::spawn(move || drop(serve(&stream, &name, &shared)));
        }
    }
}

fn serve(stream: &TcpStream, name: &str, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = Reader::new(stream);
    while let Some(mut request) = reader.request_head()? {
        let to_head = request.headers.first(":method") == Some(b"HEAD");
        let (number, answer) = shared.state().begin(name, request.clone());
        let place = Place { shared, number };
        if let (Some(grpc), None) = (&answer.grpc, answer.fault) {
            std::thread::sleep(answer.delay);
            return converse(stream, &mut reader, request, grpc, &place);
        }
        let body = reader.body(&mut request, false);
        place.record(request);
        drop(place);
        body?;
        std::thread::sleep(answer.delay);
        reply(stream, &answer, to_head)?;
        if answer.fault.is_some() {
            return Ok(());
        }
    }
    Ok(())
}

impl State {
    fn begin(&mut self, name: &str, request: Message) -> (u64, Answer) {
        let given = self.given.entry(name.to_owned()).or_default();
        let answers = self.clusters.get(name).map(|cluster| cluster.answers.as_slice()).unwrap_or_default();
        let answer = answers.get(*given).or(answers.last()).cloned();
        *given += 1;
        self.last += 1;
        self.reached.insert(self.last, (name.to_owned(), request));
        self.arriving += 1;
        (self.last, answer.unwrap_or_else(plain))
    }
}

fn plain() -> Answer {
    Message::response(200).header("content-length", "0").into()
}

/// A request that arrives; whole when this ends.
struct Place<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Place<'_> {
    /// What there is of it by now.
    fn record(&self, request: Message) {
        if let Some((_, seen)) = self.shared.state().reached.get_mut(&self.number) {
            *seen = request;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.arriving = state.arriving.saturating_sub(1);
        drop(state);
        self.shared.changed.notify_all();
    }
}

fn reply(mut stream: &TcpStream, answer: &Answer, to_head: bool) -> std::io::Result<()> {
    match answer.fault {
        None => stream.write_all(&response_bytes(&answer.message, to_head)),
        Some(Fault::Timeout) => until_closed(stream),
        Some(Fault::Reset) => {
            let part = answer.cut_off();
            stream.write_all(&response_head(&part))?;
            part.body.iter().try_for_each(|piece| stream.write_all(&chunk_bytes(piece)))
        }
        Some(Fault::Oversize) => stream.write_all(&response_bytes(&answer.oversized(), false)),
        Some(Fault::Disconnect | Fault::Refuse | Fault::NoHost) => Ok(()),
    }
}

fn until_closed(mut stream: &TcpStream) -> std::io::Result<()> {
    let mut rest = [0; 256];
    while stream.read(&mut rest)? > 0 {}
    Ok(())
}

/// Answers message by message.
fn converse(
    mut stream: &TcpStream,
    reader: &mut Reader<&TcpStream>,
    mut request: Message,
    answer: &GrpcAnswer,
    place: &Place<'_>,
) -> std::io::Result<()> {
    let mut response = grpc_response(answer);
    response.headers.add("transfer-encoding", "chunked");
    stream.write_all(&response_head(&response))?;
    let mut messages = answer.messages.iter();
    let fails = |left: usize| answer.status != 0 && left == 0;
    let (mut frames, mut heard) = (Frames::default(), 0);
    while !fails(messages.len()) && is_chunked(&request.headers) && reader.chunk(&mut request)? {
        place.record(request.clone());
        request.body.get(heard..).unwrap_or_default().iter().for_each(|piece| frames.add(piece));
        heard = request.body.len();
        while let Ok(Some(_)) = frames.next_message() {
            if let Some(message) = messages.next() {
                stream.write_all(&chunk_bytes(&framed(message)))?;
            }
        }
    }
    if !fails(messages.len()) {
        reader.trailers(&mut request)?;
    }
    place.record(request);
    stream.write_all(&end_bytes(&response.trailers))?;
    match until_closed(stream) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1;

    #[test]
    fn they_record_what_arrives_and_answer_as_told() {
        let patience = Duration::from_secs(5);
        let closed = ClosedPort::new().unwrap();
        let servers = Servers::start(&[("a".to_owned(), Cluster::default())].into(), &closed).unwrap();
        let request = Message::request("POST", "/a").header("content-length", "2").body("hi");
        for status in [200, 503] {
            servers.replace("a", vec![Message::response(status).header("content-length", "0").into()]);
            let address = servers.addresses["a"].unwrap();
            let response = http1::exchange(address, &request, patience).unwrap().unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(servers.take_reached(patience), [("a".to_owned(), request.clone())]);
            assert!(servers.take_reached(patience).is_empty());
        }
    }
}
