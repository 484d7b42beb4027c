//! Attribute names that Envoy has given up: old expressions in CEL, written with those of today.
//!
//! Envoy moved what it knows from its configuration below `xds`. An expression that was written for the originals says
//! `node.metadata.NAME`, and today's Envoy compiles it and fails at every request. A bare name that an extension has set
//! as a property, such as `istio_operationId`, still evaluates (measured on 1.40), so it stays.

pub(crate) mod lexer;

use lexer::{Kind, Token};
use std::borrow::Cow;

/// The names that stand below `xds` today.
const MOVED: [&str; 8] = [
    "cluster_metadata",
    "cluster_name",
    "listener_direction",
    "listener_metadata",
    "node",
    "route_metadata",
    "route_name",
    "upstream_host_metadata",
];

/// The macros of CEL: their first argument is a variable, which is theirs up to the closing bracket.
const MACROS: [&str; 5] = ["all", "exists", "exists_one", "filter", "map"];

/// Rewrites the attributes that have moved. Borrowed is what has none.
///
/// What only looks like one stays as it is: texts, comments, fields of another value, functions, fields of a message
/// that is made, and variables of a macro. An expression with a mistake keeps it.
///
/// ```
/// use proxy_wasm_kit_mesh::legacy::rewrite;
///
/// let old = r#"node.metadata.NAME == "node" || cluster_name.startsWith("outbound")"#;
/// assert_eq!(rewrite(old), r#"xds.node.metadata.NAME == "node" || xds.cluster_name.startsWith("outbound")"#);
/// ```
pub fn rewrite(expression: &str) -> Cow<'_, str> {
    let (mut rewritten, mut found) = (String::with_capacity(expression.len()), false);
    let (mut rest, mut place) = (expression, Place::default());
    while let Some((token, behind)) = lexer::next(rest) {
        if place.is_moved_attribute(token, behind) {
            rewritten.push_str("xds.");
            found = true;
        }
        rewritten.push_str(token.text);
        place.pass(token, behind);
        rest = behind;
    }
    if found { Cow::Owned(rewritten) } else { Cow::Borrowed(expression) }
}

/// Where in the expression the reader is.
#[derive(Default)]
struct Place<'a> {
    /// What stands before, gaps left out.
    before: Before<'a>,
    /// The brackets that are open.
    open: Vec<Bracket<'a>>,
}

#[derive(Clone, Copy, Default)]
enum Before<'a> {
    /// Nothing, or something that a value comes after.
    #[default]
    Operator,
    /// The end of a value: a dot that follows takes a field of it.
    Value,
    /// A name, which is a value, a function, a macro or the type of a message; and whether it is a field.
    Name { text: &'a str, is_field: bool },
    /// The dot behind a value.
    Dot,
    /// A bracket that has just been opened, or a comma.
    Start,
}

#[derive(Default)]
struct Bracket<'a> {
    /// The braces of a message that is made: `Type{field: value}`.
    is_message: bool,
    /// The round brackets of a macro.
    is_macro: bool,
    variable: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn is_moved_attribute(&self, token: Token<'a>, behind: &str) -> bool {
        token.kind == Kind::Name
            && MOVED.contains(&token.text)
            && !matches!(self.before, Before::Dot)
            && !matches!(upcoming(behind), Some('('))
            && !self.is_field_of_message(behind)
            && !self.is_variable_of_macro(behind)
            && self.open.iter().all(|bracket| bracket.variable != Some(token.text))
    }

    fn is_field_of_message(&self, behind: &str) -> bool {
        matches!(self.before, Before::Start)
            && upcoming(behind) == Some(':')
            && self.open.last().is_some_and(|bracket| bracket.is_message)
    }

    /// Whether a name here is the one that a macro gives to each element.
    fn is_variable_of_macro(&self, behind: &str) -> bool {
        matches!(self.before, Before::Start)
            && upcoming(behind) == Some(',')
            && self.open.last().is_some_and(|bracket| bracket.is_macro && bracket.variable.is_none())
    }

    fn pass(&mut self, token: Token<'a>, behind: &str) {
        self.before = match token.kind {
            Kind::Gap => return,
            Kind::Name => self.pass_name(token.text, behind),
            Kind::Text | Kind::Number => Before::Value,
            Kind::Mark => self.pass_mark(token.text),
        };
    }

    fn pass_name(&mut self, text: &'a str, behind: &str) -> Before<'a> {
        if self.is_variable_of_macro(behind)
            && let Some(bracket) = self.open.last_mut()
        {
            bracket.variable = Some(text);
        }
        match text {
            "in" => Before::Operator,
            _ => Before::Name { text, is_field: matches!(self.before, Before::Dot) },
        }
    }

    fn pass_mark(&mut self, mark: &str) -> Before<'a> {
        match (mark, self.before) {
            ("(" | "[" | "{", before) => {
                self.open.push(Bracket::behind(before, mark));
                Before::Start
            }
            (")" | "]" | "}", _) => {
                self.open.pop();
                Before::Value
            }
            (".", Before::Value | Before::Name { .. }) => Before::Dot,
            // `value.?field`
            ("?", Before::Dot) => Before::Dot,
            (",", _) => Before::Start,
            _ => Before::Operator,
        }
    }
}

impl<'a> Bracket<'a> {
    fn behind(before: Before<'a>, mark: &str) -> Self {
        let Before::Name { text, is_field } = before else { return Self::default() };
        Self {
            is_message: mark == "{",
            is_macro: mark == "(" && is_field && MACROS.contains(&text),
            variable: None,
        }
    }
}

/// The first character of what comes next, gaps left out.
fn upcoming(mut rest: &str) -> Option<char> {
    while let Some((token, behind)) = lexer::next(rest) {
        if token.kind != Kind::Gap {
            return token.text.chars().next();
        }
        rest = behind;
    }
    None
}

#[cfg(test)]
mod tests;
