//! What a module can call, starting from some of its functions.

use std::collections::BTreeSet;

use crate::error::PruneError;
use crate::image::Image;
use crate::links::Node;

/// The functions that can be called once `entries` can be.
///
/// A function in a table counts where something that is left refers to it. If the linker did not tell who does, all of
/// them count.
pub(crate) fn reachable(
    image: &Image<'_>,
    entries: impl IntoIterator<Item = u32>,
) -> Result<BTreeSet<u32>, PruneError> {
    let entries = entries.into_iter().chain(image.unnamed.iter().copied());
    let mut open: Vec<Node> = entries.map(Node::Function).collect();
    if image.links.are_known() {
        open.extend(image.links.unowned());
    } else {
        open.extend(image.in_tables.iter().map(|function| Node::Function(*function)));
    }
    let mut found = BTreeSet::new();
    while let Some(node) = open.pop() {
        if !found.insert(node) {
            continue;
        }
        if let Node::Function(function) = node {
            open.extend(image.callees(function)?.into_iter().map(Node::Function));
        }
        open.extend(image.links.references(node));
    }
    Ok(found.into_iter().filter_map(function).collect())
}

fn function(node: Node) -> Option<u32> {
    match node {
        Node::Function(function) => Some(function),
        Node::Data(_) => None,
    }
}

/// Whether one of these is among the reachable ones: host functions by the name of their import, own ones by that of their
/// export.
pub(crate) fn reaches_one_of(image: &Image<'_>, reachable: &BTreeSet<u32>, names: &[String]) -> bool {
    let wanted = |name: &str| names.iter().any(|wanted| wanted == name);
    let imports = (0..).zip(&image.imports).filter(|(_, name)| wanted(name)).map(|(index, _)| index);
    let exports = image.functions.iter().filter(|(name, _)| wanted(name)).map(|(_, index)| *index);
    imports.chain(exports).any(|index| reachable.contains(&index))
}
