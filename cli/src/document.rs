//! A configuration as it was written: every value with its place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};
use serde_saphyr::Spanned;

/// Line and column, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A value and where it begins.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key and where it begins.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) name: String,
}

impl Node {
    /// Reads YAML, and with it JSON. No text at all stands for an empty configuration.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::nothing(Place { line: 1, column: 1 }));
        }
        serde_saphyr::from_str_with_options(text, options()).map_err(unreadable)
    }

    /// Reads the configuration of a plugin: the whole text, or what the one Istio WasmPlugin in it holds.
    pub(crate) fn read_plugin_config(text: &str) -> Result<Self, String> {
        let mut documents: Vec<Self> =
            serde_saphyr::from_multiple_with_options(text, options()).map_err(unreadable)?;
        if documents.len() > 1 {
            let all = documents.len();
            documents.retain(Self::is_wasm_plugin);
            if documents.len() != 1 {
                let found = documents.len();
                return Err(format!(
                    " error: {all} documents, {found} of them a WasmPlugin; give each a file of its own"
                ));
            }
        }
        match documents.pop() {
            Some(plugin) if plugin.is_wasm_plugin() => plugin.part_of_wasm_plugin(),
            Some(whole) => Ok(whole),
            None => Ok(Self::nothing(Place { line: 1, column: 1 })),
        }
    }

    /// No text at all stands for an empty configuration.
    fn nothing(place: Place) -> Self {
        Self { place, value: Value::Map(Vec::new()) }
    }

    fn is_wasm_plugin(&self) -> bool {
        matches!(self.get("kind"), Some(Self { value: Value::Text(kind), .. }) if kind == "WasmPlugin")
    }

    fn part_of_wasm_plugin(self) -> Result<Self, String> {
        let place = self.place;
        let spec = self.take("spec").ok_or_else(|| {
            format!("{place}: error: the WasmPlugin has no `spec`; `pluginConfig` belongs there")
        })?;
        if let Value::Map(entries) = &spec.value
            && let Some((key, _)) = entries.iter().find(|(key, _)| is_slip_of(&key.name, "pluginConfig"))
        {
            let (place, name) = (key.place, key.name.escape_debug());
            return Err(format!("{place}: error: spec.{name}: unknown key; did you mean `pluginConfig`?"));
        }
        let place = spec.place;
        let config = spec.take("pluginConfig").filter(|config| !matches!(config.value, Value::Null));
        Ok(config.unwrap_or_else(|| Self::nothing(place)))
    }

    fn take(self, name: &str) -> Option<Self> {
        let Value::Map(entries) = self.value else { return None };
        entries.into_iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// The value at a path such as `rules[2].prefix`.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        let steps = path.split(['.', '[']).filter(|step| !step.is_empty());
        steps.into_iter().try_fold(self, |node, step| {
            match (step.strip_suffix(']').and_then(|index| index.parse::<usize>().ok()), &node.value) {
                (Some(index), Value::List(items)) => items.get(index),
                _ => node.get(step),
            }
        })
    }

    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(truth) => Json::Bool(*truth),
            Value::Number(number) => Json::Number(number.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| (key.name.clone(), node.to_json()));
                Json::Object(entries.collect::<Map<_, _>>())
            }
        }
    }

    /// What it is, for a person; never the value, which may be a secret.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing (null)",
            Value::Bool(_) => "true or false",
            Value::Number(number) if number.is_f64() => "a number with a fraction",
            Value::Number(_) => "a whole number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Limits for files that people name: descriptions of large APIs have a million values. What aliases may multiply stays
/// bounded as by default.
fn options() -> serde_saphyr::Options {
    let budget = serde_saphyr::budget! {
        max_nodes: 20_000_000,
        max_events: 40_000_000,
        max_total_scalar_bytes: 1 << 30,
    };
    serde_saphyr::options! { strict_booleans: true, budget: budget }
}

fn unreadable(error: serde_saphyr::Error) -> String {
    let error = error.without_snippet();
    let place = error.location().map(|place| format!("{}:{}:", place.line(), place.column()));
    let place = place.unwrap_or_default();
    if let serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } = error {
        return format!("{place} error: the key `{}` is there twice; remove one", key.escape_debug());
    }
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    format!("{place} error: neither YAML nor JSON: {text}")
}

/// Whether a name is almost this one.
fn is_slip_of(name: &str, meant: &str) -> bool {
    name != meant && strsim::osa_distance(&name.to_lowercase(), &meant.to_lowercase()) <= 3
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(from)?;
        let place = Place { line: spanned.referenced.line(), column: spanned.referenced.column() };
        Ok(Self { place, value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(from)?;
        let place = Place { line: spanned.referenced.line(), column: spanned.referenced.column() };
        Ok(Self { place, name: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Whatever)
    }
}

struct Whatever;

impl<'de> Visitor<'de> for Whatever {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        Value::deserialize(from)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("a number that JSON does not have"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}
