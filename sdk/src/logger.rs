//! The `log` crate's lines in the proxy's log: filtered by the proxy's level before they are formatted.

use crate::{abi, context};
use log::{Level, LevelFilter, Metadata, Record};
use std::cell::{Cell, RefCell};
use std::fmt::Write;

/// Writes what the `log` macros are given.
struct HostLogger;

static LOGGER: HostLogger = HostLogger;

thread_local! {
    static FILTER: Cell<LevelFilter> = const { Cell::new(LevelFilter::Info) };
    static PLUGIN: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Installs the logger and takes over the plugin's name and the proxy's log level, as they are now.
///
/// The level is read when a plugin is configured, and not on each request, where it would cost a host call.
pub(crate) fn start() {
    // The only failure is that a logger is set already: ours, from another VM of a native test, or the test's own.
    let _ = log::set_logger(&LOGGER);
    let filter = abi::log_level().map_or(LevelFilter::Info, filter_of);
    FILTER.set(filter);
    // Native tests hold many VMs with a level each, so there the global level must let everything pass.
    log::set_max_level(if cfg!(target_arch = "wasm32") { filter } else { LevelFilter::Trace });
    let name = abi::property("plugin_name").ok().flatten().unwrap_or_default();
    PLUGIN.set(name.as_str().unwrap_or_default().to_owned());
}

fn filter_of(level: u32) -> LevelFilter {
    match level {
        0 => LevelFilter::Trace,
        1 => LevelFilter::Debug,
        2 => LevelFilter::Info,
        3 => LevelFilter::Warn,
        _ => LevelFilter::Error,
    }
}

fn number_of(level: Level) -> u32 {
    match level {
        Level::Trace => 0,
        Level::Debug => 1,
        Level::Info => 2,
        Level::Warn => 3,
        Level::Error => 4,
    }
}

/// `[plugin request-id] text`; what is not known is left out.
fn line(record: &Record<'_>) -> String {
    let mut line = PLUGIN.with_borrow(|name| format!("[{name}"));
    if let Some(id) = request_id() {
        let _ = write!(line, " {}", id.escape_ascii());
    }
    let _ = write!(line, "] {}", record.args());
    line
}

fn request_id() -> Option<crate::Bytes> {
    context::is_stream()
        .then(|| abi::property("request\0id").ok().flatten())
        .flatten()
        .filter(|id| !id.is_empty())
}

impl log::Log for HostLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= FILTER.get()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // Nothing can be done about a log line that cannot be logged.
            let _ = abi::log(number_of(record.level()), &line(record));
        }
    }

    fn flush(&self) {}
}
