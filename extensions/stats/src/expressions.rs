//! The operator's expressions: compiled once each, evaluated together.

use crate::policy::{Gives, LONGEST_VALUE};
use crate::together::Together;
use proxy_wasm_kit::{Bytes, Expression, Root};
use proxy_wasm_kit_mesh::legacy;

/// Those that compile.
#[derive(Default)]
pub(crate) struct Expressions {
    compiled: Vec<Compiled>,
    together: Option<Together>,
}

struct Compiled {
    /// As it stands in the list.
    source: String,
    single: Single,
}

enum Single {
    Text(Expression<String>),
    Number(Expression<i64>),
    Truth(Expression<bool>),
}

/// What they gave for one request or connection, by their numbers.
#[derive(Default)]
pub(crate) struct Results(Vec<Given>);

enum Given {
    Text(String),
    Number(i64),
    Truth(bool),
}

impl Expressions {
    /// The number of an expression, or why there is none. Those of one text are one.
    pub(crate) fn add(&mut self, root: &Root, source: &str, gives: Gives) -> Result<usize, String> {
        let present = legacy::rewrite(source);
        if present != source {
            log::debug!("rewritten for this proxy: {source} is {present}");
        }
        let in_list = match gives {
            Gives::Text => format!("string({present}\n)"),
            Gives::Number => format!("int({present}\n)"),
            Gives::Truth => format!("({present}\n) ? true : false"),
        };
        if let Some(known) = self.compiled.iter().position(|compiled| compiled.source == in_list) {
            return Ok(known);
        }
        let single = match gives {
            Gives::Text => root.expression(&present).map(Single::Text),
            Gives::Number => root.expression(&present).map(Single::Number),
            Gives::Truth => root.expression(&present).map(Single::Truth),
        };
        self.compiled.push(Compiled { source: in_list, single: single.map_err(|error| error.to_string())? });
        Ok(self.compiled.len().saturating_sub(1))
    }

    /// To be called when all were added.
    pub(crate) fn ready(mut self, root: &Root) -> Self {
        self.together = Together::new(root, self.compiled.iter().map(|compiled| compiled.source.as_str()));
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.compiled.is_empty()
    }

    /// Evaluates all for the stream whose callback runs.
    pub(crate) fn evaluate(&self) -> Results {
        if let Some(values) = self.together.as_ref().and_then(Together::evaluate) {
            let values = self.compiled.iter().zip(values);
            return Results(values.map(|(compiled, value)| compiled.single.given(value)).collect());
        }
        Results(self.compiled.iter().map(|compiled| compiled.single.evaluate()).collect())
    }
}

impl Single {
    fn given(&self, value: Bytes) -> Given {
        match self {
            Self::Text(_) => text(String::from_utf8(value.into_vec()).ok()),
            Self::Number(_) => Given::Number((*value).try_into().map(i64::from_le_bytes).unwrap_or_default()),
            Self::Truth(_) => Given::Truth(*value == [1]),
        }
    }

    fn evaluate(&self) -> Given {
        match self {
            Self::Text(expression) => text(expression.evaluate().ok()),
            Self::Number(expression) => Given::Number(expression.evaluate().unwrap_or_default()),
            Self::Truth(expression) => Given::Truth(expression.evaluate().unwrap_or_default()),
        }
    }
}

/// As far as a label can hold it.
fn text(value: Option<String>) -> Given {
    let text = value.unwrap_or_else(|| "unknown".to_owned());
    let fits = text.len() <= LONGEST_VALUE;
    Given::Text(if fits { text } else { text.chars().take(LONGEST_VALUE).collect() })
}

impl Results {
    pub(crate) fn text(&self, number: usize) -> &str {
        match self.0.get(number) {
            Some(Given::Text(text)) => text,
            _ => "unknown",
        }
    }

    pub(crate) fn number(&self, number: usize) -> i64 {
        if let Some(Given::Number(value)) = self.0.get(number) { *value } else { 0 }
    }

    pub(crate) fn is_true(&self, number: usize) -> bool {
        matches!(self.0.get(number), Some(Given::Truth(true)))
    }

    /// All that stands in labels.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter_map(|given| if let Given::Text(text) = given { Some(text.as_str()) } else { None })
    }
}
