//! What a guest may use up. Envoy limits its memory alone; a test must also end.

/// The limits of a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a module's file.
    pub module_size: usize,
    /// Bytes of linear memory: as in Envoy, growing beyond fails in the guest, and a module that starts with more does
    /// not start.
    pub memory: usize,
    /// Entries of a table, as in V8.
    pub table_elements: usize,
    /// Instructions in one callback, and bytes moved by bulk instructions. One more fails the VM: an endless loop ends.
    /// Some two seconds; the verification of a signature in the sandbox takes a hundredth of it.
    pub instructions: u64,
    /// Bytes that pass between guest and host in one callback, in either direction; a host call counts for
    /// [`Limits::PER_CALL`] more. What a guest logs and sets is kept outside of it, and what the host does for a call costs
    /// the guest no instruction.
    pub handed_over: usize,
}

impl Limits {
    /// What a host call counts for before any byte has passed.
    pub const PER_CALL: usize = 64;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            module_size: 64 * 1024 * 1024,
            memory: 1024 * 1024 * 1024,
            table_elements: 10_000_000,
            instructions: 2_000_000_000,
            handed_over: 256 * 1024 * 1024,
        }
    }
}
