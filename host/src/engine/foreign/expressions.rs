//! Expressions in CEL over the attributes: `expr_create`, `expr_evaluate`, `expr_delete`.

use super::attributes::{bind, print, serialize};
use crate::engine::status::Status;
use crate::engine::vm::Vm;
use cel::common::value::Val;
use cel::{Context, Env, Program, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The expressions of one root context.
pub(super) struct Expressions {
    environment: Arc<Env>,
    programs: BTreeMap<u32, Program>,
    next: u32,
}

/// The functions of CEL's standard library that Envoy has. What others there are in the crate, Envoy refuses.
const FUNCTIONS: [&str; 28] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
    "@in",
    "@not_strictly_false",
    "@result",
];

impl Default for Expressions {
    fn default() -> Self {
        let environment = Arc::new(Env::stdlib().with_optional_support(false));
        Self { environment, programs: BTreeMap::new(), next: 0 }
    }
}

impl Expressions {
    /// A token is used up even when the expression turns out to call what does not exist.
    fn create(&mut self, source: &str) -> Option<u32> {
        let program = self.environment.compile(source).ok()?;
        let token = self.next;
        self.next = self.next.wrapping_add(1);
        let known = program.references().functions().iter().all(|name| is_function(name));
        known.then(|| self.programs.insert(token, program))?;
        Some(token)
    }
}

/// Operators have names that no identifier can have.
fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name) || !name.starts_with(|first: char| first.is_ascii_alphabetic())
}

impl Vm {
    /// Returns the token as a little-endian word.
    pub(super) fn create_expression(&mut self, source: &[u8]) -> Result<Vec<u8>, Status> {
        let source = std::str::from_utf8(source).map_err(|_| Status::BAD_ARGUMENT)?;
        let root = self.current_root();
        let token = self.foreign.expressions.entry(root).or_default().create(source);
        Ok(token.ok_or(Status::BAD_ARGUMENT)?.to_le_bytes().to_vec())
    }

    /// Whatever goes wrong within the expression, also a missing attribute, is an internal failure.
    pub(super) fn evaluate_expression(&mut self, token: &[u8]) -> Result<Vec<u8>, Status> {
        let (root, token) = (self.current_root(), word(token)?);
        let expressions = self.foreign.expressions.get_mut(&root).ok_or(Status::NOT_FOUND)?;
        let environment = Arc::clone(&expressions.environment);
        let program = expressions.programs.remove(&token).ok_or(Status::NOT_FOUND)?;
        // The entered context answers, not the effective one (row 9).
        let effective = self.effective.take();
        let result = self.evaluate(environment, &program, |value| serialize(value));
        self.effective = effective;
        self.foreign.expressions.entry(root).or_default().programs.insert(token, program);
        result
    }

    /// What an access log shows of an expression, in the context of a stream. Envoy's joins no texts.
    pub(in crate::engine) fn print_expression(&mut self, context: u32, source: &str) -> Option<String> {
        let environment = Expressions::default().environment;
        let program = environment.compile(source).ok()?;
        let current = self.current.replace(context);
        let joins = program.references().functions().contains(&"_+_");
        let shown =
            self.evaluate(environment, &program, |value| print(value, joins).ok_or(Status::NOT_FOUND));
        self.current = current;
        shown.ok()
    }

    fn evaluate<T>(
        &mut self,
        environment: Arc<Env>,
        program: &Program,
        form: impl FnOnce(&dyn Val) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let mut context = Context::with_env(environment);
        for name in program.references().variables() {
            let name = name.trim_start_matches('.');
            if let Some(value) = self.attribute(name.as_bytes()) {
                context.add_variable_as_val(name, bind(value));
            }
        }
        let value = Value::resolve_val(program.expression(), &context);
        form(value.map_err(|_| Status::INTERNAL_FAILURE)?.as_ref())
    }

    /// A token that is not in use is no mistake.
    pub(super) fn delete_expression(&mut self, token: &[u8]) -> Result<(), Status> {
        let (root, token) = (self.current_root(), word(token)?);
        if let Some(expressions) = self.foreign.expressions.get_mut(&root) {
            expressions.programs.remove(&token);
        }
        Ok(())
    }
}

fn word(token: &[u8]) -> Result<u32, Status> {
    token.try_into().map(u32::from_le_bytes).map_err(|_| Status::BAD_ARGUMENT)
}
