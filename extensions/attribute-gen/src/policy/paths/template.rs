//! The template of a path, as OpenAPI has them: `/reviews/{id}`, `/files/{name}.json`.

use proxy_wasm_kit_paths::unescaped;

/// A path with parameters.
#[derive(Debug)]
pub(in crate::policy) struct Template(Vec<Segment>);

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Text(Vec<u8>),
    /// A parameter that is all of it; never empty.
    Parameter(String),
    /// Texts and parameters in turns.
    Mixed(Vec<Part>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(Vec<u8>),
    Parameter(String),
}

impl Template {
    pub(in crate::policy) fn read(text: &str) -> Result<Self, String> {
        let inner = text.strip_prefix('/').ok_or("expected a path that begins with /")?;
        if let Some(odd) = text.chars().find(|character| matches!(character, '?' | '#')) {
            return Err(format!("holds `{odd}`; the path of a request is compared without its query"));
        }
        let template = Self(inner.split('/').map(Segment::read).collect::<Result<_, _>>()?);
        let mut names: Vec<_> = template.names().collect();
        names.sort_unstable();
        match names.windows(2).find_map(|pair| pair.first().filter(|name| pair.last() == Some(name))) {
            Some(twice) => Err(format!("has the parameter `{twice}` twice")),
            None => Ok(template),
        }
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.0.iter()
    }

    /// The names of its parameters.
    pub(in crate::policy) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|segment| match segment {
            Segment::Text(_) => Vec::new(),
            Segment::Parameter(name) => vec![name.as_str()],
            Segment::Mixed(parts) => parts.iter().filter_map(Part::name).collect(),
        })
    }

    /// What a parameter is in a path that the template matches.
    pub(super) fn parameter(&self, name: &str, path: &[u8]) -> Option<String> {
        let segments = path.split(|byte| *byte == b'/').skip(1);
        self.0.iter().zip(segments).find_map(|(segment, text)| {
            let text = unescaped(text);
            segment.parameter(name, &text).map(|value| String::from_utf8_lossy(value).into_owned())
        })
    }
}

impl Segment {
    fn read(text: &str) -> Result<Self, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once('{') {
            let (name, behind) = behind
                .split_once('}')
                .ok_or_else(|| format!("expected a }} in `{}`", text.escape_debug()))?;
            if name.is_empty() || name.contains('{') {
                return Err(format!("expected a name between the braces in `{}`", text.escape_debug()));
            }
            if !before.is_empty() {
                parts.push(Part::text(before));
            } else if !parts.is_empty() {
                return Err(format!(
                    "expected a text before `{{{}}}`, where the parameter before it ends",
                    name.escape_debug()
                ));
            }
            parts.push(Part::Parameter(name.to_owned()));
            rest = behind;
        }
        if rest.contains('}') {
            return Err(format!("expected a {{ before the }} in `{}`", text.escape_debug()));
        }
        if !rest.is_empty() {
            parts.push(Part::text(rest));
        }
        Ok(Self::of(parts))
    }

    fn of(mut parts: Vec<Part>) -> Self {
        match (parts.pop(), parts.is_empty()) {
            (None, _) => Self::Text(Vec::new()),
            (Some(Part::Text(text)), true) => Self::Text(text),
            (Some(Part::Parameter(name)), true) => Self::Parameter(name),
            (Some(last), false) => {
                parts.push(last);
                Self::Mixed(parts)
            }
        }
    }

    pub(super) fn takes(&self, segment: &[u8]) -> bool {
        match self {
            Self::Text(text) => text == segment,
            Self::Parameter(_) => !segment.is_empty(),
            Self::Mixed(parts) => taken(parts, segment).is_some(),
        }
    }

    /// Whether it takes the same segments as another: the names of parameters do not matter.
    pub(super) fn takes_the_same(&self, other: &Self) -> bool {
        let (Self::Mixed(own), Self::Mixed(others)) = (self, other) else { return false };
        own.len() == others.len()
            && own.iter().zip(others).all(|pair| match pair {
                (Part::Text(text), Part::Text(other)) => text == other,
                (Part::Parameter(_), Part::Parameter(_)) => true,
                _ => false,
            })
    }

    fn parameter<'a>(&self, name: &str, segment: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Text(_) => None,
            Self::Parameter(own) => (own == name).then_some(segment),
            Self::Mixed(parts) => {
                let taken = taken(parts, segment)?;
                let names = parts.iter().filter_map(Part::name);
                names.zip(taken).find(|(own, _)| *own == name).map(|(_, value)| value)
            }
        }
    }
}

impl Part {
    fn text(text: &str) -> Self {
        Self::Text(unescaped(text.as_bytes()).into_owned())
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::Parameter(name) => Some(name),
        }
    }
}

/// What each parameter takes of a segment: as little as it can, and at least one byte. `None` when the parts do not make up
/// all of it.
fn taken<'a>(parts: &[Part], segment: &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let (mut values, mut rest, mut is_open) = (Vec::new(), segment, false);
    let last = parts.len().saturating_sub(1);
    for (number, part) in parts.iter().enumerate() {
        match part {
            Part::Parameter(_) => is_open = true,
            Part::Text(text) if !is_open => rest = rest.strip_prefix(text.as_slice())?,
            Part::Text(text) => {
                let (value, behind) = split_at(rest, text, number == last)?;
                values.push(value);
                (rest, is_open) = (behind, false);
            }
        }
    }
    if is_open {
        values.push(rest);
        rest = &[];
    }
    (rest.is_empty() && values.iter().all(|value| !value.is_empty())).then_some(values)
}

/// What is before and behind a text: where it stands first, though not at the very beginning, or at the end.
fn split_at<'a>(rest: &'a [u8], text: &[u8], at_end: bool) -> Option<(&'a [u8], &'a [u8])> {
    if at_end {
        return rest.strip_suffix(text).map(|value| (value, &[][..]));
    }
    let at = rest.windows(text.len()).skip(1).position(|window| window == text)?.saturating_add(1);
    let (value, behind) = rest.split_at_checked(at)?;
    Some((value, behind.strip_prefix(text)?))
}
