//! An allocator that remembers the largest allocation of each thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Forgets what this thread has allocated.
pub fn reset() {
    LARGEST.set(0);
}

/// The largest allocation of this thread since the last [`reset`], in bytes.
pub fn largest() -> usize {
    LARGEST.get()
}

/// Remembers the largest allocation of this thread.
struct Watched;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: hands everything to the system's allocator unchanged. A const-initialised thread-local
// without a destructor does not allocate.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.set(LARGEST.get().max(layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static WATCHED: Watched = Watched;
