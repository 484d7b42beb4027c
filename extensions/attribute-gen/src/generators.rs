//! The plugin: the generators that are in order, and what counts those that are not.

use crate::config::{self, Config, Phase};
use crate::policy::{self, Generator, Mistake, Source};
use proxy_wasm_kit::foreign::{CelType, Property, PropertyType};
use proxy_wasm_kit::{Bytes, ConfigError, Counter, Expression, HostError, Root, property};
use proxy_wasm_kit_mesh::legacy;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Display;

/// A pattern that looks at no more bytes than this is worth a warning: ordinary requests may be longer.
const SHORT: usize = 512;

/// One configuration on one worker.
pub(crate) struct Generators {
    generators: Vec<Compiled>,
    /// Method and path of a request; `None` if no rule looks at them.
    request: Option<Expression<Vec<Bytes>>>,
    is_debug: bool,
    failures: Counter,
}

/// A generator, with the expressions that the proxy has compiled for it.
pub(crate) struct Compiled {
    pub(crate) generator: Generator,
    pub(crate) conditions: Vec<Expression<bool>>,
    pub(crate) inputs: Vec<Expression<Bytes>>,
}

impl Generators {
    pub(crate) fn new(config: Config, root: &Root) -> Result<Self, ConfigError> {
        let mut plugin = Self::empty(root)?;
        let errors = config_errors(root)?;
        let is_new = knows_xds();
        let share = policy::share(config.patterns());
        for (number, configured) in config.attributes.into_iter().enumerate() {
            match Compiled::new(configured, share, root, is_new) {
                Ok(compiled) => {
                    for (at, longest) in compiled.generator.patterns() {
                        let level = if longest < SHORT { log::Level::Warn } else { log::Level::Debug };
                        log::log!(
                            level,
                            "attributes[{number}].{at}.pattern looks at {longest} bytes at most"
                        );
                    }
                    plugin.generators.push(compiled);
                }
                Err(error) => {
                    root.complain(error.within(&format!("attributes[{number}]")));
                    errors.add(1)?;
                }
            }
        }
        plugin.is_debug = config.debug;
        if plugin.all().any(Generator::needs_request) {
            plugin.request = Some(root.expression("[request.method, request.url_path]")?);
        }
        declare(plugin.all(), root);
        Ok(plugin)
    }

    /// Of a configuration that cannot be read.
    pub(crate) fn none(error: ConfigError, root: &Root) -> Result<Self, HostError> {
        root.complain(error);
        config_errors(root)?.add(1)?;
        Self::empty(root)
    }

    fn empty(root: &Root) -> Result<Self, HostError> {
        let failures = root.counter("wasm_filter.attributegen.type.runtime.error_count")?;
        Ok(Self { generators: Vec::new(), request: None, is_debug: false, failures })
    }

    fn all(&self) -> impl Iterator<Item = &Generator> {
        self.generators.iter().map(|compiled| &compiled.generator)
    }

    pub(crate) fn of(&self, phase: Phase) -> impl Iterator<Item = &Compiled> {
        self.generators.iter().filter(move |compiled| compiled.generator.phase == phase)
    }

    /// Whether the request has to be remembered: the proxy does not know it any more when the response comes.
    pub(crate) fn remembers_request(&self) -> bool {
        self.of(Phase::OnResponse).any(|compiled| compiled.generator.needs_request())
    }

    /// Method and path of the request; `None` when the proxy does not know them.
    pub(crate) fn request(&self) -> Option<(Bytes, Bytes)> {
        let [method, path] = self.request.as_ref()?.evaluate().ok()?.try_into().ok()?;
        Some((method, path))
    }

    /// An attribute has been set.
    pub(crate) fn has_set(&self, name: &str, value: &str) {
        if self.is_debug {
            log::debug!("Setting {name} --> {}", value.escape_debug());
        }
    }

    /// One could not be generated or set.
    pub(crate) fn has_failed(&self, name: &str, error: &dyn Display) {
        log::debug!("{name} is not generated: {error}");
        // A count that is lost must not cost a request.
        let _ = self.failures.add(1);
    }
}

impl Compiled {
    fn new(
        configured: config::Generator,
        share: usize,
        root: &Root,
        is_new: bool,
    ) -> Result<Self, ConfigError> {
        let plan = policy::compile(configured, share).map_err(refused)?;
        Ok(Self {
            conditions: expressions(&plan.conditions, root, is_new)?,
            inputs: expressions(&plan.inputs, root, is_new)?,
            generator: plan.generator,
        })
    }
}

fn refused(mistake: Mistake) -> ConfigError {
    ConfigError::at(mistake.path, mistake.message)
}

fn config_errors(root: &Root) -> Result<Counter, HostError> {
    root.counter("wasm_filter.attributegen.type.config.error_count")
}

/// Whether the proxy has the attributes of its configuration below `xds`, and no longer by their old names.
fn knows_xds() -> bool {
    matches!(property(&["xds", "node", "id"]), Ok(Some(_)))
}

fn expressions<T: CelType>(
    sources: &[Source],
    root: &Root,
    is_new: bool,
) -> Result<Vec<Expression<T>>, ConfigError> {
    let compile = |source: &Source| {
        let text = if is_new { legacy::rewrite(&source.text) } else { Cow::Borrowed(&*source.text) };
        if let Cow::Owned(text) = &text {
            log::debug!("{} is rewritten for this proxy: {text}", source.path);
        }
        root.expression(&text).map_err(|error| error.within(&source.path))
    };
    sources.iter().map(compile).collect()
}

/// As texts they can be compared with texts in CEL.
fn declare<'a>(generators: impl Iterator<Item = &'a Generator>, root: &Root) {
    let names: BTreeSet<&str> = generators.map(|generator| generator.output.as_str()).collect();
    for name in names {
        if let Err(error) = Property::new(name).of_type(PropertyType::Text).declare(root) {
            log::debug!("{name} stays bytes to other filters: {error}");
        }
    }
}
