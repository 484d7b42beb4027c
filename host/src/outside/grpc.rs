//! gRPC over HTTP: frames of messages, and the response that a script stands for.

use super::GrpcAnswer;
use crate::exchange::Message;

/// Not compressed, then the size.
const HEAD: usize = 5;

/// A message in its frame.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let size = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &size.to_be_bytes()[..], message].concat()
}

/// A frame says that it is compressed, which nobody agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compressed;

/// Takes messages out of a stream of bytes, wherever it is cut.
#[derive(Clone, Debug, Default)]
pub struct Frames(Vec<u8>);

impl Frames {
    /// Bytes have arrived.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// The next message; none while it is not complete.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>, Compressed> {
        let Some((&[flags, a, b, c, d], rest)) = self.0.split_first_chunk::<HEAD>() else { return Ok(None) };
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        if flags != 0 && size > 0 {
            return Err(Compressed);
        }
        let Some(message) = rest.get(..size).map(<[u8]>::to_vec) else { return Ok(None) };
        self.0.drain(..HEAD + size);
        Ok(Some(message))
    }
}

/// The whole response that a gRPC server makes of `answer`.
pub fn grpc_response(answer: &GrpcAnswer) -> Message {
    let mut response = Message::response(200).header("content-type", "application/grpc");
    response.headers.0.extend(answer.metadata.0.iter().cloned());
    response.body = answer.messages.iter().map(|message| framed(message)).collect();
    response.trailers.add("grpc-status", answer.status.to_string());
    if !answer.text.is_empty() {
        response.trailers.add("grpc-message", answer.text.clone());
    }
    response.trailers.0.extend(answer.trailers.0.iter().cloned());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_put_together_wherever_they_are_cut() {
        let wire = [framed(b"one"), framed(b""), framed(b"two")].concat();
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for byte in wire {
            frames.add(&[byte]);
            found.extend(frames.next_message().unwrap());
        }
        assert_eq!(found, [b"one".to_vec(), b"".to_vec(), b"two".to_vec()]);
        frames.add(&[1, 0, 0, 0, 1, 0]);
        assert_eq!(frames.next_message(), Err(Compressed));
    }
}
