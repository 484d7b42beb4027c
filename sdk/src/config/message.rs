//! From serde's messages to ours: the expectation kept, the value left out because it may be a secret.

/// A message fit for a log, and the unknown key if that is the fault.
pub(super) struct Message {
    pub(super) text: String,
    pub(super) unknown_key: Option<String>,
}

/// Rewrites one of serde's messages.
pub(super) fn describe(message: &str) -> Message {
    let message = without_place(message);
    if let Some(rest) = message.strip_prefix("unknown field `") {
        return unknown_key(rest);
    }
    Message { text: without_value(message), unknown_key: None }
}

/// Cuts ` at line 3 column 7` off; the place is given apart.
fn without_place(message: &str) -> &str {
    match message.rsplit_once(" at line ") {
        Some((text, place)) if place.contains(" column ") => text,
        _ => message,
    }
}

/// `unknown field` messages hold the keys the type knows: name the nearest, or all. The key itself ends the path.
fn unknown_key(rest: &str) -> Message {
    let (key, expected) = rest.split_once('`').unwrap_or((rest, ""));
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let nearest = known.iter().min_by_key(|name| strsim::osa_distance(key, name));
    let hint = match nearest.filter(|name| strsim::osa_distance(key, name) <= 3) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "no key is known here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    };
    Message { text: format!("unknown key; {hint}"), unknown_key: Some(key.to_owned()) }
}

/// Leaves the found value out of `invalid type: string "…", expected …` and its kin.
fn without_value(message: &str) -> String {
    for kind in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) =
            message.strip_prefix(kind).and_then(|rest| rest.rsplit_once(", expected "))
        {
            // The name of a type of ours says nothing to an operator.
            let expected = if expected.starts_with("struct ") { "an object" } else { expected };
            return format!("expected {expected}, found {}", kind_of(found));
        }
    }
    if let Some(rest) = message.strip_prefix("unknown variant `") {
        let expected = rest.rsplit_once("`, expected ").map_or("another value", |(_, expected)| expected);
        return format!("expected {expected}, found another text");
    }
    message.to_owned()
}

/// `string "s3cret"` is a `string`, ``integer `7` `` an `integer`.
fn kind_of(found: &str) -> &str {
    found.split(['"', '`']).next().unwrap_or_default().trim_end()
}
