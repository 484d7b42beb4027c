//! A plugin: the root context of one configuration on one worker.

use super::{HttpStream, guard};
use crate::abi::{self, Buffer};
use crate::config::{self, ConfigError};
use crate::context;
use crate::extension::Extension;
use crate::logger;
use crate::root::Root;
use std::rc::Rc;

/// The root context.
pub(crate) struct Plugin<E> {
    id: u32,
    /// `None` until a configuration has been accepted.
    extension: Option<Rc<E>>,
}

impl<E: Extension> Plugin<E> {
    pub(crate) fn new(id: u32) -> Self {
        Self { id, extension: None }
    }

    /// Whether the configuration is accepted.
    pub(crate) fn configure(&mut self) -> bool {
        guard(false, || {
            context::begin(self.id, false);
            logger::start();
            match Self::read() {
                Ok(extension) => self.extension = Some(Rc::new(extension)),
                Err(error) => {
                    log::error!("configuration rejected: {error}");
                    return false;
                }
            }
            true
        })
    }

    fn read() -> Result<E, ConfigError> {
        let text = abi::buffer(Buffer::PluginConfiguration, 0, config::LIMIT)?.unwrap_or_default();
        let configured =
            config::read(&text, E::UNKNOWN_KEYS).and_then(|config| E::configure(config, &Root::new()));
        configured.map_err(|error| error.located_in(&text))
    }

    /// The stream with this id begins.
    pub(crate) fn open(&self, id: u32) -> HttpStream<E::Filter> {
        context::begin(id, true);
        HttpStream::new(id, guard(None, || self.extension.as_ref().map(E::filter)))
    }
}
