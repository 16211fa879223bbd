//! How a set stands with its files.

use event_listener::Event;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};

/// How the set stands with its files.
#[derive(Default)]
pub struct OnDisk {
    /// Everything before this is on disk.
    pub(super) durable: AtomicU64,
    /// There is to be an append-only file, so that it can be waited for.
    pub(super) has_file: AtomicBool,
    /// Up to where somebody waits for it to be.
    pub(super) asked: AtomicU64,
    /// Everything before this is in the file, if not on disk.
    pub(super) written: AtomicU64,
    /// Workers write the file before they reply.
    pub(super) is_file_first: AtomicBool,
    /// Wakes the thread of the files.
    pub(super) news: Event,
    /// What [`DiskTrouble`] there is, from 1; 0 for none.
    pub(super) trouble: AtomicU8,
    pub(super) is_loading: AtomicBool,
}

/// Why writes are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskTrouble {
    /// The append-only file cannot be written.
    AppendOnlyFile = 1,
    /// The last snapshot could not be made.
    Snapshot = 2,
}
