//! Limits that tests and the simulator lower in their own thread, so that little is enough to be
//! past them. Outside of them they are constants.

use super::limits::{LONG_ELEMENTS, LONG_WAITING};
use crate::IS_SIMULATED;
use std::cell::Cell;

thread_local! {
    static LONG: Cell<usize> = const { Cell::new(LONG_ELEMENTS) };
    static WAITING: Cell<usize> = const { Cell::new(LONG_WAITING) };
}

/// [`LONG_ELEMENTS`], as it stands in this thread.
#[inline(always)]
pub fn long_elements() -> usize {
    if IS_SIMULATED { LONG.get() } else { LONG_ELEMENTS }
}

/// Lowers [`LONG_ELEMENTS`] in this thread.
pub fn lower_long_elements(to: usize) {
    LONG.set(to);
}

/// [`LONG_WAITING`], as it stands in this thread.
#[inline(always)]
pub fn long_waiting() -> usize {
    if IS_SIMULATED { WAITING.get() } else { LONG_WAITING }
}

/// Lowers [`LONG_WAITING`] in this thread.
pub fn lower_long_waiting(to: usize) {
    WAITING.set(to);
}
