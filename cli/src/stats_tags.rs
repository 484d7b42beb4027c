//! `pwkit stats-tags`: what Envoy's bootstrap needs so that the labels in a module's metrics become labels in Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::check_config;
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

/// Where the labels stand, one a line: a name; a name and the expression that finds it; or of the configuration: `@` and the
/// path of mappings whose keys are labels; `<` or `>`, a gap, and the path of the text before a value or behind it.
const SECTION: &str = "pwkit.labels";

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = arguments.config.as_deref().map(|file| read(file).map(|node| (file, node))).transpose()?;
    let mut labels = Labels::default();
    for file in &arguments.files {
        let lines = module::section(file, SECTION)?.unwrap_or_default();
        let lines = String::from_utf8_lossy(&lines).into_owned();
        let missing = "names no labels of metrics; one that the SDK's derive(Labels) was used in does";
        if lines.is_empty() {
            return Err(Failure::File(format!("{}: {missing}", file.display())));
        }
        let reads = lines.lines().any(|line| line.starts_with(['@', '<', '>']));
        let config = config.as_ref().filter(|_| reads);
        if let Some((config, node)) = config {
            check_config::require(file, config, node)?;
        }
        labels.add(&lines, config.map(|(_, node)| node));
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
    /// The expressions that find them, by name.
    found: BTreeMap<String, String>,
    /// Those that Istio can find: it knows one form.
    of_istio: BTreeSet<String>,
    /// Why it cannot find others.
    has_own_separators: bool,
    /// Paths of labels that nobody asked for.
    unread: Vec<String>,
}

/// What stands around the values of a module's labels.
#[derive(PartialEq, Eq)]
struct Separators<'a> {
    before: &'a str,
    behind: &'a str,
}

/// Those of the SDK, and of Istio.
const STANDARD: Separators<'_> = Separators { before: "=.=", behind: ";.;" };

impl Labels {
    /// Those that a module has under a configuration.
    fn add(&mut self, lines: &str, config: Option<&Node>) {
        let separators = Separators::of(lines, config);
        for line in lines.lines().filter(|line| !line.starts_with(['<', '>'])) {
            match (line.strip_prefix('@'), config, line.split_once(' ')) {
                (Some(path), Some(config), _) => {
                    keys(config, path).into_iter().for_each(|name| self.add_standing(name, &separators));
                }
                (Some(path), None, _) => self.unread.push(path.to_owned()),
                (None, _, Some((name, expression))) => {
                    self.found.insert(name.to_owned(), expression.to_owned());
                }
                (None, _, None) => self.add_standing(line.to_owned(), &separators),
            }
        }
    }

    /// One that stands in names with its separators.
    fn add_standing(&mut self, name: String, separators: &Separators<'_>) {
        self.found.insert(name.clone(), separators.expression(&name));
        if *separators == STANDARD {
            self.of_istio.insert(name);
        } else {
            self.has_own_separators = true;
        }
    }

    fn snippet(&self) -> String {
        let names: Vec<_> = self.of_istio.iter().map(String::as_str).collect();
        let mut text = String::new();
        if !names.is_empty() {
            let _ = writeln!(text, "# In Istio: sidecar.istio.io/extraStatTags: {}", names.join(","));
        }
        if self.has_own_separators {
            text.push_str("# Istio's extraStatTags find no label behind separators of one's own\n");
        }
        for path in &self.unread {
            let _ =
                writeln!(text, "# The keys of {path} are labels, too: name the configuration with --config");
        }
        text.push_str("stats_config:\n  stats_tags:\n");
        for (name, expression) in &self.found {
            let expression = expression.replace('\'', "''");
            let _ = write!(text, "  - tag_name: {name}\n    regex: '{expression}'\n");
        }
        text
    }
}

impl<'a> Separators<'a> {
    /// As the configuration has them.
    fn of(lines: &'a str, config: Option<&'a Node>) -> Self {
        let text = |mark: &str| {
            let path = lines.lines().find_map(|line| line.strip_prefix(mark))?;
            match &config?.at(path)?.value {
                Value::Text(text) => Some(text.as_str()),
                _ => None,
            }
        };
        Self { before: text("< ").unwrap_or(STANDARD.before), behind: text("> ").unwrap_or(STANDARD.behind) }
    }

    /// A label follows Envoy's prefix or another label.
    fn expression(&self, name: &str) -> String {
        let last: String = self.behind.chars().last().into_iter().collect();
        let [before, behind] = [self.before, self.behind].map(|text| escaped(text, r"\.+*?()|[]{}^$"));
        format!("[.{}]({name}{before}(.*?){behind})", escaped(&last, r"\]^-["))
    }
}

/// With a `\` before each of these.
fn escaped(text: &str, special: &str) -> String {
    let escaped = |letter| special.contains(letter).then_some('\\').into_iter().chain([letter]);
    text.chars().flat_map(escaped).collect()
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
