//! Rules with a path, looked up together: a tree of segments, so that a thousand rules cost no more than one.

mod template;

use super::value::Value;
use super::{ConditionNumber, Facts};
use proxy_wasm_kit_paths::unescaped;
use std::borrow::Cow;
use std::collections::HashMap;
use template::Segment;
pub(super) use template::Template;

/// Rules with a path, in their order.
#[derive(Debug, Default)]
pub(super) struct Paths {
    rules: Vec<PathRule>,
    nodes: Vec<Node>,
}

#[derive(Debug)]
pub(super) struct PathRule {
    pub(super) condition: Option<ConditionNumber>,
    pub(super) method: Option<String>,
    pub(super) template: Template,
    pub(super) value: Value,
}

/// What the segments so far lead to.
#[derive(Debug, Default)]
struct Node {
    /// By the text of the next segment.
    texts: HashMap<Vec<u8>, usize>,
    /// By any next segment that is not empty.
    parameter: Option<usize>,
    /// By what a next segment has to look like.
    mixed: Vec<(Segment, usize)>,
    /// The rules whose path ends here.
    ends: Vec<usize>,
}

impl Paths {
    pub(super) fn new(rules: Vec<PathRule>) -> Self {
        let mut paths = Self { rules: Vec::new(), nodes: vec![Node::default()] };
        for (number, rule) in rules.iter().enumerate() {
            let end = rule.template.segments().fold(0, |node, segment| paths.child(node, segment));
            if let Some(node) = paths.nodes.get_mut(end) {
                node.ends.push(number);
            }
        }
        Self { rules, ..paths }
    }

    /// The node that a segment leads to from another, which is made if there is none.
    fn child(&mut self, from: usize, segment: &Segment) -> usize {
        let new = self.nodes.len();
        let Some(node) = self.nodes.get_mut(from) else { return from };
        let known = match segment {
            Segment::Text(text) => *node.texts.entry(text.clone()).or_insert(new),
            Segment::Parameter(_) => *node.parameter.get_or_insert(new),
            Segment::Mixed(_) => match node.mixed.iter().find(|(known, _)| known.takes_the_same(segment)) {
                Some((_, known)) => *known,
                None => {
                    node.mixed.push((segment.clone(), new));
                    new
                }
            },
        };
        if known == new {
            self.nodes.push(Node::default());
        }
        known
    }

    /// The value of the first rule that matches.
    pub(super) fn value<F: Facts>(&self, facts: &mut F) -> Result<Option<Cow<'_, str>>, F::Failure> {
        let Some((method, path)) = facts.request() else { return Ok(None) };
        let matching = self.matching(method, path);
        let path = if matching.iter().any(|rule| rule.looks_again()) { path.to_vec() } else { Vec::new() };
        for rule in matching {
            if rule.condition.map_or(Ok(true), |condition| facts.holds(condition))? {
                return Ok(Some(rule.value.filled(|name| rule.template.parameter(name, &path))));
            }
        }
        Ok(None)
    }

    /// The rules for this method and path, in their order.
    fn matching(&self, method: &[u8], path: &[u8]) -> Vec<&PathRule> {
        let mut found: Vec<usize> = self.ends(path).flat_map(|node| node.ends.iter().copied()).collect();
        found.sort_unstable();
        let rules = found.iter().filter_map(|number| self.rules.get(*number));
        rules.filter(|rule| rule.method.as_ref().is_none_or(|known| known.as_bytes() == method)).collect()
    }

    /// The nodes that all segments of a path lead to.
    fn ends(&self, path: &[u8]) -> impl Iterator<Item = &Node> {
        let mut reached: Vec<usize> = if path.starts_with(b"/") { vec![0] } else { Vec::new() };
        for segment in path.split(|byte| *byte == b'/').skip(1) {
            let segment = unescaped(segment);
            let nodes = reached.iter().filter_map(|number| self.nodes.get(*number));
            reached = nodes.flat_map(|node| node.next(&segment)).collect();
            if reached.is_empty() {
                break;
            }
        }
        reached.into_iter().filter_map(|number| self.nodes.get(number))
    }
}

impl Node {
    fn next(&self, segment: &[u8]) -> impl Iterator<Item = usize> {
        let parameter = self.parameter.filter(|_| !segment.is_empty());
        let mixed = self.mixed.iter().filter(|(pattern, _)| pattern.takes(segment)).map(|(_, node)| *node);
        self.texts.get(segment).copied().into_iter().chain(parameter).chain(mixed)
    }
}

impl PathRule {
    /// Whether its value holds parts of the path.
    fn looks_again(&self) -> bool {
        matches!(self.value, Value::Filled(_))
    }
}
