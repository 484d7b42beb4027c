//! `pwkit inspect`: what a module brings, what it wants, what it weighs, and what is wrong with it.

mod abi;
mod anatomy;
mod faults;
mod text;

use std::io::{self, Write};
use std::path::PathBuf;

use crate::failure::Failure;
use crate::module;
use anatomy::Anatomy;
use faults::{Fault, Severity};
use serde::Serialize;

/// Shows what is in a module: ABI, exports, imports, sizes, and what is wrong with it
///
/// An error is what keeps Envoy from loading the module, or from calling it; a
/// warning is what surprises later. With an error the exit code is 1.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The module
    #[arg(value_name = "NAME.wasm")]
    file: PathBuf,
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

/// All that is printed.
#[derive(Serialize)]
struct Report {
    file: String,
    #[serde(flatten)]
    anatomy: Anatomy,
    faults: Vec<Fault>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let code = module::read(&arguments.file)?;
    let file = arguments.file.display().to_string();
    let damaged = |error| Failure::File(format!("{file}: is damaged: {error}; build the module again"));
    let anatomy = Anatomy::read(&code).map_err(damaged)?;
    let faults = faults::find(&anatomy, &code);
    let report = Report { file, anatomy, faults };
    let text = if arguments.json { json(&report)? } else { text::render(&report) };
    io::stdout().lock().write_all(text.as_bytes())?;
    let broken = report.faults.iter().any(|fault| fault.severity == Severity::Error);
    if broken { Err(Failure::Reported) } else { Ok(()) }
}

fn json(report: &Report) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(report).map_err(io::Error::from)?;
    Ok(text + "\n")
}
