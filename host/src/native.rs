//! The native back end: an unmodified extension crate, linked into the test binary, is the guest.
//!
//! The host functions are defined here as symbols (`shims`), and the callbacks are the exports of the `proxy-wasm` crate
//! (`callbacks`). That crate keeps its state per thread, so one VM is one thread
//! (`linked`).
//!
//! A panic that reaches an export of the `proxy-wasm` crate ends the process; a guest that may panic has to catch it and
//! say so by `pwkit_guest_panicked`, as the SDK does.

mod callbacks;
mod linked;
mod memory;
mod shims;

use crate::engine::Shared;
use crate::exchange::Setup;
use crate::vm_thread::{self, Part};
use std::cell::RefCell;
use std::sync::{Arc, Mutex};

pub use crate::vm_thread::Rejected;
pub use linked::Linked;

thread_local! {
    /// The VM of this thread, for the host functions to find.
    static VM: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// Loggers and panic hooks belong to the process, and the `proxy-wasm` crate sets its own without a lock.
static INITIALISING: Mutex<()> = Mutex::new(());

/// An extension that is linked into this binary: the function that registers its root context. Copies are the same code.
#[derive(Clone)]
pub struct Extension(Arc<dyn Fn() + Send + Sync>);

impl Extension {
    /// `initialize` is what the extension's `entry!` makes.
    pub fn new(initialize: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(initialize))
    }

    fn part(self, setup: Setup) -> Part<Linked> {
        let identity = Arc::as_ptr(&self.0).addr();
        Part { identity, code: Arc::new(move |vm| Linked::new(&self, vm)), setup }
    }
}

/// Plugins that are linked into this binary and have been configured.
pub type Host = vm_thread::Host<Linked>;

impl Host {
    /// Starts a VM: runs `initialize` (which registers the root context), then configures the plugin.
    pub fn start(initialize: impl Fn() + Send + Sync + 'static, setup: Setup) -> Result<Self, Rejected> {
        Self::start_chain([(Extension::new(initialize), setup)])
    }

    /// Starts several plugins, which a request passes in this order. The proxy is that of the first setup.
    pub fn start_chain(plugins: impl IntoIterator<Item = (Extension, Setup)>) -> Result<Self, Rejected> {
        Self::spawn(parts(plugins))
    }

    /// Puts other plugins in the place of all that there are, as a proxy does when its configuration has changed. If one
    /// does not start, everything stays as it was.
    pub fn reconfigure(&self, plugins: impl IntoIterator<Item = (Extension, Setup)>) -> Result<(), Rejected> {
        self.replace(parts(plugins))
    }
}

fn parts(plugins: impl IntoIterator<Item = (Extension, Setup)>) -> Vec<Part<Linked>> {
    plugins.into_iter().map(|(extension, setup)| extension.part(setup)).collect()
}
