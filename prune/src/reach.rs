//! What a module can call, starting from some of its functions.

use std::collections::BTreeSet;

use crate::error::PruneError;
use crate::image::Image;

/// The functions that can be called once `entries` can be.
///
/// Whatever stands in a table counts: which of its functions an indirect call reaches is known to the linker alone.
pub(crate) fn reachable(
    image: &Image<'_>,
    entries: impl IntoIterator<Item = u32>,
) -> Result<BTreeSet<u32>, PruneError> {
    let mut open: Vec<u32> = entries.into_iter().chain(image.unnamed.iter().copied()).collect();
    let mut found = BTreeSet::new();
    while let Some(function) = open.pop() {
        if found.insert(function) {
            open.extend(image.callees(function)?);
        }
    }
    Ok(found)
}

/// Whether one of these host functions is among the reachable ones.
pub(crate) fn calls_one_of(image: &Image<'_>, reachable: &BTreeSet<u32>, imports: &[String]) -> bool {
    let called = |name: &str| imports.iter().any(|import| import == name);
    let mut names = image.imports.iter().enumerate();
    names.any(|(index, name)| {
        called(name) && u32::try_from(index).is_ok_and(|index| reachable.contains(&index))
    })
}
