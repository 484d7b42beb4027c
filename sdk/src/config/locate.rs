//! From a path such as `rules[2].hosts[0]` to the place in the JSON text, and to the value in a tree.

use super::Place;
use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use serde_path_to_error::{Path, Segment};
use std::fmt;

/// One step of a path.
#[derive(PartialEq, Eq)]
pub(super) enum Step<K = String> {
    Key(K),
    Index(usize),
}

/// The steps to a value; none where the path is not known as a whole.
pub(super) fn steps_of(path: &Path) -> Vec<Step> {
    let step = |segment: &Segment| match segment {
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Seq { index } => Some(Step::Index(*index)),
        _ => None,
    };
    path.iter().map(step).collect::<Option<_>>().unwrap_or_default()
}

/// The value that holds the last step, and that step.
fn parent<'v, 's>(value: &'v mut Value, steps: &'s [Step]) -> Option<(&'v mut Value, &'s Step)> {
    let (last, before) = steps.split_last()?;
    let parent = before.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    })?;
    Some((parent, last))
}

/// Puts another value in the place of an element of a list; whether it is one.
pub(super) fn replace_element(value: &mut Value, steps: &[Step], by: Value) -> bool {
    let element = parent(value, steps).and_then(|(list, step)| match step {
        Step::Index(index) => list.get_mut(index),
        Step::Key(_) => None,
    });
    element.map(|element| *element = by).is_some()
}

/// Takes a value away; whether it was there.
pub(super) fn remove(value: &mut Value, steps: &[Step]) -> bool {
    match parent(value, steps) {
        Some((Value::Object(object), Step::Key(key))) => object.remove(key).is_some(),
        Some((Value::Array(list), Step::Index(index))) if *index < list.len() => {
            list.remove(*index);
            true
        }
        _ => false,
    }
}

/// The steps of `a.b[2]`; a key that itself holds a dot or a bracket cannot be told from two steps.
fn steps(path: &str) -> impl Iterator<Item = Step<&str>> {
    path.split(['.', '[']).filter(|step| !step.is_empty()).map(|step| {
        let index = step.strip_suffix(']').and_then(|digits| digits.parse().ok());
        index.map_or(Step::Key(step), Step::Index)
    })
}

/// Where the value at `path` begins; `None` when the path leads nowhere.
pub(super) fn value_at(text: &[u8], path: &str) -> Option<Place> {
    let text = std::str::from_utf8(text).ok()?;
    let mut value: &RawValue = serde_json::from_str(text).ok()?;
    for step in steps(path) {
        value = match step {
            Step::Key(key) => {
                let mut json = serde_json::Deserializer::from_str(value.get());
                json.deserialize_map(ValueOf(key)).ok()??
            }
            Step::Index(index) => *serde_json::from_str::<Vec<&RawValue>>(value.get()).ok()?.get(index)?,
        };
    }
    let offset = value.get().as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let before = text.get(..offset)?;
    let line_start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
    let column = before.get(line_start..)?.chars().count().saturating_add(1);
    Some(Place { line: before.matches('\n').count().saturating_add(1), column })
}

/// Finds the last value of a key, which is the one that counts.
struct ValueOf<'a>(&'a str);

impl<'de> Visitor<'de> for ValueOf<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some((key, value)) = object.next_entry::<String, &RawValue>()? {
            if key == self.0 {
                found = Some(value);
            }
        }
        Ok(found)
    }
}

/// Removes `key` from the object at `path`, and from all that stand at the same place of another list element, since those
/// are of the same type. `path` leads to the object or, as serde_path_to_error gives it, to the key in it. Returns how many
/// were removed.
pub(super) fn remove_everywhere(value: &mut Value, path: &str, key: &str) -> usize {
    let parent = match path.strip_suffix(key) {
        Some(rest) if rest.is_empty() || rest.ends_with('.') => rest,
        _ => path,
    };
    let mut objects = vec![value];
    for step in steps(parent) {
        objects = match step {
            Step::Key(key) => objects.into_iter().filter_map(|object| object.get_mut(key)).collect(),
            Step::Index(_) => objects.into_iter().filter_map(Value::as_array_mut).flatten().collect(),
        };
    }
    objects.into_iter().filter_map(|object| object.as_object_mut()?.remove(key)).count()
}
