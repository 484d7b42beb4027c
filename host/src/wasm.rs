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
use crate::vm_thread;

/// A compiled plugin that has been configured, in a VM of its own.
pub type Host = vm_thread::Host<Instance>;

impl Host {
    /// Starts a VM: instantiates and initialises the module, then configures the plugin.
    pub fn start(module: &Module, setup: Setup) -> Result<Self, Rejected> {
        let module = module.clone();
        Self::spawn(setup, move |vm| Instance::new(&module, vm))
    }
}
