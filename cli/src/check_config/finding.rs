//! What is found in a configuration: where, how bad, and how it is told.

use crate::document::Place;

use std::path::Path;

/// Something that an operator should know of a configuration.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) place: Place,
    /// Empty for the configuration as a whole.
    pub(super) path: String,
    pub(super) severity: Severity,
    pub(super) message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    /// A mistake, too, even where a proxy would go on.
    UnknownKey,
    /// The configuration holds, and may not do what was wanted.
    Warning,
    /// A part of the configuration does nothing.
    Note,
}

impl Finding {
    /// Whether the configuration is refused for it.
    pub(super) fn is_mistake(&self) -> bool {
        matches!(self.severity, Severity::Error | Severity::UnknownKey)
    }

    /// The line that tells it, in the form that editors understand.
    pub(super) fn line(&self, file: &Path) -> String {
        let word = match self.severity {
            Severity::Error | Severity::UnknownKey => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let path = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        let said = printable(&format!("{path}{}", self.message));
        format!("{}:{}: {word}: {said}", file.display(), self.place)
    }
}

/// What a module or a file says cannot break out of its line, or speak to the terminal.
fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() { line.extend(letter.escape_debug()) } else { line.push(letter) }
    }
    line
}
