//! HTTP/1.1 on a socket, byte for byte: what a message says is what is sent, and nothing that arrives is made prettier.
//!
//! Framing is taken from the headers of a message, never added, so that a case can also lie about it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use crate::exchange::{Headers, Message};

/// More header fields than any case sends.
const MAX_FIELDS: usize = 8192;

/// The bytes of a request.
pub fn request_bytes(request: &Message) -> Vec<u8> {
    let part = |name: &str| request.headers.first(name).unwrap_or_default();
    let mut bytes = [part(":method"), b" ", part(":path"), b" HTTP/1.1\r\n"].concat();
    if let Some(authority) = request.headers.first(":authority") {
        field(&mut bytes, b"host", authority);
    }
    fields(&mut bytes, &request.headers);
    body(&mut bytes, request);
    bytes
}

/// The bytes of a response; without its body in answer to a HEAD.
pub fn response_bytes(response: &Message, to_head: bool) -> Vec<u8> {
    let mut bytes = response_head(response);
    if !to_head {
        body(&mut bytes, response);
    }
    bytes
}

fn field(bytes: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    bytes.extend([name, b": ", value, b"\r\n"].concat());
}

/// All fields but the pseudo-headers, and the empty line.
fn fields(bytes: &mut Vec<u8>, headers: &Headers) {
    for (name, value) in headers.0.iter().filter(|(name, _)| !name.starts_with(b":")) {
        field(bytes, name, value);
    }
    bytes.extend(b"\r\n");
}

/// The head of a response.
pub fn response_head(response: &Message) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {} Status\r\n", response.status()).into_bytes();
    fields(&mut bytes, &response.headers);
    bytes
}

/// A piece of a body that comes in chunks.
pub fn chunk_bytes(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}

/// The end of a body that comes in chunks.
pub fn end_bytes(trailers: &Headers) -> Vec<u8> {
    let mut bytes = b"0\r\n".to_vec();
    fields(&mut bytes, trailers);
    bytes
}

fn body(bytes: &mut Vec<u8>, message: &Message) {
    if !is_chunked(&message.headers) {
        bytes.extend(message.body.concat());
        return;
    }
    for chunk in message.body.iter().filter(|chunk| !chunk.is_empty()) {
        bytes.extend(chunk_bytes(chunk));
    }
    bytes.extend(end_bytes(&message.trailers));
}

/// Whether these headers say that the body comes in chunks.
pub fn is_chunked(headers: &Headers) -> bool {
    headers.first("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked"))
}

/// Reads messages from a stream.
#[derive(Debug)]
pub struct Reader<R> {
    stream: R,
    buffer: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Reads from `stream`.
    pub fn new(stream: R) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The head of the next request; none when the stream ends before it begins.
    pub fn request_head(&mut self) -> io::Result<Option<Message>> {
        self.head(parse_request)
    }

    /// The next response, informational ones left out; none when the stream ends before it begins, and cut off where
    /// the stream ends before the response does.
    pub fn response(&mut self, to_head: bool) -> io::Result<Option<Message>> {
        while let Some(mut message) = self.head(parse_response)? {
            let status = message.status();
            if !(100..200).contains(&status) {
                let bodiless = to_head || matches!(status, 204 | 304);
                let body = if bodiless { Ok(()) } else { self.body(&mut message, true) };
                return body
                    .or_else(|error| if ended(&error) { Ok(()) } else { Err(error) })
                    .map(|()| Some(message));
            }
        }
        Ok(None)
    }

    fn head(&mut self, parse: fn(&[u8]) -> Parsed) -> io::Result<Option<Message>> {
        loop {
            if let Some((end, message)) = parse(&self.buffer).map_err(invalid)? {
                self.buffer.drain(..end);
                return Ok(Some(message));
            }
            if !self.more()? {
                let clean = self.buffer.is_empty();
                return if clean { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Reads the body and the trailers of `message`; what arrived before an error stays in it.
    pub fn body(&mut self, message: &mut Message, until_end: bool) -> io::Result<()> {
        if is_chunked(&message.headers) {
            while self.chunk(message)? {}
            return self.trailers(message);
        }
        let length =
            message.headers.first("content-length").map(|value| decimal(value).ok_or_else(bad_length));
        match length.transpose()? {
            Some(length) => self.sized(message, length),
            None if until_end => self.rest(message),
            None => Ok(()),
        }
    }

    fn sized(&mut self, message: &mut Message, length: usize) -> io::Result<()> {
        let mut missing = length;
        while missing > 0 {
            if self.buffer.is_empty() && !self.more()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let piece: Vec<u8> = self.buffer.drain(..missing.min(self.buffer.len())).collect();
            missing -= piece.len();
            message.body.push(piece);
        }
        Ok(())
    }

    fn rest(&mut self, message: &mut Message) -> io::Result<()> {
        while self.more()? {}
        message.body.push(std::mem::take(&mut self.buffer));
        Ok(())
    }

    /// Reads one chunk into the body of `message`; false for the last one, after which trailers follow.
    pub fn chunk(&mut self, message: &mut Message) -> io::Result<bool> {
        let (start, size) = loop {
            match httparse::parse_chunk_size(&self.buffer) {
                Ok(httparse::Status::Complete(found)) => break found,
                Ok(httparse::Status::Partial) => self.need_more()?,
                Err(error) => return Err(invalid(error.to_string())),
            }
        };
        self.buffer.drain(..start);
        let size = usize::try_from(size).map_err(invalid)?;
        if size == 0 {
            return Ok(false);
        }
        self.sized(message, size)?;
        while self.buffer.len() < 2 {
            self.need_more()?;
        }
        self.buffer.drain(..2);
        Ok(true)
    }

    /// Reads the trailers of `message`.
    pub fn trailers(&mut self, message: &mut Message) -> io::Result<()> {
        loop {
            let mut slots = vec![httparse::EMPTY_HEADER; MAX_FIELDS];
            let parsed = httparse::parse_headers(&self.buffer, &mut slots).map_err(invalid)?;
            if let httparse::Status::Complete((end, fields)) = parsed {
                fields.iter().for_each(|field| message.trailers.add(field.name, field.value));
                self.buffer.drain(..end);
                return Ok(());
            }
            self.need_more()?;
        }
    }

    fn need_more(&mut self) -> io::Result<()> {
        if self.more()? { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn more(&mut self) -> io::Result<bool> {
        let mut piece = [0; 16 * 1024];
        let size = self.stream.read(&mut piece)?;
        self.buffer.extend(piece.iter().take(size));
        Ok(size > 0)
    }
}

/// The head of a message and where it ends; none while it is not complete.
type Parsed = Result<Option<(usize, Message)>, httparse::Error>;

fn parse_request(bytes: &[u8]) -> Parsed {
    let mut slots = vec![httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut slots);
    let httparse::Status::Complete(end) = parsed.parse(bytes)? else { return Ok(None) };
    let mut message = Message::default();
    message.headers.add(":path", parsed.path.unwrap_or_default());
    message.headers.add(":method", parsed.method.unwrap_or_default());
    message.headers.add(":scheme", "http");
    Ok(Some((end, host_to_authority(with_fields(message, parsed.headers)))))
}

fn parse_response(bytes: &[u8]) -> Parsed {
    let mut slots = vec![httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut slots);
    let httparse::Status::Complete(end) = parsed.parse(bytes)? else { return Ok(None) };
    let message = Message::response(parsed.code.unwrap_or_default());
    Ok(Some((end, with_fields(message, parsed.headers))))
}

fn with_fields(mut message: Message, fields: &[httparse::Header<'_>]) -> Message {
    fields.iter().for_each(|field| message.headers.add(field.name, field.value));
    message
}

fn host_to_authority(mut message: Message) -> Message {
    if let Some(host) = message.headers.first("host").map(<[u8]>::to_vec) {
        message.headers.remove("host");
        message.headers.0.insert(0, (b":authority".to_vec(), host));
    }
    message
}

fn decimal(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.trim().parse().ok()
}

fn bad_length() -> io::Error {
    invalid("content-length is not a number")
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

/// Sends a request on a connection of its own and reads the response; none when the connection ends without one.
///
/// Both go on at once: a server may answer, and close, before it has read everything.
pub fn exchange(address: SocketAddr, request: &Message, patience: Duration) -> io::Result<Option<Message>> {
    exchange_from(address, request, patience, || {})
}

/// The patience counts from when the request is written, and `written` has run.
pub fn exchange_from(
    address: SocketAddr,
    request: &Message,
    patience: Duration,
    written: impl FnOnce() + Send,
) -> io::Result<Option<Message>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(patience))?;
    let bytes = request_bytes(request);
    let to_head = request.headers.first(":method") == Some(b"HEAD");
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let stream = &stream;
        let sender = scope.spawn(move || {
            // A failure to send shows in what can be read: a response, or none.
            let _ = (&*stream).write_all(&bytes);
            written();
            let is_late = is_done.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
            let _ = stream.shutdown(Shutdown::Both);
            is_late
        });
        let response = Reader::new(stream).response(to_head);
        drop(done);
        // Who still writes, to a server that has answered and reads no more, shall not go on.
        let _ = stream.shutdown(Shutdown::Both);
        if sender.join().unwrap_or_default() {
            return Err(ErrorKind::TimedOut.into());
        }
        response.or_else(|error| if ended(&error) { Ok(None) } else { Err(error) })
    })
}

fn ended(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(bytes: &[u8]) -> Message {
        let mut reader = Reader::new(bytes);
        let mut message = reader.request_head().unwrap().unwrap();
        reader.body(&mut message, false).unwrap();
        assert!(reader.buffer.is_empty());
        message
    }

    #[test]
    fn a_request_is_written_as_the_message_says() {
        let message = Message::request("POST", "/a?b")
            .header("x", b"\xff".as_slice())
            .header("x", "")
            .header("content-length", "7")
            .body("hi");
        let bytes =
            b"POST /a?b HTTP/1.1\r\nhost: example.com\r\nx: \xff\r\nx: \r\ncontent-length: 7\r\n\r\nhi";
        assert_eq!(request_bytes(&message), bytes);
    }

    #[test]
    fn a_chunked_message_is_read_as_it_was_written() {
        let mut message =
            Message::request("PUT", "/").header("transfer-encoding", "chunked").trailer("t", "1");
        message.body = vec![b"one".to_vec(), b"two".to_vec()];
        assert_eq!(request(&request_bytes(&message)), message);
    }

    #[test]
    fn a_sized_message_is_read_as_it_was_written() {
        let message = Message::request("PUT", "/").header("content-length", "3").body("abc");
        assert_eq!(request(&request_bytes(&message)), message);
    }

    #[test]
    fn a_response_to_head_has_no_body() {
        let message = Message::response(200).header("content-length", "3").body("abc");
        let bytes = response_bytes(&message, true);
        assert!(bytes.ends_with(b"\r\n\r\n"));
        let read = Reader::new(bytes.as_slice()).response(true).unwrap().unwrap();
        assert_eq!((read.status(), read.body.len()), (200, 0));
    }

    #[test]
    fn a_response_may_follow_an_informational_one_and_end_with_the_stream() {
        let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 Unauthorized\r\nX-A: b\r\n\r\nrest";
        let read = Reader::new(bytes.as_slice()).response(false).unwrap().unwrap();
        assert_eq!((read.status(), read.whole_body()), (401, b"rest".to_vec()));
        assert_eq!(read.headers.first("x-a"), Some(b"b".as_slice()));
    }

    #[test]
    fn what_arrived_before_an_early_end_is_kept() {
        let mut reader = Reader::new(b"PUT / HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc".as_slice());
        let mut message = reader.request_head().unwrap().unwrap();
        assert_eq!(reader.body(&mut message, false).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!(message.whole_body(), b"abc");
        let mut cut = Reader::new(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".as_slice());
        assert_eq!(cut.response(false).unwrap().unwrap().whole_body(), b"abc");
        assert!(Reader::new(b"".as_slice()).response(false).unwrap().is_none());
    }
}
