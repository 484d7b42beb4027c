//! Envoy's application log, from which the lines of a plugin are picked.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::Error;
use crate::exchange::{Level, LogLine};

/// What Envoy is told to put before each line, so that it can be read here; with `--log-format-escaped`, one record is
/// one line.
pub(super) const FORMAT: &str = "[%l][%n] %v";

/// The file that Envoy writes its log to.
#[derive(Debug)]
pub(super) struct Log(pub(super) PathBuf);

impl Log {
    /// Where the next line will begin.
    pub(super) fn end(&self) -> Result<u64, Error> {
        end_of(&self.0)
    }

    /// All lines that a VM has logged.
    pub(super) fn of_vm(&self, vm_id: &str) -> Result<Vec<LogLine>, Error> {
        self.of_vm_from(0, vm_id)
    }

    /// The lines that a VM has logged after `start`.
    pub(super) fn of_vm_from(&self, start: u64, vm_id: &str) -> Result<Vec<LogLine>, Error> {
        Ok(read_from(&self.0, start)?.lines().filter_map(|line| of_vm(line, vm_id)).collect())
    }

    /// The last lines, for an error message.
    pub(super) fn tail(&self) -> String {
        let text = read_from(&self.0, 0).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(20)).map(|line| format!("  {line}\n")).collect()
    }
}

/// The size of a file; 0 while it does not exist.
pub(super) fn end_of(file: &Path) -> Result<u64, Error> {
    match std::fs::metadata(file) {
        Ok(data) => Ok(data.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// What stands in a file after `start`; nothing while it does not exist.
pub(super) fn read_from(file: &Path, start: u64) -> Result<String, Error> {
    let mut bytes = Vec::new();
    match File::open(file) {
        Ok(mut file) => {
            file.seek(SeekFrom::Start(start))?;
            file.read_to_end(&mut bytes)?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A line like `[info][wasm] wasm log NAME ROOT_ID VM_ID: text`. The name is missing in the root context, the root id
/// when it is empty; the id of the VM stands there always, and is unique.
fn of_vm(line: &str, vm_id: &str) -> Option<LogLine> {
    let (level, rest) = line.strip_prefix('[')?.split_once("][wasm] wasm log ")?;
    let (before, text) = rest.split_once(&format!("{vm_id}: "))?;
    let whole_word = before.is_empty() || before.ends_with(' ');
    if !whole_word || before.contains(": ") {
        return None;
    }
    Some(LogLine { level: self::level(level)?, message: unescape(text) })
}

fn level(name: &str) -> Option<Level> {
    match name {
        "trace" => Some(Level::Trace),
        "debug" => Some(Level::Debug),
        "info" => Some(Level::Info),
        "warning" => Some(Level::Warn),
        "error" => Some(Level::Error),
        "critical" => Some(Level::Critical),
        _ => None,
    }
}

/// Takes back what `--log-format-escaped` did: C escapes, octal for bytes that are not printable.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b'r') => bytes.push(b'\r'),
            Some(b't') => bytes.push(b'\t'),
            Some(digit @ b'0'..=b'7') => bytes.push(octal(digit, &mut rest)),
            Some(other) => bytes.push(other),
            None => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn octal(first: u8, rest: &mut impl Iterator<Item = u8>) -> u8 {
    let add = |value: u8, digit: u8| value.wrapping_mul(8).wrapping_add(digit.wrapping_sub(b'0'));
    rest.take(2).fold(add(0, first), add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: Level, message: &str) -> Option<LogLine> {
        Some(LogLine { level, message: message.into() })
    }

    #[test]
    fn lines_of_a_vm_are_told_from_those_of_others() {
        let of = |text: &str| of_vm(text, "case-1");
        assert_eq!(of("[info][wasm] wasm log probe r case-1: hello"), line(Level::Info, "hello"));
        assert_eq!(of("[warning][wasm] wasm log case-1: a: b"), line(Level::Warn, "a: b"));
        assert_eq!(of("[info][wasm] wasm log probe case-11: hello"), None);
        assert_eq!(of("[info][wasm] wasm log probe xcase-1: hello"), None);
        assert_eq!(of("[info][wasm] wasm log probe case-2: of case-1: hello"), None);
        assert_eq!(of("[error][wasm] Wasm VM failed case-1: x"), None);
        assert_eq!(of("[info][main] wasm log case-1: x"), None);
    }

    #[test]
    fn escapes_are_taken_back() {
        assert_eq!(unescape(r#"a\n\t\"b\" \\xff \303\251 \'"#), "a\n\t\"b\" \\xff é '");
    }
}
