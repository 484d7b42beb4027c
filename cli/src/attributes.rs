//! `pwkit attributes`: configurations of attribute_gen, made of what describes an API.

mod openapi;
mod path;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::document::{Node, Place};
use crate::failure::Failure;
use openapi::{Document, Operation, Problem};
use serde_json::json;

/// Makes configurations of attribute_gen
#[derive(clap::Args)]
#[command(subcommand_required = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    source: Source,
}

#[derive(clap::Subcommand)]
enum Source {
    FromOpenapi(FromOpenapi),
}

/// Prints the configuration of attribute_gen that names requests by the operations of an OpenAPI 3 document
///
/// An operation's name is its operationId, or METHOD /path if it has none. The paths of the servers stand before those of
/// the operations; of paths that overlap the most specific one comes first.
#[derive(clap::Args)]
struct FromOpenapi {
    /// The document, in YAML or JSON
    #[arg(value_name = "API.yaml")]
    document: PathBuf,
    /// The attribute that the names go to
    #[arg(long, value_name = "NAME", default_value = "istio_operationId")]
    attribute: String,
    /// What stands before each path, instead of the paths of the servers; `/` for nothing
    #[arg(long, value_name = "PATH")]
    base_path: Option<String>,
    /// Prints JSON, as Envoy's configuration has it, instead of YAML
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.source {
        Source::FromOpenapi(arguments) => from_openapi(arguments),
    }
}

fn from_openapi(arguments: &FromOpenapi) -> Result<(), Failure> {
    let file = &arguments.document;
    let base = arguments.base_path.as_deref().map(base_path).transpose()?;
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
    let root = Node::read(&text).map_err(|error| Failure::File(format!("{}:{error}", file.display())))?;
    let mut document = Document::new(&root, base);
    let operations = document.operations().map_err(|Problem { place, message }| {
        Failure::File(format!("{}: error: {message}", located(file, place)))
    })?;
    for Problem { place, message } in &document.warnings {
        writeln!(io::stderr(), "{}: warning: {message}", located(file, *place))?;
    }
    let text = if arguments.json {
        as_json(&arguments.attribute, &operations)
    } else {
        as_yaml(&arguments.attribute, &operations)
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

fn base_path(given: &str) -> Result<String, Failure> {
    let usage = |problem| Failure::Usage(format!("--base-path {given}: {problem}"));
    path::check(given).map_err(usage)?;
    Ok(given.trim_end_matches('/').to_owned())
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::IsADirectory => "is a folder; name the file in it".into(),
        io::ErrorKind::InvalidData => "is no text; an OpenAPI document is YAML or JSON".into(),
        _ => format!("cannot be read: {error}"),
    };
    Failure::File(format!("{}: {remedy}", file.display()))
}

fn located(file: &Path, place: Place) -> String {
    format!("{}:{place}", file.display())
}

fn as_json(attribute: &str, operations: &[Operation]) -> String {
    let rules: Vec<_> = operations.iter().map(Operation::rule).collect();
    let configuration = json!({
        "attributes": [{ "output_attribute": attribute, "phase": "ON_REQUEST", "match": rules }]
    });
    format!("{configuration:#}\n")
}

/// A rule a line: JSON in YAML, which needs no rules of quoting of its own.
fn as_yaml(attribute: &str, operations: &[Operation]) -> String {
    let mut text = format!(
        "attributes:\n  - output_attribute: {}\n    phase: ON_REQUEST\n    match:\n",
        json!(attribute)
    );
    for operation in operations {
        let [method, path, value] = operation.texts().map(|text| json!(text));
        text.push_str(&format!("      - {{ method: {method}, path: {path}, value: {value} }}\n"));
    }
    text
}
