//! Memory of the system itself, for what is very large.

use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap, munmap};
use std::ptr::null_mut;

pub use crate::base::block::MAPPED_BYTES_MIN as BYTES_MIN;
/// Maps begin at pages, which are this large at least.
pub const ALIGN_MAX: usize = 4 << 10;

/// New memory, all zeros; null when there is none.
pub fn map(bytes: usize) -> *mut u8 {
    // SAFETY: a new private map takes nobody's place.
    let map = unsafe {
        mmap_anonymous(null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
    };
    map.map_or(null_mut(), <*mut _>::cast)
}

/// Gives it back.
///
/// # Safety
/// `place` is a map of this size that nobody uses any more.
pub unsafe fn unmap(place: *mut u8, bytes: usize) {
    // SAFETY: the caller says so. A map that cannot be unmapped is lost, and harms nobody.
    let _ = unsafe { munmap(place.cast(), bytes) };
}

/// Makes it larger or smaller, perhaps elsewhere, without copying it; null when it cannot be, and
/// then it is as it was.
///
/// # Safety
/// `place` is a map of `old` bytes; nobody uses it under the old address afterwards.
pub unsafe fn resize(place: *mut u8, old: usize, new: usize) -> *mut u8 {
    // SAFETY: the caller says so.
    let map = unsafe { mremap(place.cast(), old, new, MremapFlags::MAYMOVE) };
    map.map_or(null_mut(), <*mut _>::cast)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_keeps_what_is_in_it_when_it_grows_and_shrinks() {
        let place = map(BYTES_MIN);
        assert!(!place.is_null() && (place as usize).is_multiple_of(ALIGN_MAX));
        // SAFETY: the map is this test's alone, and as large as it says.
        unsafe {
            place.add(BYTES_MIN - 1).write(7);
            let place = resize(place, BYTES_MIN, 64 << 20);
            assert_eq!(place.add(BYTES_MIN - 1).read(), 7);
            assert_eq!(place.add((64 << 20) - 1).read(), 0);
            let place = resize(place, 64 << 20, BYTES_MIN);
            assert_eq!(place.add(BYTES_MIN - 1).read(), 7);
            unmap(place, BYTES_MIN);
        }
    }
}
