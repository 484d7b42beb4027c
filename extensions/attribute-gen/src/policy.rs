//! What an attribute becomes: rules in their order, and the first that matches says the value. Knows no proxy: what that
//! has to be asked for is named by number.

mod compile;
mod paths;
mod pattern;
mod value;

use crate::config::Phase;
pub use compile::{Mistake, Plan, Source, compile};
use paths::Paths;
use pattern::Pattern;
pub use pattern::share;
use std::borrow::Cow;
use std::fmt;
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

/// Why an attribute is not made for a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure<E> {
    /// A fact that was needed cannot be had.
    Fact(E),
    /// A text is too long for the pattern of a rule: whether that matches is not known.
    TooLong {
        /// The rule, for example `match[2]`.
        at: String,
        /// How many bytes there are.
        found: usize,
        /// How many the pattern looks at.
        longest: usize,
    },
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fact(why) => why.fmt(f),
            Self::TooLong { at, found, longest } => {
                write!(f, "the input of {at} has {found} bytes, and its pattern looks at {longest} at most")
            }
        }
    }
}

impl Generator {
    /// The value for a request; `None` when no rule matches it.
    ///
    /// # Errors
    ///
    /// Whether a rule matches cannot be told. What comes after it is not asked for.
    pub fn value<F: Facts>(&self, facts: &mut F) -> Result<Option<Cow<'_, str>>, Failure<F::Failure>> {
        for step in &self.steps {
            let value = match step {
                Step::Rule(rule) => rule.value(facts)?,
                Step::Paths(paths) => paths.value(facts).map_err(Failure::Fact)?,
            };
            if value.is_some() {
                return Ok(value);
            }
        }
        Ok(None)
    }

    /// Its patterns: where each stands, and the longest text that it looks at.
    pub fn patterns(&self) -> impl Iterator<Item = (&str, usize)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Rule(Rule { pattern: Some(Pattern { at, longest, .. }), .. }) => Some((&**at, *longest)),
            Step::Rule(_) | Step::Paths(_) => None,
        })
    }

    /// Whether it looks at the path of the request.
    pub fn needs_request(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Paths(_)))
    }
}

impl Rule {
    fn value<F: Facts>(&self, facts: &mut F) -> Result<Option<Cow<'_, str>>, Failure<F::Failure>> {
        if let Some(condition) = self.condition
            && !facts.holds(condition).map_err(Failure::Fact)?
        {
            return Ok(None);
        }
        let Some(pattern) = &self.pattern else { return Ok(Some(self.value.constant())) };
        let input = facts.text(pattern.input).map_err(Failure::Fact)?;
        if input.len() > pattern.longest {
            let Pattern { at, longest, .. } = pattern;
            return Err(Failure::TooLong { at: at.clone(), found: input.len(), longest: *longest });
        }
        // A byte that is no text matches nothing but what matches any character.
        let input = String::from_utf8_lossy(&input);
        let found = pattern.found_in(&input);
        Ok(found.map(|found| self.value.filled(|name| pattern::group(&found, name))))
    }
}

#[cfg(test)]
mod tests;
