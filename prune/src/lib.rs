//! Cuts a module down to what its extension uses.
//!
//! A module straight from cargo exports every callback of the ABI, because the `proxy-wasm` crate does, and the proxy
//! enters the sandbox for each of them on each request. The SDK's `entry!` puts a second set of entry functions beside
//! them, and a custom section, the *door*, that says when each of those is needed. [`prune`] finds out which are, gives
//! them the names of the ABI, and drops all that nothing reaches any more.
//!
//! What is needed is read from the code and from nothing else, so there is no list that could be forgotten:
//!
//! - A hook is needed unless its compiled code is byte for byte that of the trait's default, which does nothing.
//! - A callback that answers a host call is needed if the call is: `on_tick` if anything sets the tick period.
//! - The end of a stream is needed unless nothing of a stream outlives its first hook.
//!
//! What cannot be shown to be superfluous stays.
//!
//! ```
//! let straight_from_cargo = wat::parse_str("(module)")?;
//! let error = proxy_wasm_kit_prune::prune(&straight_from_cargo, Default::default()).unwrap_err();
//! assert!(error.to_string().starts_with("it has no section pwkit.door"));
//! # Ok::<(), wat::Error>(())
//! ```

mod door;
mod emit;
mod error;
mod image;
mod links;
mod plan;
mod reach;

pub use door::SECTION;
pub use error::PruneError;

use std::collections::BTreeSet;

/// What else to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Drops the names of functions, which serve only those who read a backtrace, and what tells of the compiler.
    pub strip: bool,
}

/// A module after pruning.
#[derive(Clone, Debug)]
pub struct Pruned {
    /// Its bytes: the same for the same input.
    pub module: Vec<u8>,
    /// The callbacks that are left, in order, with the names of the ABI.
    pub callbacks: BTreeSet<String>,
    /// Whether the linker had been asked, by `-Clink-arg=--emit-relocs`, who refers to whom. If not, all functions in
    /// tables had to stay, and what they need.
    pub is_linked: bool,
}

/// Prunes a module.
///
/// # Errors
///
/// It is not built on the SDK, or what is found in it does not fit together; the module is then to be used as it is.
pub fn prune(wasm: &[u8], options: Options) -> Result<Pruned, PruneError> {
    let image = image::Image::read(wasm)?;
    let plan = plan::Plan::make(&image)?;
    let module = emit::emit(wasm, &image, &plan, options)?;
    wasmparser::Validator::new().validate_all(&module).map_err(PruneError::invalid)?;
    let names = plan.exports.keys().filter(|name| name.starts_with("proxy_on_"));
    Ok(Pruned { callbacks: names.cloned().collect(), is_linked: image.links.are_known(), module })
}
