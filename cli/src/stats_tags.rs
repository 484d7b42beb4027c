//! `pwkit stats-tags`: what Envoy's bootstrap needs so that the labels in a module's metrics become labels in Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::document::{Node, Value};
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
    /// A configuration of the modules, for the labels that it names: YAML or JSON, or an Istio WasmPlugin that holds it
    #[arg(long, value_name = "CONFIG")]
    config: Option<PathBuf>,
}

/// Where the labels stand, one a line: a name; a name and the expression that finds it; or `@` and a path in the
/// configuration, of the mappings whose keys are labels.
const SECTION: &str = "pwkit.labels";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.as_deref().map(read).transpose()?;
    let mut labels = Labels::default();
    for file in &arguments.files {
        let lines = module::section(file, SECTION)?.unwrap_or_default();
        let lines = String::from_utf8_lossy(&lines).into_owned();
        let missing = "names no labels of metrics; one that the SDK's derive(Labels) was used in does";
        if lines.is_empty() {
            return Err(Failure::File(format!("{}: {missing}", file.display())));
        }
        lines.lines().for_each(|line| labels.add(line, config.as_ref()));
    }
    io::stdout().lock().write_all(labels.snippet().as_bytes())?;
    Ok(())
}

fn read(file: &Path) -> Result<Node, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::File(format!("{}: cannot be read: {error}", file.display())))?;
    Node::read_plugin_config(&text).map_err(|error| Failure::Rejected(format!("{}:{error}", file.display())))
}

#[derive(Default)]
struct Labels {
    /// By name; `None` for those that stand in names as labels do, which is what Istio can be told.
    found: BTreeMap<String, Option<String>>,
    /// Paths of labels that nobody asked for.
    unread: Vec<String>,
}

impl Labels {
    fn add(&mut self, line: &str, config: Option<&Node>) {
        match (line.strip_prefix('@'), config) {
            (Some(path), Some(config)) => {
                let named = keys(config, path).into_iter().map(|key| (key, None));
                self.found.extend(named);
            }
            (Some(path), None) => self.unread.push(path.to_owned()),
            (None, _) => {
                let (name, expression) = line.split_once(' ').unwrap_or((line, ""));
                let expression = (!expression.is_empty()).then(|| expression.to_owned());
                self.found.insert(name.to_owned(), expression);
            }
        }
    }

    fn snippet(&self) -> String {
        let standing = self.found.iter().filter(|(_, expression)| expression.is_none());
        let names: Vec<_> = standing.map(|(name, _)| name.as_str()).collect();
        let mut text = format!("# In Istio: sidecar.istio.io/extraStatTags: {}\n", names.join(","));
        for path in &self.unread {
            let _ =
                writeln!(text, "# The keys of {path} are labels, too: name the configuration with --config");
        }
        text.push_str("stats_config:\n  stats_tags:\n");
        for (name, expression) in &self.found {
            let standing = || format!(r"[.;]({name}=\.=(.*?);\.;)");
            let expression = expression.clone().unwrap_or_else(standing);
            let _ = write!(text, "  - tag_name: {name}\n    regex: '{expression}'\n");
        }
        text
    }
}

/// The keys of all mappings at a path such as `metrics[].dimensions`.
fn keys(node: &Node, path: &str) -> Vec<String> {
    let mut nodes = vec![node];
    for step in path.split('.') {
        let (name, each) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
        nodes =
            nodes.into_iter().filter_map(|node| node.get(name)).flat_map(|node| items(node, each)).collect();
    }
    let entries = nodes.into_iter().flat_map(|node| match &node.value {
        Value::Map(entries) => entries.as_slice(),
        _ => &[],
    });
    entries.map(|(key, _)| key.name.clone()).collect()
}

/// The items of a list, or the value itself.
fn items(node: &Node, each: bool) -> Vec<&Node> {
    match &node.value {
        Value::List(items) if each => items.iter().collect(),
        _ => vec![node],
    }
}
