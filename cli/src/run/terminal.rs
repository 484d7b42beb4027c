//! The terminal, which several threads write to: a text is written as a whole.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Default)]
pub(super) struct Terminal(Arc<Mutex<()>>);

impl Terminal {
    /// Writes a text. Serving goes on when nobody reads it.
    pub(super) fn print(&self, text: &str) {
        let _turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut output = io::stdout().lock();
        let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    }
}
