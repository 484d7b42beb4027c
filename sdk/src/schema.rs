//! A JSON schema of the plugin configuration, made while the crate compiles, and kept in the module.
//!
//! `pwkit check-config` and editors read it from the module's custom section `pwkit.config`. It costs the running plugin
//! nothing: the proxy does not load custom sections into the VM.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

/// A type that is a part of a configuration: what JSON it is read from. Derive it beside serde's `Deserialize`.
///
/// The derive follows serde's attributes (`rename`, `rename_all`, `alias`, `default`, `skip`, `deny_unknown_fields`, `tag`,
/// `untagged`, `transparent`); comments become descriptions. A field with a `deserialize_with` is taken for its type; where it
/// reads more than that, say so: `#[schema(json = r#""type":["boolean","string"]"#)]` gives the members of the schema. Of a field
/// that is read and does nothing, `#[schema(no_effect = "..")]` says why; `pwkit check-config` tells who writes it.
///
/// ```
/// use proxy_wasm_kit::Schema;
///
/// /// How requests are told apart.
/// #[derive(serde::Deserialize, Schema)]
/// #[serde(rename_all = "snake_case")]
/// enum By {
///     SourceAddress,
///     Header(String),
/// }
/// ```
///
/// What has no schema does not compile, so that none is wrong without a word:
///
/// ```compile_fail
/// #[derive(serde::Deserialize, proxy_wasm_kit::Schema)]
/// struct Settings {
///     #[serde(flatten)]
///     others: std::collections::BTreeMap<String, String>,
/// }
/// ```
pub trait Schema {
    /// The members of the schema, without the braces around them.
    const MEMBERS: &'static SchemaText;
}

/// A schema as a tree of texts, since constants of generic types cannot be joined to one.
#[doc(hidden)]
#[derive(Debug)]
pub enum SchemaText {
    Text(&'static str),
    Of(&'static SchemaText),
    All(&'static [SchemaText]),
}

impl SchemaText {
    /// The number of bytes of the whole text.
    #[doc(hidden)]
    #[allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "it runs in the compiler alone"
    )]
    pub const fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Of(other) => other.size(),
            Self::All(parts) => {
                let (mut size, mut index) = (0, 0);
                while index < parts.len() {
                    size += parts[index].size();
                    index += 1;
                }
                size
            }
        }
    }

    /// Writes the text from `at` on; returns where it ends.
    #[doc(hidden)]
    #[allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "it runs in the compiler alone"
    )]
    pub const fn write<const N: usize>(&self, mut out: [u8; N], mut at: usize) -> ([u8; N], usize) {
        match self {
            Self::Text(text) => {
                let mut index = 0;
                while index < text.len() {
                    out[at] = text.as_bytes()[index];
                    at += 1;
                    index += 1;
                }
                (out, at)
            }
            Self::Of(other) => other.write(out, at),
            Self::All(parts) => {
                let mut index = 0;
                while index < parts.len() {
                    (out, at) = parts[index].write(out, at);
                    index += 1;
                }
                (out, at)
            }
        }
    }
}

/// The whole schema of a type as a constant text.
#[doc(hidden)]
#[macro_export]
macro_rules! schema_text {
    ($of:ty) => {{
        const WHOLE: $crate::SchemaText = $crate::SchemaText::All(&[
            $crate::SchemaText::Text("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","),
            $crate::SchemaText::Of(<$of as $crate::Schema>::MEMBERS),
            $crate::SchemaText::Text("}"),
        ]);
        const BYTES: [u8; WHOLE.size()] = WHOLE.write([0; WHOLE.size()], 0).0;
        match std::str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => "",
        }
    }};
}

/// The JSON schema of a configuration, as it stands in the module.
///
/// ```
/// use proxy_wasm_kit::Config;
///
/// /// Who may pass.
/// #[derive(serde::Deserialize, Config)]
/// #[serde(deny_unknown_fields)]
/// struct Settings {
///     /// Their names.
///     tenants: Vec<String>,
/// }
///
/// assert_eq!(
///     proxy_wasm_kit::config_schema!(Settings),
///     r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","description":"Who may pass.","type":"object",
///     "properties":{"tenants":{"description":"Their names.","type":"array","items":{"type":"string"}}},
///     "required":["tenants"],"additionalProperties":false}"#.replace("\n    ", ""),
/// );
/// ```
#[macro_export]
macro_rules! config_schema {
    ($of:ty) => {
        $crate::schema_text!($of)
    };
}

macro_rules! simple {
    ($($($of:ty),+ => $members:literal;)*) => {$($(
        impl Schema for $of {
            const MEMBERS: &'static SchemaText = &SchemaText::Text($members);
        }
    )+)*};
}

simple! {
    bool => "\"type\":\"boolean\"";
    String, &str, Cow<'_, str>, Box<str>, Rc<str> => "\"type\":\"string\"";
    char => "\"type\":\"string\",\"minLength\":1,\"maxLength\":1";
    f32, f64 => "\"type\":\"number\"";
    u8 => "\"type\":\"integer\",\"minimum\":0,\"maximum\":255";
    u16 => "\"type\":\"integer\",\"minimum\":0,\"maximum\":65535";
    u32 => "\"type\":\"integer\",\"minimum\":0,\"maximum\":4294967295";
    u64, usize => "\"type\":\"integer\",\"minimum\":0";
    i8 => "\"type\":\"integer\",\"minimum\":-128,\"maximum\":127";
    i16 => "\"type\":\"integer\",\"minimum\":-32768,\"maximum\":32767";
    i32 => "\"type\":\"integer\",\"minimum\":-2147483648,\"maximum\":2147483647";
    i64, isize => "\"type\":\"integer\"";
    () => "\"type\":\"null\"";
    serde_json::Value, serde::de::IgnoredAny => "\"type\":[\"null\",\"boolean\",\"number\",\"string\",\"array\",\"object\"]";
}

macro_rules! wrapped {
    ($($before:literal $of:ty => $after:literal [$($generics:tt)*];)*) => {$(
        impl<$($generics)*> Schema for $of {
            const MEMBERS: &'static SchemaText =
                &SchemaText::All(&[SchemaText::Text($before), SchemaText::Of(T::MEMBERS), SchemaText::Text($after)]);
        }
    )*};
}

wrapped! {
    "" Option<T> => ",\"nullable\":true" [T: Schema];
    "" Box<T> => "" [T: Schema];
    "" Rc<T> => "" [T: Schema];
    "\"type\":\"array\",\"items\":{" Vec<T> => "}" [T: Schema];
    "\"type\":\"array\",\"items\":{" BTreeSet<T> => "}" [T: Schema];
    "\"type\":\"array\",\"items\":{" HashSet<T, S> => "}" [T: Schema, S];
    "\"type\":\"object\",\"additionalProperties\":{" BTreeMap<String, T> => "}" [T: Schema];
    "\"type\":\"object\",\"additionalProperties\":{" HashMap<String, T, S> => "}" [T: Schema, S];
}
