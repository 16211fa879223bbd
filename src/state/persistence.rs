//! What is being done with files and what came of it, and what is asked of whoever does it.

use crate::base::time::{MonoUs, WallMs};
use crate::metrics::distribution::Distribution;
use crate::metrics::snapshot::DiskUse;
use event_listener::{Event, EventListener};
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// What works beside everything else: one at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Background {
    /// A snapshot.
    Save,
    /// A rewrite of the append-only file.
    Rewrite,
}

/// A load from disk.
#[derive(Clone, Debug)]
pub struct LoadStatus {
    /// The file at hand.
    pub file: String,
    /// When it began.
    pub began: WallMs,
    /// The same, on the other clock.
    pub began_at: MonoUs,
    /// Bytes of all files, and those that have been read.
    pub total: u64,
    /// See [`LoadStatus::total`].
    pub read: u64,
}

/// Snapshots.
#[derive(Clone, Debug)]
pub struct SaveStatus {
    /// Whether the last one was made.
    pub is_ok: bool,
    /// When the last one was made; `None` for never.
    pub last: Option<WallMs>,
    /// When the last one was tried.
    pub tried: Option<MonoUs>,
    /// How long the last one took.
    pub took_us: Option<u64>,
    /// Changes that the last one holds.
    pub changes: u64,
    /// How many were made.
    pub count: u64,
}

/// The append-only file.
#[derive(Clone, Debug, Default)]
pub struct AofStatus {
    /// Whether there is one.
    pub is_on: bool,
    /// Why it cannot be written now.
    pub trouble: Option<String>,
    /// Bytes of all its parts.
    pub bytes: u64,
    /// The same after the last rewrite, or at the start.
    pub bytes_at_rewrite: u64,
    /// Bytes that are written and not known to be on disk.
    pub unsynced: u64,
    /// Whether the last rewrite failed.
    pub has_rewrite_failed: bool,
    /// Rewrites that failed one after another.
    pub failures: u64,
    /// How many were done.
    pub rewrites: u64,
    /// How long the last one took.
    pub rewrite_us: Option<u64>,
    /// How long it took to get it on disk, each time.
    pub fsync_us: Distribution,
    /// Times that took too long.
    pub late_fsyncs: u64,
    /// Times that failed.
    pub failed_fsyncs: u64,
}

/// Where everything stands.
#[derive(Clone, Default)]
pub struct DiskStatus {
    /// The load that is under way.
    pub loading: Option<LoadStatus>,
    /// Keys that the last snapshot had which was loaded, and that had not expired.
    pub keys_loaded: u64,
    /// The others.
    pub keys_expired: u64,
    /// What works now, and since when.
    pub background: Option<(Background, MonoUs)>,
    /// Snapshots.
    pub save: SaveStatus,
    /// The append-only file.
    pub aof: AofStatus,
}

impl DiskStatus {
    /// A snapshot was loaded, from disk or from a master: it had so many keys, of which so many had
    /// expired.
    pub fn load_ended(&mut self, (keys, expired): (u64, u64)) {
        (self.keys_loaded, self.keys_expired) = (keys - expired, expired);
    }
}

/// How far the snapshot has come that is being written.
#[derive(Default)]
pub struct SaveProgress {
    written: AtomicU64,
    total: AtomicU64,
}

impl SaveProgress {
    /// So many of so many keys are written.
    pub fn set(&self, (written, total): (u64, u64)) {
        self.written.store(written, Relaxed);
        self.total.store(total, Relaxed);
    }

    /// See [`SaveProgress::set`].
    pub fn get(&self) -> (u64, u64) {
        (self.written.load(Relaxed), self.total.load(Relaxed))
    }
}

impl Default for SaveStatus {
    fn default() -> SaveStatus {
        SaveStatus { is_ok: true, last: None, tried: None, took_us: None, changes: 0, count: 0 }
    }
}

/// What is asked of whoever writes files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Orders {
    /// A snapshot, as soon as nothing else works.
    pub save: bool,
    /// A rewrite, likewise.
    pub rewrite: bool,
    /// Everything to be on disk, and then nothing more.
    pub finish: bool,
}

/// What is said to a server that is to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EndOrder {
    /// Whether a snapshot is made; as the save points say where nothing is said.
    pub saves: Option<bool>,
    /// Whether it ends though what is to be on disk cannot be written.
    pub is_forced: bool,
}

/// The snapshot that a server leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LastSnapshot {
    /// None is made.
    Unwanted,
    /// It is made when the last client has gone.
    Wanted,
    /// It is there, with so many changes.
    Has(u64),
}

/// Whether the server ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Ending {
    /// Nobody has asked for it.
    #[default]
    No,
    /// The last snapshot is being made.
    Saving,
    /// It is, and SHUTDOWN ABORT has called the end off.
    CalledOff,
    /// It does.
    Decided(LastSnapshot),
}

/// Writes the append-only file.
pub trait FileWriter: Send + Sync {
    /// Writes what the log has, unless that would take long: then it is somebody else's.
    fn write_now(&self);
}

/// Files, for those who do not write them.
#[derive(Default)]
pub struct Persistence {
    writer: OnceLock<Arc<dyn FileWriter>>,
    status: Mutex<DiskStatus>,
    orders: Mutex<Orders>,
    asked: Event,
    finished: Mutex<bool>,
    has_finished: Event,
    ending: Mutex<Ending>,
    /// How far the snapshot has come that works in the background.
    pub progress: Arc<SaveProgress>,
}

impl Persistence {
    /// Who writes the append-only file from here on.
    pub fn put_writer(&self, writer: Arc<dyn FileWriter>) {
        let _ = self.writer.set(writer);
    }

    /// Writes what the log has to the append-only file, before somebody is told of it.
    #[inline(never)]
    pub fn write_now(&self) {
        if let Some(writer) = self.writer.get() {
            writer.write_now();
        }
    }

    /// Where everything stands.
    pub fn status(&self) -> MutexGuard<'_, DiskStatus> {
        self.status.lock()
    }

    /// What the metrics tell of the append-only file.
    pub fn disk_use(&self) -> DiskUse {
        let status = self.status();
        let aof = &status.aof;
        DiskUse {
            fsync_us: aof.fsync_us.clone(),
            failed_fsyncs: aof.failed_fsyncs,
            aof_bytes: aof.bytes,
            aof_grown_bytes: aof.bytes.saturating_sub(aof.bytes_at_rewrite),
        }
    }

    /// Asks for something. Whoever writes files is to be woken afterwards where it follows the log.
    pub fn ask(&self, order: impl FnOnce(&mut Orders)) {
        order(&mut self.orders.lock());
        self.asked.notify(usize::MAX);
    }

    /// What is asked for.
    pub fn orders(&self) -> Orders {
        *self.orders.lock()
    }

    /// Hears of the next order; look at [`Persistence::orders`] after asking for it.
    pub fn next_order(&self) -> EventListener {
        self.asked.listen()
    }

    /// Begins what works beside everything else, unless something does.
    pub fn begin(&self, what: Background, now: MonoUs) -> bool {
        let mut status = self.status.lock();
        let is_free = status.background.is_none();
        if is_free {
            status.background = Some((what, now));
        }
        is_free
    }

    /// Begins what comes before the end, unless somebody else has begun it.
    pub fn begin_ending(&self) -> bool {
        let mut ending = self.ending.lock();
        let is_first = *ending == Ending::No;
        if is_first {
            *ending = Ending::Saving;
        }
        is_first
    }

    /// Whether the server is about to end, or ends.
    pub fn is_ending(&self) -> bool {
        *self.ending.lock() != Ending::No
    }

    /// Calls the end off. Answers whether there was one to call off.
    pub fn call_end_off(&self) -> bool {
        let mut ending = self.ending.lock();
        let may_be = matches!(*ending, Ending::Saving | Ending::CalledOff);
        if may_be {
            *ending = Ending::CalledOff;
        }
        may_be
    }

    /// Whether the end has been called off.
    pub fn is_end_called_off(&self) -> bool {
        *self.ending.lock() == Ending::CalledOff
    }

    /// What came before the end has failed: there is none, unless another order has decided it.
    /// Answers whether there is none.
    pub fn give_end_up(&self) -> bool {
        let mut ending = self.ending.lock();
        let may_be = !matches!(*ending, Ending::Decided(_));
        if may_be {
            *ending = Ending::No;
        }
        may_be
    }

    /// The server ends without a snapshot, whatever was said before.
    pub fn end_without(&self) {
        *self.ending.lock() = Ending::Decided(LastSnapshot::Unwanted);
    }

    /// An end that has been called off goes on all the same: somebody else wants it.
    pub fn insist_on_end(&self) {
        let mut ending = self.ending.lock();
        if *ending == Ending::CalledOff {
            *ending = Ending::Saving;
        }
    }

    /// The server ends, with this snapshot, unless it has been called off; answers whether it does.
    pub fn decide_end(&self, last: LastSnapshot) -> bool {
        let mut ending = self.ending.lock();
        match *ending {
            Ending::CalledOff => return false,
            Ending::Decided(_) => {}
            Ending::No | Ending::Saving => *ending = Ending::Decided(last),
        }
        true
    }

    /// The snapshot that it ends with; `None` while it does not.
    pub fn last_snapshot(&self) -> Option<LastSnapshot> {
        match *self.ending.lock() {
            Ending::Decided(last) => Some(last),
            Ending::No | Ending::Saving | Ending::CalledOff => None,
        }
    }

    /// Everything is on disk that is to be.
    pub fn finish(&self) {
        *self.finished.lock() = true;
        self.has_finished.notify(usize::MAX);
    }

    /// Waits for that.
    pub async fn finished(&self) {
        loop {
            let heard = self.has_finished.listen();
            if *self.finished.lock() {
                return;
            }
            heard.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_begun_once_and_goes_on_unless_it_is_called_off() {
        let files = Persistence::default();
        assert!(!files.is_ending() && !files.call_end_off());
        assert!(files.begin_ending() && !files.begin_ending());
        assert!(files.is_ending() && files.last_snapshot().is_none());
        assert!(files.call_end_off() && files.is_end_called_off() && !files.begin_ending());
        assert!(!files.decide_end(LastSnapshot::Wanted) && files.last_snapshot().is_none());
        assert!(files.give_end_up() && !files.is_ending() && files.begin_ending());
        assert!(files.call_end_off());
        files.insist_on_end();
        assert!(!files.is_end_called_off() && files.decide_end(LastSnapshot::Has(7)));
        assert_eq!(files.last_snapshot(), Some(LastSnapshot::Has(7)));
        assert!(files.is_ending() && !files.call_end_off(), "it is too late");
        files.end_without();
        assert!(files.decide_end(LastSnapshot::Has(8)) && !files.give_end_up());
        assert_eq!(files.last_snapshot(), Some(LastSnapshot::Unwanted));
    }
}
