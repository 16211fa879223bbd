//! Waiting for a condition by asking again, never by sleeping a fixed time.

use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// Asks until there is an answer; panics with `what` when that takes too long.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, look).unwrap_or_else(|| panic!("waited {PATIENCE:?} for {what}"))
}

/// Asks until there is an answer or `limit` has passed.
pub fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        match look() {
            Some(found) => return Some(found),
            None if limit <= begun.elapsed() => return None,
            None => thread::sleep(BETWEEN_LOOKS),
        }
    }
}
