//! `pwkit check-config`: whether a module takes a configuration, said before any proxy is asked.
//!
//! First by the schema that the module holds, which finds all mistakes at once and where they stand; then by the module
//! itself, which knows what no schema says.

mod schema;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::document::Node;
use crate::failure::Failure;
use crate::module;

use proxy_wasm_kit_host::exchange::{Level, LogLine, Setup};
use proxy_wasm_kit_host::wasm::{Host, Limits, Module};
use schema::{Problem, Severity};

/// Checks a plugin configuration against the schema in a module, then against the module itself
///
/// The configuration is YAML or JSON: the plugin's own, or an Istio WasmPlugin that holds it as pluginConfig. Every mistake
/// is told with file, line and column. With one the exit code is 4; an unknown key that the module only warns of is none.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The module
    #[arg(value_name = "NAME.wasm")]
    module: PathBuf,
    /// The configuration
    #[arg(value_name = "CONFIG", required_unless_present = "schema")]
    config: Option<PathBuf>,
    /// Prints the schema instead, for editors
    #[arg(long, conflicts_with = "config")]
    schema: bool,
}

/// Where the SDK leaves the schema.
const SECTION: &str = "pwkit.config";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let schema = read_schema(&arguments.module)?;
    let Some(file) = &arguments.config else { return print_schema(&arguments.module, schema.as_ref()) };
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
    let whole =
        Node::read(&text).map_err(|error| Failure::Rejected(format!("{}:{error}", file.display())))?;
    let node = whole.plugin_config();
    if let Some(schema) = &schema {
        by_schema(schema, node, file)?;
    }
    by_module(&arguments.module, node, file)?;
    let how = if schema.is_some() { "" } else { "; the module holds no schema, so it alone was asked" };
    writeln!(io::stdout(), "{}: is taken by {}{how}", file.display(), arguments.module.display())?;
    Ok(())
}

fn read_schema(file: &Path) -> Result<Option<serde_json::Value>, Failure> {
    let Some(text) = module::section(file, SECTION)? else { return Ok(None) };
    let schema = serde_json::from_slice(&text);
    schema.map(Some).map_err(|error| {
        Failure::File(format!(
            "{}: its section {SECTION} is no JSON: {error}; build it again",
            file.display()
        ))
    })
}

fn print_schema(file: &Path, schema: Option<&serde_json::Value>) -> Result<(), Failure> {
    let missing =
        || Failure::File(format!("{}: holds no schema; one whose Config is derived does", file.display()));
    let text = serde_json::to_string_pretty(schema.ok_or_else(missing)?).map_err(io::Error::from)?;
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::InvalidData => "is no text; a configuration is YAML or JSON".into(),
        _ => format!("cannot be read: {error}"),
    };
    Failure::File(format!("{}: {remedy}", file.display()))
}

/// All mistakes that the schema can tell, one a line.
fn by_schema(schema: &serde_json::Value, node: &Node, file: &Path) -> Result<(), Failure> {
    let problems = schema::check(schema, node);
    let mut out = io::stdout().lock();
    for Problem { place, path, severity, message } in &problems {
        let word = if *severity == Severity::Error { "error" } else { "warning" };
        let at = if path.is_empty() { String::new() } else { format!("{path}: ") };
        writeln!(out, "{}:{}:{}: {word}: {at}{message}", file.display(), place.line, place.column)?;
    }
    match problems.iter().filter(|problem| problem.severity == Severity::Error).count() {
        0 => Ok(()),
        1 => Err(Failure::Rejected(format!(
            "{}: the module refuses it, for the mistake above",
            file.display()
        ))),
        many => {
            Err(Failure::Rejected(format!("{}: the module refuses it, for {many} mistakes", file.display())))
        }
    }
}

/// What the module itself says while it is configured.
fn by_module(module: &Path, node: &Node, file: &Path) -> Result<(), Failure> {
    let code = Module::load(module, &Limits::default()).map_err(|error| Failure::File(error.to_string()))?;
    let configuration = node.to_json().to_string().into_bytes();
    let name = module.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match Host::start(&code, Setup { name, configuration, ..Setup::default() }) {
        Ok(host) => match complaints(&host.log(), node) {
            None => Ok(()),
            Some(why) => {
                let so = "the module would go on without what is wrong";
                Err(Failure::Rejected(format!("{}:{why} ({so})", file.display())))
            }
        },
        Err(rejected) => {
            let why = complaints(&rejected.log, node).unwrap_or_else(|| format!(" {rejected}"));
            Err(Failure::Rejected(format!("{}:{why} (the module itself refuses it)", file.display())))
        }
    }
}

/// What the module logged as errors.
fn complaints(log: &[LogLine], node: &Node) -> Option<String> {
    let errors = log.iter().filter(|line| line.level >= Level::Error);
    let said: Vec<String> = errors.map(|line| located(&line.message, node)).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// What the SDK logs, with the place in the file instead of that in the JSON that the module was given.
fn located(line: &str, node: &Node) -> String {
    let marks = ["configuration rejected: ", "configuration error: "];
    let place = marks.iter().find_map(|mark| line.split_once(mark)).and_then(|(_, said)| {
        let (path, rest) = said.split_once(" (line ").or_else(|| said.split_once("(line "))?;
        let (_, message) = rest.split_once("): ")?;
        let place = node.at(path)?.place;
        let colon = if path.is_empty() { "" } else { ": " };
        Some(format!("{}:{}: error: {path}{colon}{message}", place.line, place.column))
    });
    place.unwrap_or_else(|| format!(" {line}"))
}
