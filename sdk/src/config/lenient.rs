//! Values as templates and Istio write them, for `#[serde(deserialize_with = "..")]` of a configuration.

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::fmt;

/// `true` or `"true"`: templates quote, and the JSON libraries of Istio's own extensions did not mind.
///
/// # Errors
///
/// The value is neither `true` nor `false`, in quotes or without.
///
/// ```
/// use proxy_wasm_kit::lenient::flag;
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     #[serde(default, deserialize_with = "flag")]
///     strict: bool,
/// }
///
/// let config: Config = serde_json::from_str(r#"{"strict": "true"}"#)?;
/// assert!(config.strict);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    struct Flag;

    impl Visitor<'_> for Flag {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true or false")
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
            Ok(value)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
            text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
        }
    }

    from.deserialize_any(Flag)
}

/// `10`, `10.0` or `"10"`: Istio hands plugin configurations through a type whose numbers are all floating.
///
/// # Errors
///
/// The value is no whole number, negative, or larger than 32 bits hold.
///
/// ```
/// use proxy_wasm_kit::lenient::whole_number;
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     #[serde(deserialize_with = "whole_number")]
///     attempts: u32,
/// }
///
/// let config: Config = serde_json::from_str(r#"{"attempts": 10.0}"#)?;
/// assert_eq!(config.attempts, 10);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn whole_number<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    struct WholeNumber;

    impl Visitor<'_> for WholeNumber {
        type Value = u32;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number")
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<u32, E> {
            u32::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<u32, E> {
            let whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
            if whole { Ok(number as u32) } else { Err(E::invalid_value(Unexpected::Float(number), &self)) }
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u32, E> {
            text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
        }
    }

    from.deserialize_any(WholeNumber)
}
