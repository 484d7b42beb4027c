//! The operator's expressions: compiled once each, evaluated together with what else is asked of the proxy.
//!
//! A list in CEL fails when one of it does. So each says in the list what has to be there for it, and has its value without
//! it. One that fails for another reason is asked for by itself from then on, until it has gone well for long.

use crate::policy::{Gives, LONGEST_VALUE};
use proxy_wasm_kit::{Bytes, Expression, Root};
use proxy_wasm_kit_mesh::{legacy, presence};
use std::cell::Cell;

/// How often one that failed has to succeed by itself before it may join the others again. A list is compiled then.
const GOOD_CONDUCT: u16 = 1000;

/// Those that compile.
#[derive(Default)]
pub(crate) struct Expressions {
    compiled: Vec<Compiled>,
    /// Counts how often another one had to go by itself, or joined again.
    membership: Cell<u64>,
}

struct Compiled {
    source: String,
    /// As it stands in a list.
    item: String,
    gives: Gives,
    single: Expression<Vec<Bytes>>,
    /// How often it still has to succeed by itself; 0 for one that is asked for together with others.
    apart: Cell<u16>,
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
        let of_same = |compiled: &Compiled| compiled.source == present && compiled.gives == gives;
        if let Some(known) = self.compiled.iter().position(of_same) {
            return Ok(known);
        }
        // First as it stands, so that nothing around it makes sense of a mistake.
        let single = match gives {
            Gives::Text => root.expression::<String>(&present).map(drop),
            Gives::Number => root.expression::<i64>(&present).map(drop),
            Gives::Truth => root.expression::<bool>(&present).map(drop),
        };
        let in_list = |item: &str| root.expression(&format!("[{item}]"));
        let compiled = single.and_then(|()| item(&present, gives, in_list));
        let (item, single) = compiled.map_err(|error| error.to_string())?;
        let source = present.into_owned();
        self.compiled.push(Compiled { source, item, gives, single, apart: Cell::new(0) });
        Ok(self.compiled.len().saturating_sub(1))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.compiled.is_empty()
    }

    /// A number that is another one when [`items`](Self::items) has changed.
    pub(crate) fn membership(&self) -> u64 {
        self.membership.get()
    }

    /// Those that are asked for together, as they stand in a list.
    pub(crate) fn items(&self) -> impl Iterator<Item = &str> {
        let together = self.compiled.iter().filter(|compiled| compiled.is_in_list());
        together.map(|compiled| compiled.item.as_str())
    }

    /// What the list gave; the others are evaluated for the stream whose callback runs.
    pub(crate) fn complete(&self, mut values: impl Iterator<Item = Bytes>) -> Results {
        let given = |compiled: &Compiled| match compiled.is_in_list() {
            true => compiled.given(values.next()),
            false => self.evaluate(compiled),
        };
        Results(self.compiled.iter().map(given).collect())
    }

    /// Evaluates each by itself, and notes which must stay so.
    pub(crate) fn apart(&self) -> Results {
        Results(self.compiled.iter().map(|compiled| self.evaluate(compiled)).collect())
    }

    fn evaluate(&self, compiled: &Compiled) -> Given {
        let (was_in_list, value) = (compiled.is_in_list(), compiled.evaluate());
        if was_in_list != compiled.is_in_list() {
            self.membership.set(self.membership.get().wrapping_add(1));
        }
        compiled.given(value)
    }
}

/// An expression as it stands in a list, and what `compile` makes of it: it does not fail where something that it reads is
/// absent. That is told from its text, so where the proxy finds no sense in it, the expression stands there as it is.
fn item<C, E>(source: &str, gives: Gives, compile: impl Fn(&str) -> Result<C, E>) -> Result<(String, C), E> {
    let (value, absent) = match gives {
        Gives::Text if presence::is_header(source) => (source.to_owned(), "'unknown'"),
        Gives::Text => (format!("string({source}\n)"), "'unknown'"),
        Gives::Number => (format!("int({source}\n)"), "0"),
        Gives::Truth => (format!("(({source}\n) ? true : false)"), "false"),
    };
    if let Some(condition) = presence::condition(source) {
        let guarded = format!("({condition}) ? {value}\n : {absent}");
        if let Ok(compiled) = compile(&guarded) {
            return Ok((guarded, compiled));
        }
    }
    compile(&value).map(|compiled| (value, compiled))
}

impl Compiled {
    fn is_in_list(&self) -> bool {
        self.apart.get() == 0
    }

    /// `None` when it fails.
    fn evaluate(&self) -> Option<Bytes> {
        let value = self.single.evaluate().ok().and_then(|values| values.into_iter().next());
        self.apart.set(if value.is_some() { self.apart.get().saturating_sub(1) } else { GOOD_CONDUCT });
        value
    }

    /// A value, or what stands for that of an expression that fails.
    fn given(&self, value: Option<Bytes>) -> Given {
        match self.gives {
            Gives::Text => text(value.and_then(|value| String::from_utf8(value.into_vec()).ok())),
            Gives::Number => {
                let number = value.and_then(|value| (*value).try_into().ok());
                Given::Number(number.map(i64::from_le_bytes).unwrap_or_default())
            }
            Gives::Truth => Given::Truth(value.is_some_and(|value| *value == [1])),
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

#[cfg(test)]
mod tests {
    //! What stands in a list.

    use super::*;

    #[test]
    fn an_expression_stands_as_it_is_where_its_condition_does_not_compile() {
        let of = |compile: fn(&str) -> Result<(), ()>| {
            item("request.path", Gives::Text, compile).map(|(item, ())| item)
        };
        let guarded = "(has(request.path)) ? string(request.path\n)\n : 'unknown'";
        assert_eq!(of(|_| Ok(())), Ok(guarded.to_owned()));
        let no_condition = |text: &str| if text.contains("has(") { Err(()) } else { Ok(()) };
        assert_eq!(of(no_condition), Ok("string(request.path\n)".to_owned()));
        assert_eq!(of(|_| Err(())), Err(()));
    }
}
