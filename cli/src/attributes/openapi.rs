//! The operations of an OpenAPI 3 document: what of it tells requests apart, and what is wrong with that.

use std::collections::{BTreeMap, BTreeSet};

use super::path;
use crate::document::{Key, Node, Place, Value};
use serde_json::{Value as Json, json};

/// The fields of a path item that are operations; `query` is new in 3.2.
const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

/// The field of a path item that holds operations with other methods; new in 3.2.
const OTHER_METHODS: &str = "additionalOperations";

/// More servers than this by their variables are a mistake.
const MOST_SERVERS: usize = 1000;

/// How many references may follow one another.
const DEEPEST_REFERENCE: usize = 16;

/// An operation, and which requests are.
#[derive(Debug)]
pub(super) struct Operation {
    method: String,
    /// With the path of the server.
    path: String,
    name: String,
    place: Place,
}

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) place: Place,
    pub(super) message: String,
}

type Checked<T> = Result<T, Problem>;

impl Operation {
    /// Method, path and value, as attribute_gen takes them.
    pub(super) fn texts(&self) -> [String; 3] {
        [self.method.clone(), self.path.clone(), self.name.replace("${", "$${")]
    }

    pub(super) fn rule(&self) -> Json {
        let [method, path, value] = self.texts();
        json!({ "method": method, "path": path, "value": value })
    }
}

/// A document, read once.
pub(super) struct Document<'a> {
    root: &'a Node,
    /// What stands before all paths, whatever the servers say.
    base: Option<String>,
    /// What is odd, but keeps nothing from working.
    pub(super) warnings: Vec<Problem>,
}

impl<'a> Document<'a> {
    pub(super) fn new(root: &'a Node, base: Option<String>) -> Self {
        Self { root, base, warnings: Vec::new() }
    }

    /// All operations, the most specific path first.
    pub(super) fn operations(&mut self) -> Checked<Vec<Operation>> {
        self.check_version()?;
        let paths = self.root.get("paths").ok_or_else(|| {
            let others = if self.root.get("webhooks").is_some() {
                "; webhooks are requests that the API sends"
            } else {
                ""
            };
            problem(self.root, format!("there are no `paths`{others}"))
        })?;
        let servers = self.servers(self.root)?.unwrap_or_else(|| vec![String::new()]);
        let mut found = Vec::new();
        for (key, item) in entries(paths)?.iter().filter(|(key, _)| !key.name.starts_with("x-")) {
            path::check(&key.name).map_err(|message| at(key.place, format!("`{}`: {message}", key.name)))?;
            found.extend(self.operations_of(key, &self.layers(item)?, &servers)?);
        }
        if found.is_empty() {
            return Err(problem(paths, "no path has an operation"));
        }
        self.warn_of_names(&found);
        // Operations with the same path stay as they were written.
        found.sort_by_cached_key(|operation| (path::ranks(&operation.path), operation.path.clone()));
        Ok(self.without_hidden(found))
    }

    fn check_version(&self) -> Checked<()> {
        let version = self.root.get("openapi").map(|version| version.to_json().to_string());
        match version {
            Some(version) if version.trim_matches('"').starts_with("3") => Ok(()),
            Some(version) => Err(problem(self.root, format!("expected OpenAPI 3, found {version}"))),
            None if self.root.get("swagger").is_some() => Err(problem(
                self.root,
                "this is OpenAPI 2 (Swagger); convert it to OpenAPI 3 first, as editor.swagger.io does",
            )),
            None => {
                Err(problem(self.root, "expected an OpenAPI 3 document, which begins with `openapi: 3...`"))
            }
        }
    }

    fn operations_of(&mut self, key: &Key, layers: &[&Node], outer: &[String]) -> Checked<Vec<Operation>> {
        let mut of_item = None;
        for layer in layers {
            of_item = of_item.or(self.servers(layer)?);
        }
        let mut found = Vec::new();
        for (Key { name: method, place }, operation) in self.methods_of(layers)? {
            let of_operation = self.servers(operation)?;
            let servers = of_operation.as_deref().or(of_item.as_deref()).unwrap_or(outer);
            let name = name(operation)?.unwrap_or_else(|| format!("{method} {}", key.name));
            for server in servers {
                let path = format!("{server}{}", key.name);
                path::check(&path).map_err(|message| at(place, format!("`{path}`: {message}")))?;
                found.push(Operation { method: method.clone(), path, name: name.clone(), place });
            }
        }
        Ok(found)
    }

    /// The methods of a path item, each with its operation.
    fn methods_of<'n>(&mut self, layers: &[&'n Node]) -> Checked<Vec<(Key, &'n Node)>> {
        let mut found: Vec<(Key, &Node)> = Vec::new();
        for layer in layers {
            for (method, operation) in methods(layer)? {
                match found.iter().find(|(known, _)| known.name == method.name) {
                    Some((known, _)) => {
                        let message = format!(
                            "`{}` is also in line {}, beside the `$ref` to this, and left out here",
                            method.name, known.place.line
                        );
                        self.warnings.push(at(method.place, message));
                    }
                    None => found.push((method, operation)),
                }
            }
        }
        Ok(found)
    }

    /// The paths of the servers that a node names; `None` if it names none.
    fn servers(&self, node: &Node) -> Checked<Option<Vec<String>>> {
        if let Some(base) = &self.base {
            return Ok(Some(vec![base.clone()]));
        }
        let Some(servers) = node.get("servers") else { return Ok(None) };
        let Value::List(servers) = &servers.value else {
            return Err(problem(servers, format!("expected a list of servers, found {}", servers.kind())));
        };
        let mut paths = BTreeSet::new();
        for server in servers {
            for url in urls(server)? {
                paths.insert(path_of(&url).map_err(|message| problem(server, message))?);
            }
        }
        // An empty list stands for the server `/`.
        Ok((!paths.is_empty()).then(|| paths.into_iter().collect()))
    }

    /// A path item, what it refers to, and so on: what stands beside a `$ref` counts, too.
    fn layers(&self, item: &'a Node) -> Checked<Vec<&'a Node>> {
        let (mut layers, mut last) = (vec![item], item);
        while let Some(reference) = last.get("$ref") {
            if layers.len() > DEEPEST_REFERENCE {
                return Err(problem(item, "references go round in a circle"));
            }
            last = self.target(reference)?;
            layers.push(last);
        }
        Ok(layers)
    }

    fn target(&self, reference: &Node) -> Checked<&'a Node> {
        let target = text(reference)?;
        let pointer = target.strip_prefix("#/").ok_or_else(|| {
            let remedy = "bundle the document into one file first, for example with `redocly bundle`";
            problem(reference, format!("`{target}` is in another file; {remedy}"))
        })?;
        let mut steps = pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
        let found = steps.try_fold(self.root, |node, step| node.get(&step));
        found.ok_or_else(|| problem(reference, format!("there is no `{target}` in this document")))
    }

    /// An id that two operations have makes one series of both.
    fn warn_of_names(&mut self, operations: &[Operation]) {
        let mut known: BTreeMap<&str, Place> = BTreeMap::new();
        for operation in operations {
            let first = *known.entry(&operation.name).or_insert(operation.place);
            let is_told = self.warnings.iter().any(|warning| warning.place == operation.place);
            if first != operation.place && !is_told {
                let message = format!(
                    "the operationId `{}` is also that of line {}; the two will not be told apart",
                    operation.name, first.line
                );
                self.warnings.push(at(operation.place, message));
            }
        }
    }

    /// Without operations whose requests all are those of one before.
    fn without_hidden(&mut self, operations: Vec<Operation>) -> Vec<Operation> {
        let mut known: BTreeMap<(path::Shape, String), Place> = BTreeMap::new();
        let mut kept = Vec::new();
        for operation in operations {
            let shape = (path::shape(&operation.path), operation.method.clone());
            match known.get(&shape) {
                Some(first) => {
                    let Operation { method, path, place, .. } = operation;
                    let message = format!(
                        "`{method} {path}` has the same requests as line {}, and is left out",
                        first.line
                    );
                    self.warnings.push(at(place, message));
                }
                None => {
                    known.insert(shape, operation.place);
                    kept.push(operation);
                }
            }
        }
        kept
    }
}

fn at(place: Place, message: impl Into<String>) -> Problem {
    Problem { place, message: message.into() }
}

fn problem(node: &Node, message: impl Into<String>) -> Problem {
    at(node.place, message)
}

fn entries(node: &Node) -> Checked<&[(Key, Node)]> {
    match &node.value {
        Value::Map(entries) => Ok(entries),
        Value::Null => Ok(&[]),
        _ => Err(problem(node, format!("expected a mapping, found {}", node.kind()))),
    }
}

fn text(node: &Node) -> Checked<&str> {
    match &node.value {
        Value::Text(text) => Ok(text),
        _ => Err(problem(
            node,
            format!("expected a text (in quotes, if it looks like something else), found {}", node.kind()),
        )),
    }
}

/// The methods that stand in one node of a path item, each with its operation.
fn methods(item: &Node) -> Checked<Vec<(Key, &Node)>> {
    let mut found = Vec::new();
    for (Key { name, place }, node) in entries(item)? {
        if METHODS.contains(&&**name) {
            found.push((Key { name: name.to_uppercase(), place: *place }, node));
        }
    }
    let others = item.get(OTHER_METHODS).map(entries).transpose()?.unwrap_or_default();
    for (Key { name, place }, node) in others {
        check_other_method(name).map_err(|message| at(*place, format!("`{name}`: {message}")))?;
        found.push((Key { name: name.clone(), place: *place }, node));
    }
    Ok(found)
}

/// Whether this is a method that has no field of its own.
fn check_other_method(name: &str) -> Result<(), String> {
    let field = name.to_lowercase();
    if METHODS.contains(&&*field) {
        return Err(format!("write this operation as `{field}`, outside of `{OTHER_METHODS}`"));
    }
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err("expected a method, as a request has it".to_owned());
    }
    Ok(())
}

/// The name that the document gives an operation.
fn name(operation: &Node) -> Checked<Option<String>> {
    entries(operation)?;
    let Some(id) = operation.get("operationId") else { return Ok(None) };
    match text(id)? {
        "" => Err(problem(id, "an operationId is not empty; leave it out for METHOD /path")),
        id => Ok(Some(id.to_owned())),
    }
}

/// The URL of a server with each value of its variables.
fn urls(server: &Node) -> Checked<Vec<String>> {
    let url = server.get("url").ok_or_else(|| problem(server, "the server has no `url`"))?;
    let mut urls = vec![String::new()];
    let mut rest = text(url)?;
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, behind) =
            behind.split_once('}').ok_or_else(|| problem(url, "expected a } behind the { of a variable"))?;
        let values = values(server, name)?;
        if values.is_empty() {
            let remedy = "under `variables`; add it, or give --base-path";
            return Err(problem(url, format!("the variable `{name}` has no `default` {remedy}")));
        }
        let with = |url: &String| {
            values.iter().map(move |value| format!("{url}{before}{value}")).collect::<Vec<_>>()
        };
        urls = urls.iter().flat_map(with).collect();
        if urls.len() > MOST_SERVERS {
            return Err(problem(
                url,
                format!("the variables make more than {MOST_SERVERS} servers; give --base-path"),
            ));
        }
        rest = behind;
    }
    urls.iter_mut().for_each(|url| url.push_str(rest));
    Ok(urls)
}

/// The values that a variable can have. They are texts, and ports are often written as numbers.
fn values(server: &Node, name: &str) -> Checked<BTreeSet<String>> {
    let Some(variable) = server.get("variables").and_then(|variables| variables.get(name)) else {
        return Ok(BTreeSet::new());
    };
    let choices = match variable.get("enum").map(|choices| &choices.value) {
        Some(Value::List(choices)) => choices.iter().collect(),
        _ => Vec::new(),
    };
    let value = |node: &Node| match &node.value {
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        _ => text(node).map(str::to_owned),
    };
    choices.into_iter().chain(variable.get("default")).map(value).collect()
}

/// The path of a URL, without a slash at its end.
fn path_of(url: &str) -> Result<String, String> {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let behind_scheme = url.split_once("://").map(|(_, rest)| rest).or_else(|| url.strip_prefix("//"));
    let path = match behind_scheme {
        Some(rest) => rest.find('/').map_or("", |slash| &rest[slash..]),
        None if url.is_empty() || url.starts_with('/') => url,
        None => {
            return Err(format!(
                "the URL `{url}` is relative to where the document is served; give --base-path"
            ));
        }
    };
    Ok(path.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests;
