//! The parts of the append-only file that are written to now. Where a reply does not wait for an
//! fsync, the worker that has written also writes the file before it replies, so that a process
//! that is killed has lost nothing that it has told anybody. The thread of the files does so where
//! replies wait, for what no worker has written, and while a disk is slow.
//!
//! ```text
//!                         no fsync is under way, and the disk takes bytes at once
//!   a write is in the log ──┬──────────────────────────────────────▶ its worker, then the reply
//!                           └──────────────────────────────────────▶ the reply; the thread
//!                            else, as Redis does it
//! ```

use super::stream_part::{StreamPart, Took};
use crate::base::time::{MonoUs, WallMs};
use crate::metrics::latency_events::LatencyEvent;
use crate::node::ReplicaSet;
use crate::runtime::clock;
use crate::state::FileWriter;
use parking_lot::{Mutex, MutexGuard};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::time::Duration;

/// Longest that a worker waits for another one before it looks again whether it is one.
const LOOK_EVERY: Duration = Duration::from_micros(100);
/// Two writes in a row that took a worker longer than this are the last ones for [`SLOW_FOR`]. One
/// may have been interrupted: the machine has others to run.
const SLOW_US: u64 = 2000;
/// So is one alone that took as long as this.
const VERY_SLOW_US: u64 = 100_000;
/// How long the thread writes after that.
const SLOW_FOR: Duration = Duration::from_secs(1);

/// What is being written to.
#[derive(Default)]
pub struct Parts {
    /// The part that the manifest names last, and that follows the log.
    pub current: Option<StreamPart>,
    /// The one that is about to take its place: it gets the same, so that it may do so at any time.
    pub next: Option<StreamPart>,
}

impl Parts {
    /// This part has all there is, and gets what comes.
    pub fn put_next(&mut self, mut part: StreamPart) -> io::Result<()> {
        part.take_all()?;
        self.next = Some(part);
        Ok(())
    }

    /// What was next is current.
    pub fn go_on_with_next(&mut self) {
        self.current = self.next.take();
        if let Some(part) = &self.current {
            part.note_written();
        }
    }
}

/// [`Parts`], for all who write them.
pub struct AofParts {
    set: Arc<ReplicaSet>,
    parts: Mutex<Parts>,
    /// Whoever has the lock has it for long.
    is_syncing: AtomicBool,
    /// When times are noted in the file.
    is_timed: AtomicBool,
    /// Until when the disk counts as slow, in microseconds of the monotonic clock.
    slow_until: AtomicU64,
    /// The last write took long.
    was_slow: AtomicBool,
}

impl AofParts {
    /// Of this set; there is no part yet.
    pub fn new(set: Arc<ReplicaSet>) -> AofParts {
        AofParts {
            set,
            parts: Mutex::default(),
            is_syncing: AtomicBool::new(false),
            is_timed: AtomicBool::new(false),
            slow_until: AtomicU64::new(0),
            was_slow: AtomicBool::new(false),
        }
    }

    /// Whether workers write before they reply, from here on, and whether times are noted.
    pub fn set_mode(&self, workers_write: bool, is_timed: bool, now: MonoUs) {
        self.is_timed.store(is_timed, Relaxed);
        let is_slow = now.0 < self.slow_until.load(Relaxed);
        self.set.set_file_first(workers_write && !is_slow);
    }

    /// The parts, to be given back soon.
    pub fn lock(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock()
    }

    /// Writes what has come to the current part; `None` where there is none.
    pub fn take(&self) -> Option<io::Result<Took>> {
        let timed = self.timed();
        let began = clock::mono_now();
        let taken = self.lock().current.as_mut().map(|it| {
            let took = it.take(timed);
            it.note_written();
            took
        });
        self.note_latency(clock::mono_now().since(began));
        taken
    }

    /// Tells the latency monitor how long a write took.
    fn note_latency(&self, took_us: u64) {
        let latency = &self.set.latency;
        if !latency.is_slow(took_us) {
            return;
        }
        let event = match self.set.walks().0 {
            0 => LatencyEvent::AofWriteAlone,
            _ => LatencyEvent::AofWriteActiveChild,
        };
        let at = clock::wall_now();
        latency.note(event, took_us, at);
        latency.note(LatencyEvent::AofWrite, took_us, at);
    }

    /// Lets the current part outlive a crash of the machine. No worker waits for that. Answers how
    /// many bytes that were.
    pub fn sync(&self) -> io::Result<u64> {
        self.is_syncing.store(true, SeqCst);
        let mut parts = self.lock();
        let synced = parts.current.as_mut().map_or(Ok(0), |it| {
            let bytes = it.unsynced();
            it.sync().map(|()| bytes)
        });
        drop(parts);
        self.is_syncing.store(false, SeqCst);
        synced
    }

    /// Tells everybody up to where the current part is on disk.
    pub fn tell_synced(&self, now: MonoUs) {
        let told = self.lock().current.as_ref().map(StreamPart::synced);
        if let Some((id, synced)) = told {
            self.set.synced_file(id, synced, now);
        }
    }

    /// Bytes of the current part, and those of them that may not be on disk.
    pub fn len(&self) -> (u64, u64) {
        self.lock().current.as_ref().map_or((0, 0), |it| (it.len(), it.unsynced()))
    }

    /// Whether there is a current part.
    pub fn has_part(&self) -> bool {
        self.lock().current.is_some()
    }

    fn timed(&self) -> Option<WallMs> {
        self.is_timed.load(Relaxed).then(clock::wall_now)
    }

    /// The parts, unless they are held for long.
    fn lock_unless_long(&self) -> Option<MutexGuard<'_, Parts>> {
        while !self.is_syncing.load(SeqCst) {
            if let Some(parts) = self.parts.try_lock_for(LOOK_EVERY) {
                return Some(parts);
            }
        }
        None
    }
}

impl FileWriter for AofParts {
    fn write_now(&self) {
        let Some(mut parts) = self.lock_unless_long() else { return };
        let began = clock::mono_now();
        let timed = self.timed();
        let Parts { current, next } = &mut *parts;
        let is_done = [&mut *current, next].into_iter().flatten().all(|part| {
            loop {
                match part.take(timed) {
                    Ok(Took::Some(_)) => {}
                    Ok(Took::All(_)) => break true,
                    Ok(Took::Disconnected) | Err(_) => break false,
                }
            }
        });
        if let Some(part) = current {
            part.note_written();
        }
        drop(parts);
        let now = clock::mono_now();
        let took_us = now.since(began);
        self.note_latency(took_us);
        let was_slow = self.was_slow.swap(SLOW_US < took_us, Relaxed);
        let is_slow = VERY_SLOW_US < took_us || was_slow && SLOW_US < took_us;
        if is_slow {
            self.slow_until.store(now.plus(SLOW_FOR).0, Relaxed);
        }
        if is_slow || !is_done {
            // The thread tries what has failed again, and says what is the matter.
            self.set.set_file_first(false);
            self.set.tell_file();
        }
    }
}
