//! The clusters of a test: they answer as told, and remember what has reached them.

use super::{
    Answer, Arrival, Callout, Cluster, Fault, Frames, GrpcAnswer, Outside, Part, REFUSED, TERMINATED,
    grpc_response, parts,
};
use crate::exchange::{Headers, Message};
use std::collections::BTreeMap;
use std::time::Duration;

/// Clusters that answer from a script.
#[derive(Debug, Default)]
pub struct Scripted {
    clusters: BTreeMap<String, Cluster>,
    /// How many answers each cluster has given.
    given: BTreeMap<String, usize>,
    reached: Vec<(String, Message)>,
    streams: BTreeMap<u32, Stream>,
}

/// A gRPC stream that the plugin has open.
#[derive(Debug)]
struct Stream {
    /// Which of `reached` it is; none once that was taken.
    reached: Option<usize>,
    frames: Frames,
    delay: Duration,
    answer: GrpcAnswer,
    next: usize,
    ended: bool,
}

impl Scripted {
    /// Clusters by name.
    pub fn new(clusters: BTreeMap<String, Cluster>) -> Self {
        Self { clusters, ..Self::default() }
    }

    fn next_answer(&mut self, cluster: &str) -> Answer {
        let given = self.given.entry(cluster.to_owned()).or_default();
        let answers =
            self.clusters.get(cluster).map(|cluster| cluster.answers.as_slice()).unwrap_or_default();
        let answer = answers.get(*given).or(answers.last()).cloned();
        *given += 1;
        answer.unwrap_or_else(|| Message::response(200).into())
    }
}

impl Outside for Scripted {
    fn knows(&self, cluster: &str) -> bool {
        self.clusters.contains_key(cluster)
    }

    fn call(&mut self, callout: &Callout) -> Option<Vec<Arrival>> {
        let answer = self.next_answer(&callout.cluster);
        match answer.fault {
            Some(Fault::NoHost) => return None,
            Some(Fault::Refuse) => return Some(at(answer.delay, vec![Part::Failed(REFUSED.into())])),
            _ => self.reached.push((callout.cluster.clone(), callout.request.clone())),
        }
        if callout.whole || answer.fault.is_some() || answer.grpc.is_none() {
            return Some(at(answer.delay, whole(&answer)));
        }
        let stream = Stream {
            reached: self.reached.len().checked_sub(1),
            frames: Frames::default(),
            delay: answer.delay,
            answer: answer.grpc.unwrap_or_default(),
            next: 0,
            ended: false,
        };
        let begin = stream.begin();
        self.streams.insert(callout.id, stream);
        Some(begin)
    }

    fn send(&mut self, id: u32, data: &[u8], end_of_stream: bool) -> Vec<Arrival> {
        let Some(stream) = self.streams.get_mut(&id) else { return Vec::new() };
        let seen = stream.reached.and_then(|index| self.reached.get_mut(index));
        if let Some((_, seen)) = seen.filter(|_| !data.is_empty()) {
            seen.body.push(data.to_vec());
        }
        stream.hear(data, end_of_stream)
    }

    fn cancel(&mut self, id: u32) {
        self.streams.remove(&id);
    }

    fn take_reached(&mut self) -> Vec<(String, Message)> {
        self.streams.values_mut().for_each(|stream| stream.reached = None);
        std::mem::take(&mut self.reached)
    }
}

impl Stream {
    /// The headers; with an error and no messages also the end.
    fn begin(&self) -> Vec<Arrival> {
        let response = grpc_response(&self.answer);
        let mut begin = vec![Part::Headers(response.headers, false)];
        begin.extend(self.fails_now().then_some(Part::Trailers(response.trailers)));
        at(self.delay, begin)
    }

    fn fails_now(&self) -> bool {
        self.answer.status != 0 && self.next >= self.answer.messages.len()
    }

    fn hear(&mut self, data: &[u8], end_of_stream: bool) -> Vec<Arrival> {
        self.frames.add(data);
        let mut answers = Vec::new();
        while let Ok(Some(_)) = self.frames.next_message() {
            let message = self.answer.messages.get(self.next).filter(|_| !self.ended);
            answers.extend(message.map(|message| Part::Data(super::framed(message), false)));
            self.next += usize::from(message.is_some());
        }
        let fails = self.fails_now() && !answers.is_empty();
        if (end_of_stream || fails) && !std::mem::replace(&mut self.ended, true) {
            answers.push(Part::Trailers(grpc_response(&self.answer).trailers));
        }
        at(self.delay, answers)
    }
}

/// The whole answer to a whole request.
fn whole(answer: &Answer) -> Vec<Part> {
    let message = answer.grpc.as_ref().map_or_else(|| answer.message.clone(), grpc_response);
    match answer.fault {
        Some(Fault::Disconnect) => vec![Part::Failed(TERMINATED.into())],
        Some(Fault::Reset) => {
            let headers: Headers = message.headers;
            vec![Part::Headers(headers, false), Part::Reset]
        }
        Some(Fault::Oversize) => vec![Part::Reset],
        Some(Fault::Timeout) => Vec::new(),
        Some(Fault::Refuse | Fault::NoHost) | None => parts(message),
    }
}

fn at(after: Duration, parts: Vec<Part>) -> Vec<Arrival> {
    parts.into_iter().map(|part| Arrival { after, part }).collect()
}
