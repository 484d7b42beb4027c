//! A plugin as the command line names it, and as it is ready to be started: module and configuration, read and checked.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::failure::Failure;
use proxy_wasm_kit_host::exchange::Setup;
use proxy_wasm_kit_host::wasm::{Limits, Module};

/// `NAME.wasm` or `NAME.wasm:CONFIGURATION`, and in front of it `/PREFIX=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    /// The paths that it serves, without a slash at the end; all of them if there is none.
    pub(crate) prefix: Option<String>,
    pub(crate) module: PathBuf,
    pub(crate) configuration: Option<PathBuf>,
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let prefixed = text.split_once('=').filter(|(prefix, _)| is_prefix(prefix));
        let prefix = prefixed.map(|(prefix, _)| prefix.trim_end_matches('/').to_owned());
        let text = prefixed.map_or(text, |(_, rest)| rest);
        let (module, configuration) = match text.split_once(".wasm:") {
            Some((_, "")) => return Err("names no configuration behind the colon".into()),
            Some((module, configuration)) => (format!("{module}.wasm"), Some(configuration.into())),
            None => (text.to_owned(), None),
        };
        if module.is_empty() {
            return Err("names no module".into());
        }
        Ok(Self { prefix, module: module.into(), configuration })
    }
}

/// Whether it can be the beginning of a path; `/` alone is that of every path, and no prefix.
fn is_prefix(text: &str) -> bool {
    text.starts_with('/') && !text.contains(".wasm") && !text.trim_end_matches('/').is_empty()
}

impl Spec {
    /// What the plugin is called: the module's file name.
    pub(crate) fn name(&self) -> String {
        self.module.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The files that it is made of.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        [Some(&self.module), self.configuration.as_ref()].into_iter().flatten().map(PathBuf::as_path)
    }

    /// The line that says that it does not start.
    pub(crate) fn rejected(&self, reason: &str) -> String {
        let module = self.module.display();
        match &self.configuration {
            Some(file) => format!(
                "{module} does not start with {}: {reason}; correct the configuration",
                file.display()
            ),
            None => {
                format!(
                    "{module} does not start without a configuration: {reason}; name one as {module}:FILE"
                )
            }
        }
    }

    /// Reads and compiles it.
    pub(crate) fn load(&self, common: &Setup) -> Result<Plugin, Failure> {
        crate::module::read(&self.module)?;
        let module = Module::load(&self.module, &Limits::default());
        let module = module.map_err(|error| Failure::File(error.to_string()))?;
        let configuration = self.configuration.as_deref().map(read_configuration).transpose()?;
        let setup =
            Setup { name: self.name(), configuration: configuration.unwrap_or_default(), ..common.clone() };
        Ok(Plugin { module, setup })
    }
}

/// A plugin that can be started, as often as wanted.
#[derive(Clone)]
pub(crate) struct Plugin {
    pub(crate) module: Module,
    pub(crate) setup: Setup,
}

/// The bytes that the plugin gets: those of a file, and of YAML the JSON that it stands for.
fn read_configuration(path: &Path) -> Result<Vec<u8>, Failure> {
    let place = path.display();
    let bytes = std::fs::read(path).map_err(|error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file; name the plugin's configuration".into(),
            _ => format!("cannot be read: {error}"),
        };
        Failure::File(format!("{place}: {remedy}"))
    })?;
    let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if !yaml {
        return Ok(bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    let value: serde_json::Value = serde_saphyr::from_str(&text).map_err(|error| {
        let error = error.to_string();
        Failure::File(format!(
            "{place}: is no YAML: {}; correct it",
            error.lines().next().unwrap_or_default()
        ))
    })?;
    Ok(value.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_stands_behind_the_colon() {
        let spec = |module: &str, configuration: Option<&str>| Spec {
            prefix: None,
            module: module.into(),
            configuration: configuration.map(PathBuf::from),
        };
        let read = |text: &str| text.parse::<Spec>();
        assert_eq!(read("a.wasm"), Ok(spec("a.wasm", None)));
        assert_eq!(read("x/a.wasm:b/c.yaml"), Ok(spec("x/a.wasm", Some("b/c.yaml"))));
        assert_eq!(read("a:b/a.wasm:c:d"), Ok(spec("a:b/a.wasm", Some("c:d"))));
        let prefixed = Spec { prefix: Some("/a".into()), ..spec("/x/a=b.wasm", Some("c")) };
        assert_eq!(read("/a/=/x/a=b.wasm:c"), Ok(prefixed));
        assert!(read("a.wasm:").is_err() && read("").is_err());
    }
}
