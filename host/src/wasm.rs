//! The back end that runs compiled modules, in wasmtime: what ships is what is tested.
//!
//! [`Module`] is a module that has been checked as Envoy checks it, and compiled. [`Host`] runs it in a VM of its own:
//! callbacks go in through the module's exports (`callbacks`, `instance`), host calls come out through imports (`shims`,
//! `wasi`) and reach the same engine as those of the native back end. `memory` moves the bytes.
//!
//! A guest is not trusted. Whatever it passes is checked against its own memory, everything it can use up has a limit
//! ([`Limits`]), and what goes wrong in it fails its VM and nothing else.

mod callbacks;
mod compile;
mod error;
mod instance;
mod limits;
mod link;
mod memory;
mod module;
mod phase;
mod random;
mod shims;
mod wasi;

pub use crate::vm_thread::Rejected;
pub use error::{LoadError, Problem};
pub use instance::Instance;
pub use limits::Limits;
pub use module::{Module, Source};

use crate::exchange::Setup;
use crate::vm_thread::{self, Part};
use std::sync::Arc;

/// Compiled plugins that have been configured.
pub type Host = vm_thread::Host<Instance>;

impl Host {
    /// Starts a VM: instantiates and initialises the module, then configures the plugin.
    pub fn start(module: &Module, setup: Setup) -> Result<Self, Rejected> {
        Self::start_chain([(module, setup)])
    }

    /// Starts several plugins, which a request passes in this order. The proxy is that of the first setup.
    pub fn start_chain<'a>(plugins: impl IntoIterator<Item = (&'a Module, Setup)>) -> Result<Self, Rejected> {
        Self::spawn(parts(plugins))
    }

    /// Puts other plugins in the place of all that there are, as a proxy does when its configuration has changed. If one
    /// does not start, everything stays as it was.
    pub fn reconfigure<'a>(
        &self,
        plugins: impl IntoIterator<Item = (&'a Module, Setup)>,
    ) -> Result<(), Rejected> {
        self.replace(parts(plugins))
    }
}

fn parts<'a>(plugins: impl IntoIterator<Item = (&'a Module, Setup)>) -> Vec<Part<Instance>> {
    plugins.into_iter().map(|(module, setup)| Part::of(module, setup)).collect()
}

impl Part<Instance> {
    fn of(module: &Module, setup: Setup) -> Self {
        let module = module.clone();
        Self { identity: module.identity(), code: Arc::new(move |vm| Instance::new(&module, vm)), setup }
    }
}
