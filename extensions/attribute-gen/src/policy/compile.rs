//! From the configuration to what runs per request, and what an operator reads when that cannot be.

use super::paths::{PathRule, Paths, Template};
use super::value::Value;
use super::{ConditionNumber, Generator, InputNumber, Pattern, Rule, Step};
use crate::config;

/// What a pattern looks at when nothing else is said.
const DEFAULT_INPUT: &str = "request.url_path";

/// What is wrong with a generator, and where in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    /// For example `match[2].value`.
    pub path: String,
    /// What was found, and what was expected.
    pub message: String,
}

/// A generator, with the expressions in CEL that the proxy has to compile for it.
#[derive(Debug)]
pub struct Plan {
    /// The generator.
    pub generator: Generator,
    /// The conditions, by [`ConditionNumber`].
    pub conditions: Vec<Source>,
    /// What gives texts, by [`InputNumber`].
    pub inputs: Vec<Source>,
}

/// An expression in CEL, and where it stands in the generator.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// For example `match[2].condition`.
    pub path: String,
    /// The expression.
    pub text: String,
}

/// Compiles a generator, with the share of its patterns (see [`super::share`]).
///
/// # Errors
///
/// The first mistake in it.
pub fn compile(configured: config::Generator, share: usize) -> Result<Plan, Mistake> {
    let config::Generator { phase, output_attribute, matches } = configured;
    check_name(&output_attribute)?;
    let mut compiler = Compiler { share, ..Compiler::default() };
    for (number, configured) in matches.into_iter().enumerate() {
        compiler.add(configured, &format!("match[{number}]"))?;
    }
    compiler.end_paths();
    let Compiler { steps, conditions, inputs, .. } = compiler;
    Ok(Plan { generator: Generator { output: output_attribute, phase, steps }, conditions, inputs })
}

fn check_name(name: &str) -> Result<(), Mistake> {
    if name.is_empty() {
        return mistake("output_attribute", "expected the name of the attribute");
    }
    if name.contains(char::is_control) {
        return mistake("output_attribute", "expected a name without control characters");
    }
    Ok(())
}

#[derive(Default)]
struct Compiler {
    /// How much each pattern looks at, if it is small.
    share: usize,
    steps: Vec<Step>,
    /// The run of rules with a path that is not at its end.
    paths: Vec<PathRule>,
    conditions: Vec<Source>,
    inputs: Vec<Source>,
}

impl Compiler {
    fn add(&mut self, configured: config::Match, at: &str) -> Result<(), Mistake> {
        let config::Match { condition, path, method, pattern, input, value } = configured;
        let condition = self.condition(condition, at);
        match (path, pattern) {
            (Some(_), Some(_)) => mistake(at, "has both a `path` and a `pattern`; leave one out"),
            (None, _) if method.is_some() => mistake(
                at,
                "has a `method` without a `path`; for any path, ask for `request.method` in a `condition`",
            ),
            (_, None) if input.is_some() => mistake(at, "has an `input` without the `pattern` to find in it"),
            (Some(path), None) => self.add_path(condition, path, method, &value, at),
            (None, Some(pattern)) => self.add_pattern(condition, &pattern, input, &value, at),
            (None, None) => {
                self.add_rule(Rule { condition, pattern: None, value: Value::Constant(value) });
                Ok(())
            }
        }
    }

    fn condition(&mut self, text: String, at: &str) -> Option<ConditionNumber> {
        if text.is_empty() {
            return None;
        }
        let number = self.conditions.len();
        self.conditions.push(Source { path: format!("{at}.condition"), text });
        Some(ConditionNumber(number))
    }

    fn add_path(
        &mut self,
        condition: Option<ConditionNumber>,
        path: String,
        method: Option<String>,
        value: &str,
        at: &str,
    ) -> Result<(), Mistake> {
        let template = Template::read(&path).or_else(|reason| mistake(format!("{at}.path"), reason))?;
        let value = Value::read(value, |name| template.names().any(|known| known == name))
            .or_else(|reason| mistake(format!("{at}.value"), reason))?;
        self.paths.push(PathRule { condition, method, template, value });
        Ok(())
    }

    fn add_pattern(
        &mut self,
        condition: Option<ConditionNumber>,
        pattern: &str,
        input: Option<String>,
        value: &str,
        at: &str,
    ) -> Result<(), Mistake> {
        let number = InputNumber(self.inputs.len());
        let pattern = Pattern::new(pattern, self.share, number, at)
            .or_else(|reason| mistake(format!("{at}.pattern"), reason))?;
        let value = Value::read(value, |name| pattern.has_group(name))
            .or_else(|reason| mistake(format!("{at}.value"), reason))?;
        let text = input.unwrap_or_else(|| DEFAULT_INPUT.to_owned());
        self.inputs.push(Source { path: format!("{at}.input"), text });
        self.add_rule(Rule { condition, pattern: Some(pattern), value });
        Ok(())
    }

    fn add_rule(&mut self, rule: Rule) {
        self.end_paths();
        self.steps.push(Step::Rule(rule));
    }

    fn end_paths(&mut self) {
        let paths = std::mem::take(&mut self.paths);
        if !paths.is_empty() {
            self.steps.push(Step::Paths(Paths::new(paths)));
        }
    }
}

fn mistake<T>(path: impl Into<String>, message: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { path: path.into(), message: message.into() })
}
