//! Which functions a module exports after pruning, and which it keeps.

use std::collections::{BTreeMap, BTreeSet};

use crate::door::{Brief, Door, Entry, Need, SECTION};
use crate::error::{Problem, PruneError};
use crate::image::Image;
use crate::reach::{reachable, reaches_one_of};

/// What a proxy needs beside the callbacks, with the export that takes the name over where it is another.
const FIXED: [(&str, &str); 4] = [
    ("_initialize", "pwkit_initialize"),
    ("proxy_abi_version_0_2_1", "proxy_abi_version_0_2_1"),
    ("malloc", "malloc"),
    ("proxy_on_memory_allocate", "proxy_on_memory_allocate"),
];

pub(crate) struct Plan {
    /// The exported functions by their new names.
    pub(crate) exports: BTreeMap<String, u32>,
    /// All functions that stay, imported ones too.
    pub(crate) functions: BTreeSet<u32>,
}

impl Plan {
    pub(crate) fn make(image: &Image<'_>) -> Result<Self, PruneError> {
        let section = image.custom.get(SECTION).ok_or(Problem::NoDoor)?;
        let door = Door::parse(section)?;
        check(image, &door)?;
        let hooks = hooks(image, &door)?;
        // Streams are taken for brief until something is found that is not.
        let brief = door.brief.as_ref().filter(|brief| hooks.iter().eq([&brief.hook]));
        if let Some(brief) = brief.filter(|_| drops_nothing(image).unwrap_or(false)) {
            let plan = Self::settle(image, &door, &hooks, Some(brief))?;
            if !reaches_one_of(image, &plan.functions, &brief.unless) {
                return Ok(plan);
            }
        }
        Self::settle(image, &door, &hooks, None)
    }

    /// Adds callbacks until none of those left out can come.
    fn settle(
        image: &Image<'_>,
        door: &Door,
        hooks: &BTreeSet<String>,
        brief: Option<&Brief>,
    ) -> Result<Self, PruneError> {
        let mut functions = BTreeSet::new();
        loop {
            let needed = |entry: &&Entry| match &entry.need {
                Need::Always => true,
                Need::Hook(_) => {
                    hooks.contains(&entry.name) || is_drawn_in(image, door, hooks, &functions, &entry.name)
                }
                Need::State => brief.is_none(),
                Need::Imports(imports) => reaches_one_of(image, &functions, imports),
            };
            let mut exports = fixed(image)?;
            for entry in door.entries.iter().filter(needed) {
                exports.insert(format!("proxy_{}", entry.name), own(image, &entry.name, brief)?);
            }
            let found = reachable(image, exports.values().copied())?;
            if found == functions {
                return Ok(Self { exports, functions });
            }
            functions = found;
        }
    }
}

/// Whether a hook that does nothing is needed because of others that do something.
fn is_drawn_in(
    image: &Image<'_>,
    door: &Door,
    hooks: &BTreeSet<String>,
    functions: &BTreeSet<u32>,
    name: &str,
) -> bool {
    door.together.iter().any(|together| {
        together.hooks.iter().any(|hook| hook == name)
            && together.hooks.iter().any(|hook| hooks.contains(hook))
            && reaches_one_of(image, functions, &together.when)
    })
}

/// Everything that the door names is there, also where it will turn out not to be needed.
fn check(image: &Image<'_>, door: &Door) -> Result<(), PruneError> {
    for entry in &door.entries {
        own(image, &entry.name, None)?;
    }
    let unless = door.brief.iter().flat_map(|brief| &brief.unless);
    let when = door.together.iter().flat_map(|together| &together.when);
    for name in unless.chain(when).filter(|name| name.starts_with("pwkit_")) {
        function(image, name)?;
    }
    Ok(())
}

fn function(image: &Image<'_>, name: &str) -> Result<u32, PruneError> {
    let found = image.functions.get(name).copied();
    found.ok_or_else(|| Problem::Missing(name.to_owned()).into())
}

/// The entry function of a callback.
fn own(image: &Image<'_>, name: &str, brief: Option<&Brief>) -> Result<u32, PruneError> {
    let brief = brief.and_then(|_| image.functions.get(format!("pwkit_brief_{name}").as_str()));
    brief.copied().map_or_else(|| function(image, &format!("pwkit_{name}")), Ok)
}

fn fixed(image: &Image<'_>) -> Result<BTreeMap<String, u32>, PruneError> {
    let mut exports = BTreeMap::new();
    for (name, from) in FIXED {
        // One of the two allocators is enough.
        if image.functions.contains_key(from) || !["malloc", "proxy_on_memory_allocate"].contains(&name) {
            exports.insert(name.to_owned(), function(image, from)?);
        }
    }
    Ok(exports)
}

/// The callbacks whose hooks do something.
fn hooks(image: &Image<'_>, door: &Door) -> Result<BTreeSet<String>, PruneError> {
    let mut callbacks = BTreeSet::new();
    for entry in &door.entries {
        let Need::Hook(hooks) = &entry.need else { continue };
        for hook in hooks {
            if does_something(image, hook)? {
                callbacks.insert(entry.name.clone());
            }
        }
    }
    Ok(callbacks)
}

fn does_something(image: &Image<'_>, hook: &str) -> Result<bool, PruneError> {
    let own = function(image, &format!("pwkit_hook_{hook}"))?;
    let default = function(image, &format!("pwkit_default_{hook}"))?;
    Ok(!image.are_same(own, default)?)
}

/// Whether dropping a filter is no more than dropping an `Rc` of its plugin, or nothing at all.
fn drops_nothing(image: &Image<'_>) -> Result<bool, PruneError> {
    let drop = function(image, "pwkit_drop_filter")?;
    let harmless = [function(image, "pwkit_drop_plugin")?, function(image, "pwkit_drop_nothing")?];
    Ok(image.are_same(drop, harmless[0])? || image.are_same(drop, harmless[1])?)
}
