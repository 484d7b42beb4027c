//! What a module says of a configuration while it is configured, in the embedded host.

use std::path::Path;

use super::finding::{Finding, Severity};
use crate::document::{Node, Place};
use crate::failure::Failure;

use proxy_wasm_kit_host::exchange::{Level, LogLine, Setup};
use proxy_wasm_kit_host::wasm::{Host, Limits, Module};

/// How the SDK begins what it says of a configuration, and what that is here.
const MARKS: [(&str, Severity); 4] = [
    ("configuration rejected: ", Severity::Error),
    ("configuration error: ", Severity::Error),
    ("configuration key ignored: ", Severity::UnknownKey),
    ("configuration: ", Severity::Warning),
];

/// Configures the module. What it complains of is a mistake, also where it would go on without that part.
pub(super) fn ask(module: &Path, node: &Node) -> Result<Vec<Finding>, Failure> {
    let code = Module::load(module, &Limits::default()).map_err(|error| Failure::File(error.to_string()))?;
    let configuration = node.to_json().to_string().into_bytes();
    let name = module.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match Host::start(&code, Setup { name, configuration, ..Setup::default() }) {
        Ok(host) => Ok(told(&host.log(), node)),
        Err(rejected) => {
            let mut findings = told(&rejected.log, node);
            if !findings.iter().any(Finding::is_mistake) {
                let (path, message) = (String::new(), rejected.reason.to_string());
                findings.push(Finding { place: node.place, path, severity: Severity::Error, message });
            }
            Ok(findings)
        }
    }
}

fn told(log: &[LogLine], node: &Node) -> Vec<Finding> {
    let lines = log.iter().filter(|line| line.level >= Level::Warn);
    lines.map(|line| finding(line, node)).collect()
}

/// With the place in the file, instead of that in the JSON that the module was given.
fn finding(line: &LogLine, node: &Node) -> Finding {
    let severity = if line.level >= Level::Error { Severity::Error } else { Severity::Warning };
    let marked = MARKS.iter().find_map(|(mark, severity)| {
        let (_, said) = line.message.split_once(mark)?;
        Some((said, *severity))
    });
    let (said, severity) = marked.unwrap_or((&line.message, severity));
    let (path, message) = split(said);
    match nearest(path, node) {
        Some(place) => Finding { place, path: path.into(), severity, message: message.into() },
        None => Finding { place: node.place, path: String::new(), severity, message: said.into() },
    }
}

/// Where a value stands, or, if it is not there, what it is missing in; nothing, if that is the whole configuration.
fn nearest(path: &str, node: &Node) -> Option<Place> {
    if path.is_empty() {
        return Some(node.place);
    }
    let ends = path.rmatch_indices(['.', '[']).map(|(end, _)| end);
    let paths = std::iter::once(path.len()).chain(ends).map(|end| &path[..end]);
    let mut found = paths.take_while(|path| !path.is_empty()).filter_map(|path| node.at(path));
    found.next().map(|node| node.place)
}

/// Path and message of `a.b (line 1, column 2): message`, or of `a.b: message`; an empty path if there is none.
fn split(said: &str) -> (&str, &str) {
    let (before, message) = said.split_once(": ").unwrap_or(("", said));
    let path = before.split_once("(line ").map_or(before, |(path, _)| path).trim_end();
    if path.contains(' ') { ("", said) } else { (path, message) }
}
