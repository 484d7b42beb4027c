//! One host call: the guest's bytes as they lie in its memory, and results written back into it.
//!
//! Nothing the guest says is believed. A range that leaves its memory is InvalidMemoryAccess, also an empty range; a
//! null pointer is an address like any other. Memory for results comes from the guest's own allocator, which may fail,
//! lie, or run into trouble of its own.

use super::instance::State;
use super::limits::Limits;
use super::phase::Phase;
use crate::engine::{Status, Vm, decode_pairs};
use crate::exchange::Headers;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wasmtime::{Caller, Error, Result as Traps};

/// What is known of a host call while it runs.
pub(super) struct HostCall<'a> {
    caller: Caller<'a, State>,
    name: &'static str,
}

/// The guest's memory, to be read.
pub(super) struct Bytes<'a> {
    memory: &'a [u8],
    taken: &'a Cell<usize>,
}

impl<'a> Bytes<'a> {
    /// What the guest points at.
    pub(super) fn get(&self, address: u32, size: u32) -> Result<&'a [u8], Status> {
        let (address, size) = (address as usize, size as usize);
        let range = address..address.saturating_add(size);
        let bytes = self.memory.get(range).ok_or(Status::INVALID_MEMORY_ACCESS)?;
        self.taken.set(self.taken.get().saturating_add(size));
        Ok(bytes)
    }

    /// A map that the guest has written.
    pub(super) fn pairs(&self, address: u32, size: u32) -> Result<Headers, Status> {
        self.get(address, size).map(decode_pairs)
    }
}

impl<'a> HostCall<'a> {
    /// Begins a call. While the module initialises or allocates memory, most functions are a trap, as in V8 (row 2).
    pub(super) fn begin(caller: Caller<'a, State>, name: &'static str) -> Traps<Self> {
        if !caller.data().phase.allows(name) {
            return Err(Error::msg(format!("restricted_callback: {name} may not be called now")));
        }
        let call = Self { caller, name };
        call.pass(Limits::PER_CALL)?;
        Ok(call)
    }

    /// Counts what passes between guest and host; too much is a trap.
    fn pass(&self, size: usize) -> Traps<()> {
        let state = self.caller.data();
        state.taken.set(state.taken.get().saturating_add(size));
        let limit = state.limits.handed_over;
        if state.taken.get() > limit {
            return Err(Error::msg(format!(
                "more than {limit} bytes between guest and host in one callback"
            )));
        }
        Ok(())
    }

    /// Ends it: the status for the guest, or a trap when too much has passed.
    pub(super) fn end(self, result: Result<(), Status>) -> Traps<u32> {
        self.pass(0)?;
        Ok(result.err().map_or(0, |status| status.0))
    }

    /// Counts the call, if the plugin may make it.
    pub(super) fn count(&mut self) -> Result<(), Status> {
        self.caller.data().vm.borrow_mut().count_host_call(self.name)
    }

    /// Asks the VM.
    pub(super) fn ask<T>(
        &mut self,
        answer: impl FnOnce(&mut Vm, &Bytes<'_>) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let state = self.caller.data();
        let vm = state.vm.clone();
        let memory = state.memory.map(|memory| memory.data(&self.caller)).unwrap_or_default();
        let bytes = Bytes { memory, taken: &state.taken };
        // A fault of the host fails this VM and no other.
        let asked = catch_unwind(AssertUnwindSafe(|| answer(&mut vm.borrow_mut(), &bytes)));
        asked.unwrap_or_else(|_| {
            vm.borrow_mut().fail(format!("the host panicked in {}", self.name));
            Err(Status::INTERNAL_FAILURE)
        })
    }

    /// What belongs to the VM and not to the engine.
    pub(super) fn state(&mut self) -> &mut State {
        self.caller.data_mut()
    }

    /// Writes into the guest's memory.
    pub(super) fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), Status> {
        let memory = self.caller.data().memory.ok_or(Status::INVALID_MEMORY_ACCESS)?;
        let start = address as usize;
        let place = memory.data_mut(&mut self.caller).get_mut(start..start.saturating_add(bytes.len()));
        place.ok_or(Status::INVALID_MEMORY_ACCESS)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Writes a word of 32 bits.
    pub(super) fn write_word(&mut self, address: u32, word: u32) -> Result<(), Status> {
        self.write(address, &word.to_le_bytes())
    }

    /// Writes a size.
    pub(super) fn write_size(&mut self, address: u32, size: usize) -> Result<(), Status> {
        self.write_word(address, u32::try_from(size).unwrap_or(u32::MAX))
    }

    /// Gives the guest a copy of `bytes`, and tells it where. Nothing is allocated for nothing: the pointer is null then.
    pub(super) fn give(&mut self, bytes: &[u8], pointer: u32, size: u32) -> Result<(), Status> {
        let address = self.copy(bytes)?;
        self.write_word(pointer, address)?;
        self.write_size(size, bytes.len())
    }

    /// A copy of `bytes` in memory that the guest has allocated for it.
    pub(super) fn copy(&mut self, bytes: &[u8]) -> Result<u32, Status> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let size = u32::try_from(bytes.len()).map_err(|_| Status::INVALID_MEMORY_ACCESS)?;
        let taken = &self.caller.data().taken;
        taken.set(taken.get().saturating_add(bytes.len()));
        let address = self.allocate(size)?;
        self.write(address, bytes)?;
        Ok(address)
    }

    /// Asks the guest's allocator. A trap in it fails the VM; the guest learns that there is no memory, and is not
    /// entered again after this callback.
    fn allocate(&mut self, size: u32) -> Result<u32, Status> {
        let allocator = self.caller.data().allocator.clone().ok_or(Status::INVALID_MEMORY_ACCESS)?;
        let before = std::mem::replace(&mut self.state().phase, Phase::Allocating);
        let allocated = allocator.call(&mut self.caller, size);
        self.state().phase = before;
        match allocated {
            Ok(0) => Err(Status::INVALID_MEMORY_ACCESS),
            Ok(address) => Ok(address),
            Err(trap) => {
                let reason = format!("the allocator failed: {}", super::instance::reason(&trap));
                self.caller.data().vm.borrow_mut().fail(reason);
                Err(Status::INVALID_MEMORY_ACCESS)
            }
        }
    }
}
