//! Limits that tests lower in their own thread, so that little is enough to be past them. Outside
//! tests they are constants.

use super::limits::{LONG_ELEMENTS, LONG_WAITING};

#[cfg(test)]
thread_local! {
    static LONG: std::cell::Cell<usize> = const { std::cell::Cell::new(LONG_ELEMENTS) };
    static WAITING: std::cell::Cell<usize> = const { std::cell::Cell::new(LONG_WAITING) };
}

/// [`LONG_ELEMENTS`].
#[cfg(not(test))]
#[inline(always)]
pub const fn long_elements() -> usize {
    LONG_ELEMENTS
}

/// [`LONG_ELEMENTS`], as it stands in this thread.
#[cfg(test)]
pub fn long_elements() -> usize {
    LONG.get()
}

/// Lowers [`LONG_ELEMENTS`] in this thread.
#[cfg(test)]
pub fn lower_long_elements(to: usize) {
    LONG.set(to);
}

/// [`LONG_WAITING`].
#[cfg(not(test))]
#[inline(always)]
pub const fn long_waiting() -> usize {
    LONG_WAITING
}

/// [`LONG_WAITING`], as it stands in this thread.
#[cfg(test)]
pub fn long_waiting() -> usize {
    WAITING.get()
}

/// Lowers [`LONG_WAITING`] in this thread.
#[cfg(test)]
pub fn lower_long_waiting(to: usize) {
    WAITING.set(to);
}
