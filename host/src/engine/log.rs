//! What a plugin logs (row 53).

use super::status::Status;
use super::vm::Vm;
use crate::exchange::{Level, LogLine, Setup};

/// What Envoy writes before a plugin's text: `wasm log`, plugin name, root id and VM id, those that are not empty.
pub fn log_prefix(setup: &Setup) -> String {
    let names = [&setup.name, &setup.root_id, &setup.vm_id];
    names.iter().filter(|name| !name.is_empty()).fold("wasm log".to_owned(), |line, name| line + " " + name)
}

impl Level {
    /// The level with this number at the ABI.
    pub fn from_number(number: u32) -> Option<Self> {
        let levels = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Critical];
        levels.get(usize::try_from(number).ok()?).copied()
    }
}

impl Vm {
    /// `proxy_log`.
    pub fn log(&mut self, level: u32, message: &[u8]) -> Result<(), Status> {
        let level = Level::from_number(level).ok_or(Status::BAD_ARGUMENT)?;
        self.write_line(level, &String::from_utf8_lossy(message));
        Ok(())
    }

    /// `proxy_get_log_level`.
    pub fn get_log_level(&self) -> u32 {
        self.setup.log_level as u32
    }

    /// What a module writes to file descriptor 1 or 2; one trailing newline is dropped.
    pub fn write_stdio(&mut self, descriptor: u32, text: &[u8]) -> Result<(), Status> {
        let level = match descriptor {
            1 => Level::Info,
            2 => Level::Error,
            _ => return Err(Status::BAD_ARGUMENT),
        };
        if !text.is_empty() {
            self.write_line(level, &String::from_utf8_lossy(text.strip_suffix(b"\n").unwrap_or(text)));
        }
        Ok(())
    }

    /// A panicking module writes to standard error.
    pub fn note_panic(&mut self, message: &str) {
        self.write_line(Level::Error, &format!("panicked: {message}"));
    }

    pub(super) fn write_line(&mut self, level: Level, message: &str) {
        if level >= self.setup.log_level {
            self.lines.push(LogLine { level, message: message.to_owned() });
        }
    }
}
