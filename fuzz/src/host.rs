//! A host that is nobody's friend: it answers each question with the next line of the input, whatever was asked.
//!
//! `!4` is the status 4, `@name=value;name=value` are pairs as a proxy writes them, and every other line is bytes as they
//! stand there. What only takes something succeeds, unless a status is next.
//! After the last line nothing is found, and foreign functions give a number.

mod callbacks;
mod imports;

pub use callbacks::{Stream, begin_stream, call_response, configure, end, tick};

use std::cell::RefCell;
use std::collections::VecDeque;

/// The status of what is not there.
const NOT_FOUND: u32 = 1;

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

#[derive(Default)]
struct Host {
    configuration: Vec<u8>,
    answers: VecDeque<Vec<u8>>,
    log: Vec<(u32, String)>,
    calls: VecDeque<u32>,
    number: u32,
    /// What the stream that began last is.
    is_connection: bool,
}

impl Host {
    /// The status that is next, if one is.
    fn status(&mut self) -> u32 {
        match self.answers.front().and_then(|line| status_of(line)) {
            Some(status) => {
                self.answers.pop_front();
                status
            }
            None => 0,
        }
    }

    /// What comes next.
    fn data(&mut self) -> Result<Vec<u8>, u32> {
        self.answers.pop_front().map_or(Err(NOT_FOUND), meaning)
    }

    /// A number that was never given before.
    fn number(&mut self) -> u32 {
        self.number = self.number.wrapping_add(1);
        self.number
    }
}

/// What a line stands for as an answer.
fn meaning(line: Vec<u8>) -> Result<Vec<u8>, u32> {
    match (status_of(&line), line.strip_prefix(b"@")) {
        (Some(0), _) => Ok(Vec::new()),
        (Some(status), _) => Err(status),
        (None, Some(pairs)) => Ok(encode(pairs)),
        (None, None) => Ok(line),
    }
}

fn status_of(line: &[u8]) -> Option<u32> {
    std::str::from_utf8(line.strip_prefix(b"!")?).ok()?.parse().ok()
}

/// `name=value;name=value` in the wire format: a count, a table of sizes, then every text with a NUL behind it.
pub fn encode(pairs: &[u8]) -> Vec<u8> {
    let pairs: Vec<[&[u8]; 2]> = pairs.split(|byte| *byte == b';').map(halves).collect();
    let mut wire = number(pairs.len());
    wire.extend(pairs.iter().flatten().flat_map(|text| number(text.len())));
    for text in pairs.iter().flatten() {
        wire.extend_from_slice(text);
        wire.push(0);
    }
    wire
}

fn halves(pair: &[u8]) -> [&[u8]; 2] {
    let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
    [&pair[..at], pair.get(at + 1..).unwrap_or_default()]
}

fn number(length: usize) -> Vec<u8> {
    (length as u32).to_le_bytes().to_vec()
}

/// Forgets what was, and takes these answers. Numbers go on: a proxy gives none twice, and the dispatcher of the crate has a
/// panic for that.
pub fn answer(lines: &[u8]) {
    let answers = lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    HOST.with_borrow_mut(|host| *host = Host { answers, number: host.number, ..Host::default() });
}

/// The lines of the log since the last time, with their levels.
pub fn take_log() -> Vec<(u32, String)> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.log))
}

/// The answer that is next, whoever asks.
pub fn next_answer() -> Option<Result<Vec<u8>, u32>> {
    HOST.with_borrow(|host| host.answers.front().cloned().map(meaning))
}
