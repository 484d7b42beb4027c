//! Configuration: JSON into typed values, with errors that say where and never show a secret.

pub mod lenient;
mod locate;
mod message;

use crate::error::HostError;
use locate::Step;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt;

/// More than any configuration holds; the proxy clips it to what is there.
pub(crate) const LIMIT: usize = 0x7fff_ffff;

/// What becomes of keys that the configuration's type does not know.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// # struct DropIn;
/// # #[derive(serde::Deserialize)]
/// # #[serde(deny_unknown_fields)]
/// # struct Config {}
/// # struct Filter;
/// # impl HttpFilter for Filter {}
/// impl Extension for DropIn {
///     const UNKNOWN_KEYS: UnknownKeys = UnknownKeys::Warn;
/// #     type Config = Config;
/// #     type Filter = Filter;
/// #     fn configure(_: Config, _: &Root) -> Result<Self, ConfigError> { Ok(Self) }
/// #     fn filter(self: &Rc<Self>) -> Filter { Filter }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKeys {
    /// They refuse the configuration.
    Refuse,
    /// They are left out, with a warning line each. For drop-in replacements of an extension that ignored them.
    Warn,
}

/// What becomes of values that do not fit their type: a text where there must be a number, a word that is none of those known.
///
/// ```
/// use proxy_wasm_kit::prelude::*;
///
/// # struct DropIn;
/// # #[derive(serde::Deserialize)]
/// # #[serde(deny_unknown_fields)]
/// # struct Config {}
/// # struct Filter;
/// # impl HttpFilter for Filter {}
/// impl Extension for DropIn {
///     const WRONG_VALUES: WrongValues = WrongValues::LeaveOut;
/// #     type Config = Config;
/// #     type Filter = Filter;
/// #     fn configure(_: Config, _: &Root) -> Result<Self, ConfigError> { Ok(Self) }
/// #     fn filter(self: &Rc<Self>) -> Filter { Filter }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongValues {
    /// They refuse the configuration.
    Refuse,
    /// They count as if they were not there, with a warning line each, and the rest holds. For drop-in replacements of an
    /// extension that went on without them. Of a list, an element that is wrong becomes an empty object or text where that
    /// fits, so that the others keep their numbers.
    LeaveOut,
}

/// What is let pass of a configuration.
#[derive(Clone, Copy)]
pub(crate) struct Lenience {
    pub(crate) unknown_keys: UnknownKeys,
    pub(crate) wrong_values: WrongValues,
}

impl Lenience {
    pub(crate) const NONE: Self =
        Self { unknown_keys: UnknownKeys::Refuse, wrong_values: WrongValues::Refuse };
}

/// Why a configuration is refused: what is wrong, and where.
///
/// Made by the SDK when the JSON does not fit the type, and by an extension for what only it can know. The SDK adds line and
/// column, logs it as one line and refuses the configuration. What it writes itself never shows a value: values may be
/// secrets.
///
/// ```
/// use proxy_wasm_kit::ConfigError;
///
/// fn check_port(index: usize, port: u32) -> Result<u16, ConfigError> {
///     u16::try_from(port).map_err(|_| {
///         ConfigError::at(format!("servers[{index}].port"), format!("expected 0 to 65535, found {port}"))
///     })
/// }
///
/// let error = check_port(2, 70_000).unwrap_err();
/// assert_eq!(error.to_string(), "servers[2].port: expected 0 to 65535, found 70000");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    path: String,
    place: Option<Place>,
    message: String,
}

/// Line and column in the JSON text, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
}

impl ConfigError {
    /// An error about the configuration as a whole.
    ///
    /// ```
    /// # use proxy_wasm_kit::ConfigError;
    /// let error = ConfigError::new("expected at least one rule");
    /// assert_eq!(error.to_string(), "expected at least one rule");
    /// ```
    pub fn new(message: impl Into<String>) -> Self {
        Self::at("", message)
    }

    /// An error about the value at `path`, written as in `rules[2].hosts[0]`. Say what was found and what was expected, and
    /// mask what may be a secret.
    ///
    /// ```
    /// # use proxy_wasm_kit::ConfigError;
    /// let error = ConfigError::at("rules[0].prefix", "expected a path, found an empty string");
    /// assert_eq!(error.path(), "rules[0].prefix");
    /// ```
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), place: None, message: message.into() }
    }

    /// Where the value stands, as in `rules[2].hosts[0]`; empty for the configuration as a whole.
    ///
    /// ```
    /// # use proxy_wasm_kit::ConfigError;
    /// assert_eq!(ConfigError::new("no rules").path(), "");
    /// ```
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The same error about the value at `path`, or below it, for errors of what does not know where it stands.
    ///
    /// ```
    /// # use proxy_wasm_kit::ConfigError;
    /// let error = ConfigError::at("host", "expected a name").within("rules[0]");
    /// assert_eq!(error.path(), "rules[0].host");
    /// assert_eq!(ConfigError::new("no rules").within("rules").path(), "rules");
    /// ```
    #[must_use]
    pub fn within(mut self, path: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{path}{separator}{}", self.path);
        self
    }

    /// Adds line and column, if they are not known yet and the path leads to a value in `text`.
    pub(crate) fn located_in(mut self, text: &[u8]) -> Self {
        if self.place.is_none() && !self.path.is_empty() {
            self.place = locate::value_at(text, &self.path);
        }
        self
    }

    pub(crate) fn in_vm_configuration(mut self) -> Self {
        self.message = format!("VM configuration: {}", self.message);
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        one_line(f, &self.path)?;
        match self.place {
            Some(Place { line, column }) => {
                let space = if self.path.is_empty() { "" } else { " " };
                write!(f, "{space}(line {line}, column {column}): ")?;
            }
            None => f.write_str(if self.path.is_empty() { "" } else { ": " })?,
        }
        one_line(f, &self.message)
    }
}

/// Keys may hold line breaks, and an error is one line.
fn one_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for part in text.split_inclusive(char::is_control) {
        let plain = part.trim_end_matches(char::is_control);
        f.write_str(plain)?;
        part.chars()
            .filter(|letter| letter.is_control())
            .try_for_each(|odd| write!(f, "{}", odd.escape_default()))?;
    }
    Ok(())
}

impl std::error::Error for ConfigError {}

impl From<HostError> for ConfigError {
    fn from(error: HostError) -> Self {
        Self::new(error.to_string())
    }
}

/// Reads a configuration. What is let pass is logged: unknown keys by one line for each kind of place, wrong values singly.
pub(crate) fn read<T: DeserializeOwned>(text: &[u8], lenience: Lenience) -> Result<T, ConfigError> {
    if text.iter().all(u8::is_ascii_whitespace) {
        // An operator who gives no configuration means the defaults; a type without fields may also be `()`.
        return parse(b"{}")
            .or_else(|failure| parse(b"null").map_err(|_| failure))
            .map_err(Failure::without_place);
    }
    // serde would read a list as the fields of a struct in order, and an empty one as all defaults.
    if text.trim_ascii_start().first() == Some(&b'[') {
        return Err(ConfigError::new("expected an object, found a list"));
    }
    match parse(text) {
        Err(failure) if lenience.allows(&failure) => lenient(text, failure, lenience),
        result => result.map_err(|failure| failure.error),
    }
}

/// What a parser found wrong.
struct Failure {
    error: ConfigError,
    fault: Fault,
}

enum Fault {
    /// The type does not know this key.
    UnknownKey(String),
    /// The value here does not fit, or is no JSON.
    WrongValue(Vec<Step>),
    /// There is more than a value.
    Other,
}

impl Failure {
    fn new(path: &serde_path_to_error::Path, error: &serde_json::Error) -> Self {
        let message = message::describe(&error.to_string());
        let place = Some(Place { line: error.line(), column: error.column() });
        let fault = match message.unknown_key {
            Some(key) => Fault::UnknownKey(key),
            None => Fault::WrongValue(locate::steps_of(path)),
        };
        Self { error: ConfigError { path: path_of(path), place, message: message.text }, fault }
    }

    /// More than a value.
    fn of_text(error: &serde_json::Error) -> Self {
        let message = message::describe(&error.to_string()).text;
        let place = Some(Place { line: error.line(), column: error.column() });
        Self { error: ConfigError { path: String::new(), place, message }, fault: Fault::Other }
    }

    /// For errors about a text that stands in for the configuration.
    fn without_place(self) -> ConfigError {
        ConfigError { place: None, ..self.error }
    }
}

impl Lenience {
    fn allows(self, failure: &Failure) -> bool {
        match &failure.fault {
            Fault::UnknownKey(_) => self.unknown_keys == UnknownKeys::Warn,
            Fault::WrongValue(steps) => self.wrong_values == WrongValues::LeaveOut && !steps.is_empty(),
            Fault::Other => false,
        }
    }
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| Failure::new(error.path(), error.inner()))?;
    json.end().map_err(|error| Failure::of_text(&error))?;
    Ok(value)
}

/// The path as text. In that crate's form the root is `.`, and a step that it does not know is `?`.
fn path_of(path: &serde_path_to_error::Path) -> String {
    path.to_string().trim_end_matches(['.', '?']).to_owned()
}

/// More than a configuration for another program would have; each costs one more reading of the whole, or three.
const MOST_LET_PASS: usize = 32;

/// Takes out what is let pass, with a warning, until the rest fits or fails for another reason.
fn lenient<T: DeserializeOwned>(text: &[u8], first: Failure, lenience: Lenience) -> Result<T, ConfigError> {
    // Without its path: to track that through a tree would be a tenth of all that reads configurations.
    let Ok(mut rest) = serde_json::from_slice::<Value>(text) else { return Err(first.error) };
    let mut failure = first;
    for _ in 0..MOST_LET_PASS {
        if !lenience.allows(&failure) {
            break;
        }
        failure = match take_out(&mut rest, failure, text)? {
            Ok(config) => return Ok(config),
            Err(next) => next,
        };
    }
    Err(failure.without_place().located_in(text))
}

/// Takes one thing out, and reads the rest.
fn take_out<T: DeserializeOwned>(
    rest: &mut Value,
    failure: Failure,
    text: &[u8],
) -> Result<Result<T, Failure>, ConfigError> {
    let Failure { error, fault } = failure;
    let error = ConfigError { place: None, ..error }.located_in(text);
    match fault {
        Fault::UnknownKey(key) => match locate::remove_everywhere(rest, &error.path, &key) {
            0 => return Err(error),
            1 => log::warn!("configuration key ignored: {error}"),
            many => log::warn!(
                "configuration key ignored: {error}; also at {} more places",
                many.saturating_sub(1)
            ),
        },
        Fault::WrongValue(steps) => {
            log::warn!("configuration error: {error}; left out");
            for stand_in in [Value::Object(Map::new()), Value::from("")] {
                if !locate::replace_element(rest, &steps, stand_in) {
                    break;
                }
                match parse(rest.to_string().as_bytes()) {
                    Err(Failure { fault: Fault::WrongValue(again), .. }) if again == steps => {}
                    read => return Ok(read),
                }
            }
            if !locate::remove(rest, &steps) {
                return Err(error);
            }
        }
        Fault::Other => return Err(error),
    }
    Ok(parse(rest.to_string().as_bytes()))
}

#[cfg(test)]
mod tests;
