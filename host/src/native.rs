//! The native back end: an unmodified extension crate, linked into the test binary, is the guest.
//!
//! The host functions are defined here as symbols (`shims`), and the callbacks are the exports of the `proxy-wasm` crate
//! (`callbacks`). That crate keeps its state per thread, so one VM is one thread.
//!
//! A panic that reaches an export of the `proxy-wasm` crate ends the process; a guest that may panic has to catch it and
//! say so by `pwkit_guest_panicked`, as the SDK does.

mod callbacks;
mod memory;
mod shims;

use crate::engine::Shared;
use crate::exchange::Setup;
use crate::vm_thread;
use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

pub use crate::vm_thread::Rejected;
pub use callbacks::Linked;

thread_local! {
    /// The VM of this thread, for the host functions to find.
    static VM: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// Loggers and panic hooks belong to the process, and the `proxy-wasm` crate sets its own without a lock.
static INITIALISING: Mutex<()> = Mutex::new(());

/// A plugin that is linked into this binary and has been configured, in a VM of its own.
pub type Host = vm_thread::Host<Linked>;

impl Host {
    /// Starts a VM: runs `initialize` (which registers the root context), then configures the plugin.
    pub fn start(initialize: impl FnOnce() + Send + 'static, setup: Setup) -> Result<Self, Rejected> {
        Self::spawn(setup, move |vm| {
            VM.set(Some(vm.clone()));
            let _guard = INITIALISING.lock().unwrap_or_else(PoisonError::into_inner);
            initialize();
            Ok(Linked)
        })
    }
}
