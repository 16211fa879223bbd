//! What memory is used, for INFO and MEMORY.

use super::{Client, Server};
use crate::runtime::{allocation, clock, process};
use std::sync::atomic::Ordering::Relaxed;

/// Memory at one time, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Allocated: keys, values, buffers, everything.
    pub used: u64,
    /// The most that has been seen in use.
    pub peak: u64,
    /// What the machine has given.
    pub resident: u64,
    /// Allocated when the proxy had started.
    pub at_start: u64,
}

impl Memory {
    /// Used since the start: the data, and what clients and the backlog need.
    pub fn dataset(&self) -> u64 {
        self.used.saturating_sub(self.at_start)
    }

    /// How much more the machine gives than is used.
    pub fn fragmentation(&self) -> f64 {
        self.resident as f64 / self.used.max(1) as f64
    }

    /// The same in bytes; below 0 when some of it has never been touched.
    pub fn fragmentation_bytes(&self) -> i64 {
        self.resident as i64 - self.used as i64
    }

    /// `part` of `whole`, in percent.
    pub fn percent(part: u64, whole: u64) -> f64 {
        100.0 * part as f64 / whole.max(1) as f64
    }
}

impl Client {
    /// Bytes that wait to be understood, to be executed, to be taken from its mailbox or to be
    /// sent, those of what it waits with, and of what it watches, subscribes to and is told of.
    pub fn buffered(&self) -> u64 {
        let waiting = [&self.unread, &self.queued_bytes, &self.argument_bytes, &self.unsent];
        let kept = [&self.names_bytes, &self.prefixes_bytes];
        let own: u64 = waiting.iter().chain(&kept).map(|it| it.load(Relaxed)).sum();
        own + self.mailbox.bytes() as u64
    }
}

impl Server {
    /// What memory is used now.
    pub fn memory(&self) -> Memory {
        let resident = process::resident_bytes();
        // In a test of the library another allocator is at work.
        let used = match allocation::allocated_bytes() {
            0 => resident,
            used => used,
        };
        let peak = self.memory_peak.fetch_max(used, Relaxed).max(used);
        Memory { used, peak, resident, at_start: self.memory_at_start }
    }

    /// The same of all clients.
    pub fn client_bytes(&self) -> u64 {
        let mut sum = 0;
        self.clients.each(|it| sum += it.buffered());
        sum
    }

    /// Bytes of the texts of cached scripts, and of libraries.
    pub fn script_bytes(&self) -> (u64, u64) {
        let libraries = self.set.master_counts(clock::wall_now()).libraries;
        let library_texts = libraries.iter().map(|it| it.text.len() as u64).sum();
        (self.scripting.scripts.read().bytes() as u64, library_texts)
    }

    /// Notes how much is used, for the peak.
    pub fn note_memory(&self) {
        self.memory_peak.fetch_max(allocation::allocated_bytes(), Relaxed);
    }
}
