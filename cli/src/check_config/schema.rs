//! What a schema says of a configuration. Of JSON Schema it knows the part that the SDK's derive writes, and says so when a
//! schema asks for more.

use super::finding::{Finding, Severity};
use crate::document::{Key, Node, Value};
use serde_json::Value as Json;

/// What a proxy does with an unknown key, where it goes on.
const UNKNOWN_KEYS_PASS: &str = " (a proxy warns of it, and goes on without it)";

/// What is checked here, and what there is nothing to check of.
const KNOWN: [&str; 22] = [
    "$schema",
    "additionalProperties",
    "anyOf",
    "const",
    "default",
    "description",
    "enum",
    "examples",
    "items",
    "maxLength",
    "maximum",
    "minLength",
    "minimum",
    "nullable",
    "oneOf",
    "properties",
    "required",
    "title",
    "type",
    "x-no-effect",
    "x-unknown-keys",
    "$id",
];

/// Everything that is wrong, in the order of the text.
pub(super) fn check(schema: &Json, node: &Node) -> Vec<Finding> {
    let unknown_keys_pass = schema.get("x-unknown-keys").is_some_and(|word| word == "warn");
    let mut check = Check { unknown_keys_pass, findings: Vec::new() };
    check.value(schema, node, "");
    check.findings.sort_by_key(|finding| (finding.place.line, finding.place.column));
    check.findings
}

struct Check {
    /// Whether proxies leave unknown keys out and go on.
    unknown_keys_pass: bool,
    findings: Vec<Finding>,
}

impl Check {
    fn add(&mut self, severity: Severity, node: &Node, path: &str, message: impl Into<String>) {
        let (place, path) = (node.place, path.to_owned());
        self.findings.push(Finding { place, path, severity, message: message.into() });
    }

    fn error(&mut self, node: &Node, path: &str, message: impl Into<String>) {
        self.add(Severity::Error, node, path, message);
    }

    fn value(&mut self, schema: &Json, node: &Node, path: &str) {
        if let Some(word) =
            schema.as_object().and_then(|members| members.keys().find(|key| !KNOWN.contains(&key.as_str())))
        {
            let message = format!(
                "the schema asks for `{word}`, which is not checked here; the module itself is asked next"
            );
            self.add(Severity::Warning, node, path, message);
        }
        if let Some(why) = schema.get("x-no-effect").and_then(Json::as_str) {
            self.add(Severity::Note, node, path, format!("accepted, and without effect: {why}"));
        }
        if matches!(node.value, Value::Null)
            && schema.get("nullable").is_some_and(|nullable| *nullable == true)
        {
            return;
        }
        if let Some(message) = wrong(schema, node) {
            return self.error(node, path, message);
        }
        for word in ["oneOf", "anyOf"] {
            if let Some(choices) = schema.get(word).and_then(Json::as_array) {
                self.choice(choices, node, path);
            }
        }
        match &node.value {
            Value::Map(entries) => self.map(schema, node, entries, path),
            Value::List(items) => {
                let each = schema.get("items").unwrap_or(&Json::Null);
                for (index, item) in items.iter().enumerate() {
                    self.value(each, item, &format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
    }

    fn map(&mut self, schema: &Json, node: &Node, entries: &[(Key, Node)], path: &str) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let properties = schema.get("properties").and_then(Json::as_object);
        let others = schema.get("additionalProperties");
        for (key, value) in entries {
            match (properties.and_then(|known| known.get(&key.name)), others) {
                (Some(property), _) => self.value(property, value, &below(&key.name)),
                (None, Some(Json::Bool(false))) => {
                    let known: Vec<&str> =
                        properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                    let pass = if self.unknown_keys_pass { UNKNOWN_KEYS_PASS } else { "" };
                    let message = format!("unknown key; {}{pass}", hint(&key.name, &known));
                    let (place, severity) = (key.place, Severity::UnknownKey);
                    self.findings.push(Finding { place, path: below(&key.name), severity, message });
                }
                (None, Some(each)) => self.value(each, value, &below(&key.name)),
                (None, None) => {}
            }
        }
        let required =
            schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
        for name in required.filter(|name| node.get(name).is_none()) {
            self.error(node, path, format!("the key `{name}` is missing; add it"));
        }
    }

    /// One of several must fit. When none does, the one that was meant is told by its tag, or its only key.
    fn choice(&mut self, choices: &[Json], node: &Node, path: &str) {
        let verdicts = choices.iter().map(|choice| {
            let mut check = Self { unknown_keys_pass: self.unknown_keys_pass, findings: Vec::new() };
            check.value(choice, node, path);
            check.findings
        });
        let verdicts: Vec<Vec<Finding>> = verdicts.collect();
        let fits = verdicts.iter().position(|findings| !findings.iter().any(Finding::is_mistake));
        let meant = fits.or_else(|| choices.iter().position(|choice| is_meant(choice, node)));
        match meant.and_then(|index| verdicts.into_iter().nth(index)) {
            Some(findings) => self.findings.extend(findings),
            None => self.error(node, path, format!("expected one of: {}", names(choices).join(", "))),
        }
    }
}

/// What is wrong with a value by itself.
fn wrong(schema: &Json, node: &Node) -> Option<String> {
    let types: Vec<&str> = match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|name| is_of(name, node)) {
        let expected: Vec<&str> = types.iter().map(|name| described(name)).collect();
        return Some(format!("expected {}, found {}", expected.join(" or "), node.kind()));
    }
    if let Some(allowed) = schema.get("enum").and_then(Json::as_array)
        && !allowed.contains(&node.to_json())
    {
        let names: Vec<String> = allowed.iter().map(Json::to_string).collect();
        return Some(format!("expected one of: {}", names.join(", ")));
    }
    if let Some(only) = schema.get("const").filter(|only| **only != node.to_json()) {
        return Some(format!("expected {only}"));
    }
    out_of_bounds(schema, node)
}

fn out_of_bounds(schema: &Json, node: &Node) -> Option<String> {
    let bound = |name: &str| schema.get(name).and_then(Json::as_f64);
    let (least, most, what) = match &node.value {
        Value::Number(_) => (bound("minimum"), bound("maximum"), "a number"),
        Value::Text(_) => (bound("minLength"), bound("maxLength"), "a text of a length"),
        _ => return None,
    };
    let size = match &node.value {
        Value::Number(number) => number.as_f64()?,
        Value::Text(text) => text.chars().count() as f64,
        _ => return None,
    };
    if least.is_none_or(|least| size >= least) && most.is_none_or(|most| size <= most) {
        return None;
    }
    Some(match (least, most) {
        (Some(least), Some(most)) => format!("expected {what} from {least} to {most}"),
        (Some(least), None) => format!("expected {what} from {least} on"),
        (None, most) => format!("expected {what} up to {}", most.unwrap_or_default()),
    })
}

fn is_of(name: &str, node: &Node) -> bool {
    match &node.value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(number) => name == "number" || (name == "integer" && !number.is_f64()),
        Value::Text(_) => name == "string",
        Value::List(_) => name == "array",
        Value::Map(_) => name == "object",
    }
}

fn described(name: &str) -> &str {
    match name {
        "null" => "nothing (null)",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a text (in quotes, if it looks like something else)",
        "array" => "a list",
        "object" => "a mapping",
        other => other,
    }
}

/// The nearest of the known keys, or all of them.
fn hint(key: &str, known: &[&str]) -> String {
    let nearest = known.iter().min_by_key(|name| strsim::osa_distance(key, name));
    match nearest.filter(|name| strsim::osa_distance(key, name) <= 3) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "no key is known here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// Whether a mapping says by its tag, or by a key that the choice must have, that it wants to be this.
fn is_meant(choice: &Json, node: &Node) -> bool {
    let properties = choice.get("properties").and_then(Json::as_object);
    let mut tags =
        properties.into_iter().flatten().filter_map(|(name, schema)| Some((name, schema.get("const")?)));
    if let Some((name, value)) = tags.next() {
        return node.get(name).is_some_and(|found| found.to_json() == *value);
    }
    let required =
        choice.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    required.into_iter().any(|name| node.get(name).is_some())
}

/// What the choices are called.
fn names(choices: &[Json]) -> Vec<String> {
    let name = |choice: &Json| {
        let constant = choice.get("properties")?.as_object()?.values().find_map(|schema| schema.get("const"));
        let key = || choice.get("required")?.as_array()?.first();
        constant.or_else(key).map(Json::to_string)
    };
    let of = |choice: &Json| match (choice.get("enum").and_then(Json::as_array), choice.get("type")) {
        (Some(values), _) => values.iter().map(Json::to_string).collect(),
        (None, kind) => {
            let kind = kind.and_then(Json::as_str).map_or("a value", described).to_owned();
            vec![name(choice).unwrap_or(kind)]
        }
    };
    choices.iter().flat_map(of).collect()
}
