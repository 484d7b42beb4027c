//! What VMs share (data and queues), and foreign functions: what a host offers beyond the ABI.

use super::{Result, check, fetch, imports, optional};
use crate::bytes::Bytes;

/// A value and the version it has; no bytes at all stand for a value that was taken away.
pub(crate) fn data(key: &str) -> Result<Option<(Bytes, u32)>> {
    let mut version = 0;
    let value = fetch("proxy_get_shared_data", |data, size| {
        // SAFETY: `key` is live; the host writes a pointer, a length and a version to live places.
        unsafe { imports::proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut version) }
    });
    Ok(optional(value)?.map(|value| (value, version)))
}

/// Writes a value. With a version other than 0, only while the value still has it, or if there is none yet.
pub(crate) fn set_data(key: &str, value: &[u8], version: u32) -> Result<()> {
    // SAFETY: both pairs of pointer and length are of live slices.
    let status = unsafe {
        imports::proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), version)
    };
    check("proxy_set_shared_data", status)
}

pub(crate) fn register_queue(name: &str) -> Result<u32> {
    let mut id = 0;
    // SAFETY: `name` is live; the host writes one u32 to a live place.
    let status = unsafe { imports::proxy_register_shared_queue(name.as_ptr(), name.len(), &raw mut id) };
    check("proxy_register_shared_queue", status).map(|()| id)
}

/// An empty `vm_id` stands for this VM's own.
pub(crate) fn resolve_queue(vm_id: &str, name: &str) -> Result<Option<u32>> {
    let mut id = 0;
    // SAFETY: both texts are live; the host writes one u32 to a live place.
    let status = unsafe {
        imports::proxy_resolve_shared_queue(
            vm_id.as_ptr(),
            vm_id.len(),
            name.as_ptr(),
            name.len(),
            &raw mut id,
        )
    };
    optional(check("proxy_resolve_shared_queue", status).map(|()| id))
}

/// The oldest entry; `None` when the queue is empty.
pub(crate) fn dequeue(queue: u32) -> Result<Option<Bytes>> {
    const EMPTY: u32 = 7;
    let entry = fetch("proxy_dequeue_shared_queue", |data, size| {
        // SAFETY: the host writes a pointer and a length to live places.
        unsafe { imports::proxy_dequeue_shared_queue(queue, data, size) }
    });
    match entry {
        Err(error) if error.raw_status() == Some(EMPTY) => Ok(None),
        other => other.map(Some),
    }
}

pub(crate) fn enqueue(queue: u32, entry: &[u8]) -> Result<()> {
    // SAFETY: pointer and length are of one live slice.
    let status = unsafe { imports::proxy_enqueue_shared_queue(queue, entry.as_ptr(), entry.len()) };
    check("proxy_enqueue_shared_queue", status)
}

/// Calls a foreign function; `call` is its name, and that of the error.
pub(crate) fn call_foreign(call: &'static str, arguments: &[u8]) -> Result<Bytes> {
    fetch(call, |results, size| {
        // SAFETY: name and arguments are live; the host writes a pointer and a length to live places.
        unsafe {
            imports::proxy_call_foreign_function(
                call.as_ptr(),
                call.len(),
                arguments.as_ptr(),
                arguments.len(),
                results,
                size,
            )
        }
    })
}
