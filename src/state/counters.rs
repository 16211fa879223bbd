//! Counts of the whole process, for INFO.

use crate::base::count::SharedCount;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Kinds of errors that are counted apart; more than Redis has, so only made-up ones are left out.
const ERROR_KINDS_MAX: usize = 128;

/// What has been counted since the start or the last CONFIG RESETSTAT.
#[derive(Default)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections refused because there were too many.
    pub refused: AtomicU64,
    /// Bytes read from clients.
    pub bytes_in: SharedCount,
    /// Bytes written to clients.
    pub bytes_out: SharedCount,
    /// Commands executed.
    pub commands: SharedCount,
    /// Error replies.
    pub errors: AtomicU64,
    /// Clients closed because they did not read.
    pub overflowed: AtomicU64,
    /// Keys that had expired before the last reset.
    pub expired_before: AtomicU64,
    kinds: Mutex<BTreeMap<String, u64>>,
}

impl Counters {
    /// Counts an error reply by its first word.
    pub fn error(&self, text: &str) {
        self.errors.fetch_add(1, Relaxed);
        let kind = text.split(' ').next().unwrap_or_default();
        let mut kinds = self.kinds.lock();
        if kinds.contains_key(kind) || kinds.len() < ERROR_KINDS_MAX {
            *kinds.entry(kind.to_owned()).or_default() += 1;
        }
    }

    /// How often each kind of error was answered.
    pub fn kinds(&self) -> BTreeMap<String, u64> {
        self.kinds.lock().clone()
    }

    /// Forgets everything.
    pub fn reset(&self) {
        let Counters { accepted, refused, errors, overflowed, .. } = self;
        for count in [accepted, refused, errors, overflowed] {
            count.store(0, Relaxed);
        }
        let Counters { bytes_in, bytes_out, commands, .. } = self;
        [bytes_in, bytes_out, commands].iter().for_each(|it| it.reset());
        self.kinds.lock().clear();
    }
}
