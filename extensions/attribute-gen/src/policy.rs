//! What an attribute becomes: rules in their order, and the first that matches says the value. Knows no proxy: what that
//! has to be asked for is named by number.

mod compile;
mod paths;
mod value;

use crate::config::Phase;
pub use compile::{Mistake, Plan, Source, compile};
use paths::Paths;
use regex_lite::Regex;
use std::borrow::Cow;
use value::Value;

/// One attribute.
#[derive(Debug)]
pub struct Generator {
    /// Its name.
    pub output: String,
    /// When it is generated.
    pub phase: Phase,
    steps: Vec<Step>,
}

/// A rule, or a run of rules with a path, which are looked up together.
#[derive(Debug)]
enum Step {
    Rule(Rule),
    Paths(Paths),
}

#[derive(Debug)]
struct Rule {
    condition: Option<ConditionNumber>,
    pattern: Option<Pattern>,
    value: Value,
}

#[derive(Debug)]
struct Pattern {
    input: InputNumber,
    regex: Regex,
}

/// A condition in CEL, by its place in [`Plan::conditions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConditionNumber(pub usize);

/// An expression in CEL that gives a text, by its place in [`Plan::inputs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputNumber(pub usize);

/// What is asked of the proxy about a request.
pub trait Facts {
    /// Why there is no answer.
    type Failure;

    /// Whether a condition holds.
    ///
    /// # Errors
    ///
    /// It cannot be evaluated, or gives no bool.
    fn holds(&mut self, condition: ConditionNumber) -> Result<bool, Self::Failure>;

    /// The text that an expression gives.
    ///
    /// # Errors
    ///
    /// It cannot be evaluated, or gives no text.
    fn text(&mut self, input: InputNumber) -> Result<Vec<u8>, Self::Failure>;

    /// The method of the request, and its path without the query; `None` when they are not known.
    fn request(&mut self) -> Option<(&[u8], &[u8])>;
}

impl Generator {
    /// The value for a request; `None` when no rule matches it.
    ///
    /// # Errors
    ///
    /// A fact that was needed cannot be had. What comes after it is not asked for.
    pub fn value<F: Facts>(&self, facts: &mut F) -> Result<Option<Cow<'_, str>>, F::Failure> {
        for step in &self.steps {
            let value = match step {
                Step::Rule(rule) => rule.value(facts)?,
                Step::Paths(paths) => paths.value(facts)?,
            };
            if value.is_some() {
                return Ok(value);
            }
        }
        Ok(None)
    }

    /// Whether it looks at the path of the request.
    pub fn needs_request(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Paths(_)))
    }
}

impl Rule {
    fn value<F: Facts>(&self, facts: &mut F) -> Result<Option<Cow<'_, str>>, F::Failure> {
        if let Some(condition) = self.condition
            && !facts.holds(condition)?
        {
            return Ok(None);
        }
        let Some(pattern) = &self.pattern else { return Ok(Some(self.value.constant())) };
        let input = facts.text(pattern.input)?;
        // A byte that is no text matches nothing but what matches any character.
        let input = String::from_utf8_lossy(&input);
        let found = pattern.regex.captures(&input);
        let group = |found: &regex_lite::Captures<'_>, name: &str| -> Option<String> {
            let number = name.parse().ok();
            number
                .map_or_else(|| found.name(name), |number| found.get(number))
                .map(|group| group.as_str().to_owned())
        };
        Ok(found.map(|found| self.value.filled(|name| group(&found, name))))
    }
}

#[cfg(test)]
mod tests;
