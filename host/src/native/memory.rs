//! Bytes across the boundary: the guest's are read in place, the host's are written to memory that the guest allocates.

use std::ptr;

unsafe extern "C" {
    fn proxy_on_memory_allocate(size: usize) -> *mut u8;
}

/// What the guest points at; nothing for a null pointer.
///
/// # Safety
/// Unless null, `data` points at `size` bytes that stay as they are for `'a`.
pub(super) unsafe fn read<'a>(data: *const u8, size: usize) -> &'a [u8] {
    if data.is_null() || size == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(data, size) }
}

/// Gives the guest a copy of `bytes`. Nothing is allocated for nothing: the pointer is null then.
///
/// # Safety
/// `data` and `size` are null or can be written to.
pub(super) unsafe fn give(bytes: &[u8], data: *mut *mut u8, size: *mut usize) {
    let copy = if bytes.is_empty() {
        ptr::null_mut()
    } else {
        // SAFETY: the guest's allocator returns that many bytes, which nobody else knows of.
        unsafe {
            let copy = proxy_on_memory_allocate(bytes.len());
            ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len());
            copy
        }
    };
    // SAFETY: the caller's promise.
    unsafe {
        write(data, copy);
        write(size, bytes.len());
    }
}

/// Writes a result, if the guest wants it.
///
/// # Safety
/// `place` is null or can be written to.
pub(super) unsafe fn write<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: the caller's promise.
        unsafe { place.write(value) }
    }
}
