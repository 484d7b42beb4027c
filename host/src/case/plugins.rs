//! The plugins of a case, when there are several, and what becomes of one that fails.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::format::{Config, given};
use crate::exchange::{FailurePolicy, Setup};

/// One plugin of a chain.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PluginEntry {
    /// The folder of the extension; the one that the file belongs to by default.
    pub(super) extension: Option<String>,
    /// The plugin's name; the extension's folder with `_` for `-` by default.
    pub(super) name: Option<String>,
    /// Plugin configuration.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Config")]
    pub(super) config: Option<Config>,
    /// VM configuration. Plugins of one extension share a VM where this is the same.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Config")]
    pub(super) vm_config: Option<Config>,
    /// The plugin's root id; empty by default.
    pub(super) root_id: Option<String>,
    /// What becomes of requests when its VM has failed; replaces what the case says.
    pub(super) failure_policy: Option<FailurePolicy>,
}

/// A plugin of a case.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// Another extension than the one that the case belongs to, by its folder.
    pub extension: Option<String>,
    /// Its settings.
    pub setup: Setup,
}

impl Plugin {
    /// Its module, when that of the extension which the case belongs to is `own`: those of others stand beside it.
    pub(super) fn module(&self, own: &Path) -> PathBuf {
        match &self.extension {
            Some(other) => own.with_file_name(format!("{}.wasm", other.replace('-', "_"))),
            None => own.to_owned(),
        }
    }
}

/// The chain of a case: what `entries` say, on top of what holds for the case as a whole.
pub(super) fn chain(case: &Setup, entries: &[PluginEntry]) -> Vec<Plugin> {
    if entries.is_empty() {
        return vec![Plugin { extension: None, setup: case.clone() }];
    }
    entries.iter().map(|entry| plugin(case, entry)).collect()
}

fn plugin(case: &Setup, entry: &PluginEntry) -> Plugin {
    let bytes = |config: &Option<Config>| config.as_ref().map(|config| config.0.clone());
    let folder = entry.extension.as_ref().map(|folder| folder.replace('-', "_"));
    let setup = Setup {
        name: entry.name.clone().or(folder).unwrap_or_else(|| case.name.clone()),
        root_id: entry.root_id.clone().unwrap_or_else(|| case.root_id.clone()),
        configuration: bytes(&entry.config).unwrap_or_else(|| case.configuration.clone()),
        vm_configuration: bytes(&entry.vm_config).unwrap_or_else(|| case.vm_configuration.clone()),
        failure_policy: entry.failure_policy.unwrap_or(case.failure_policy),
        ..case.clone()
    };
    Plugin { extension: entry.extension.clone(), setup }
}
