//! `pwkit stats-tags`: what Envoy's bootstrap needs so that the labels in a module's metrics become labels in Prometheus.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::failure::Failure;
use crate::module;

/// Prints the stats_tags that take a module's labels out of the names of its metrics
///
/// A module names its labels when it was made with the SDK's derive(Labels). The text goes into the bootstrap of Envoy; in
/// Istio, the annotation in its comment does the same.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The modules
    #[arg(value_name = "NAME.wasm", required = true)]
    files: Vec<PathBuf>,
}

/// Where the SDK leaves the names, one a line.
const SECTION: &str = "pwkit.labels";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut names: Vec<String> = Vec::new();
    for file in &arguments.files {
        let lines = module::section(file, SECTION)?.unwrap_or_default();
        let lines = String::from_utf8_lossy(&lines).into_owned();
        let missing = "names no labels of metrics; one that the SDK's derive(Labels) was used in does";
        if lines.is_empty() {
            return Err(Failure::File(format!("{}: {missing}", file.display())));
        }
        names.extend(lines.lines().map(str::to_owned));
    }
    names.sort();
    names.dedup();
    io::stdout().lock().write_all(snippet(&names).as_bytes())?;
    Ok(())
}

fn snippet(names: &[String]) -> String {
    let mut text = format!(
        "# In Istio: sidecar.istio.io/extraStatTags: {}\nstats_config:\n  stats_tags:\n",
        names.join(",")
    );
    for name in names {
        let _ = write!(text, "  - tag_name: {name}\n    regex: '[.;]({name}=\\.=(.*?);\\.;)'\n");
    }
    text
}
