//! The allocator of modules: lists of free small blocks before the one of the system.
//!
//! A filter takes the same few sizes for each request and gives them back. From a list that takes a tenth of the
//! instructions: the system's allocator joins and splits its blocks each time. Blocks stay in the list of their size, so
//! what all lists hold is never more than what was in use at one time.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::null_mut;

/// Sizes are rounded up to a multiple of it.
const STEP: usize = 16;

/// Larger blocks are the system's.
const LISTS: usize = 32;

/// What the system aligns a block to without being asked.
const ALIGN: usize = 8;

/// Free blocks by size, each with the address of the next one in it.
struct FreeLists([Cell<*mut u8>; LISTS]);

// SAFETY: a module has one thread.
unsafe impl Sync for FreeLists {}

#[global_allocator]
static ALLOCATOR: FreeLists = FreeLists([const { Cell::new(null_mut()) }; LISTS]);

impl FreeLists {
    #[inline]
    fn list(&self, layout: Layout) -> Option<&Cell<*mut u8>> {
        if layout.align() > ALIGN { None } else { self.0.get(number(layout.size())) }
    }
}

/// The number of the list with blocks of that size, which is not 0.
#[inline]
fn number(size: usize) -> usize {
    size.wrapping_sub(1) / STEP
}

/// A new block for a list; all of one list have the same size.
#[cold]
fn block(size: usize) -> *mut u8 {
    let size = number(size).wrapping_add(1).wrapping_mul(STEP);
    match Layout::from_size_align(size, ALIGN) {
        // SAFETY: the size is not 0.
        Ok(layout) => unsafe { System.alloc(layout) },
        Err(_) => null_mut(),
    }
}

// SAFETY: a block is in a list or in use, and as large as the largest layout of its list. What has no list is left to the
// system, for its way back, too: the layout decides it, and that is the same both times.
unsafe impl GlobalAlloc for FreeLists {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the layout is the caller's.
        let Some(list) = self.list(layout) else { return unsafe { System.alloc(layout) } };
        let first = list.get();
        if first.is_null() {
            return block(layout.size());
        }
        // SAFETY: a block in a list begins with the address of the next one.
        list.set(unsafe { first.cast::<*mut u8>().read() });
        first
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        match self.list(layout) {
            Some(list) => {
                // SAFETY: the caller gives the block back, which has room for an address.
                unsafe { memory.cast::<*mut u8>().write(list.get()) };
                list.set(memory);
            }
            // SAFETY: it has no list, so it came from the system.
            None => unsafe { System.dealloc(memory, layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if self.list(layout).is_none() {
            // SAFETY: the layout is the caller's.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: as above, and a block that there is has this size.
        unsafe {
            let memory = self.alloc(layout);
            if !memory.is_null() {
                memory.write_bytes(0, layout.size());
            }
            memory
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller says that this is a layout.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if self.list(layout).is_none() && self.list(new).is_none() {
            // SAFETY: it came from the system, and goes on there.
            return unsafe { System.realloc(memory, layout, size) };
        }
        if number(layout.size()) == number(size) {
            return memory;
        }
        // SAFETY: both blocks are at least as large as what is copied, and not the same.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                memory.copy_to_nonoverlapping(moved, layout.size().min(size));
                self.dealloc(memory, layout);
            }
            moved
        }
    }
}
