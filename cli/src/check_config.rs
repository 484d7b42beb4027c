//! `pwkit check-config`: whether a module takes a configuration, said before any proxy is asked.
//!
//! First by the schema that the module holds, which finds all mistakes at once and where they stand; then by the module
//! itself, which knows what no schema says.

mod finding;
mod module_says;
mod schema;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::document::Node;
use crate::failure::Failure;
use crate::module;
use finding::{Finding, Severity};

/// Checks a plugin configuration against the schema in a module, then against the module itself
///
/// The configuration is YAML or JSON: the plugin's own, or an Istio WasmPlugin that holds it as pluginConfig. Every mistake
/// is told with file, line and column, and the exit code is then 4. An unknown key is one, also where a proxy only warns.
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
    let node = Node::read_plugin_config(&text)
        .map_err(|error| Failure::Rejected(format!("{}:{error}", file.display())))?;
    let findings = findings(&arguments.module, schema.as_ref(), &node)?;
    let mut out = io::stdout().lock();
    findings.iter().try_for_each(|finding| writeln!(out, "{}", finding.line(file)))?;
    let so = match findings.iter().filter(|finding| finding.is_mistake()).count() {
        0 => {
            let how =
                if schema.is_some() { "" } else { "; the module holds no schema, so it alone was asked" };
            let (file, module) = (file.display(), arguments.module.display());
            writeln!(out, "{file}: is taken by {module}{how}")?;
            return Ok(());
        }
        1 => "refused, for the mistake above".to_owned(),
        many => format!("refused, for {many} mistakes"),
    };
    Err(Failure::Rejected(format!("{}: {so}", file.display())))
}

/// Refuses what a module does not take, with the first mistake, for commands that only read a configuration.
pub(crate) fn require(module: &Path, file: &Path, node: &Node) -> Result<(), Failure> {
    let findings = findings(module, read_schema(module)?.as_ref(), node)?;
    let Some(mistake) = findings.iter().find(|finding| finding.is_mistake()) else { return Ok(()) };
    let line = mistake.line(file);
    Err(Failure::Rejected(format!("{line}; {} does not take it, see pwkit check-config", module.display())))
}

/// What the schema finds; and if that leaves anything to be asked, what the module says that the schema did not.
fn findings(module: &Path, schema: Option<&serde_json::Value>, node: &Node) -> Result<Vec<Finding>, Failure> {
    let mut findings = schema.map(|schema| schema::check(schema, node)).unwrap_or_default();
    if !findings.iter().any(|finding| finding.severity == Severity::Error) {
        let said = module_says::ask(module, node)?;
        let is_news =
            |one: &Finding| !findings.iter().any(|known| !known.path.is_empty() && known.path == one.path);
        let news: Vec<Finding> = said.into_iter().filter(is_news).collect();
        findings.extend(news);
    }
    Ok(findings)
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
        io::ErrorKind::IsADirectory => "is a folder; name the file in it".into(),
        io::ErrorKind::InvalidData => "is no text; a configuration is YAML or JSON".into(),
        _ => format!("cannot be read: {error}"),
    };
    Failure::File(format!("{}: {remedy}", file.display()))
}
