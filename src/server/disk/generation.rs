//! A new generation of the append-only file: a base of what is in memory, and what is written from
//! there on. A rewrite makes one, and so does whoever cannot trust the old one any more.
//!
//! ```text
//!   snapshot at P ──▶ temp base ──────────▶ synced ──▶ renamed
//!   stream from P ──▶ temp incr ─ … ─ … ──▶ synced ──▶ renamed ──▶ the manifest names both
//!                                                                  and neither of the old ones
//! ```
//!
//! The old generation is whole until the manifest names the new one: a crash at any time finds one
//! of the two.

use super::snapshot_file::Cut;
use super::stream_part::StreamPart;
use crate::node::ReplicaSet;
use crate::persist::{AofNames, Part};
use crate::runtime::disk::Disk;
use crate::state::SaveProgress;
use std::io;
use std::sync::Arc;

/// Its two parts, whole and on disk, but not named by the manifest yet.
pub struct Generation {
    /// The base.
    pub base: Part,
    /// Bytes of the base.
    pub base_bytes: u64,
    /// What is written from there on.
    pub incr: Part,
    /// The same, as it follows the log.
    pub part: StreamPart,
}

/// What makes one.
pub struct Maker {
    /// The set.
    pub set: Arc<ReplicaSet>,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The directory of the parts.
    pub dir: String,
    /// Their names.
    pub names: AofNames,
    /// The numbers of the two.
    pub seqs: (u64, u64),
    /// Who is told how far the base has come.
    pub progress: Arc<SaveProgress>,
}

impl Maker {
    /// Makes it. Takes as long as it takes: not for a worker.
    pub fn make(&self) -> io::Result<Generation> {
        let (base, incr) = (self.names.base(self.seqs.0), self.names.incr(self.seqs.1));
        let made = self.make_parts(&base, &incr);
        if made.is_err() {
            for part in [&base, &incr] {
                let _ = self.disk.remove(&self.path(&self.names.temporary(&part.name)));
                let _ = self.disk.remove(&self.path(&part.name));
            }
        }
        made
    }

    fn make_parts(&self, base: &Part, incr: &Part) -> io::Result<Generation> {
        let temporary = |it: &Part| self.path(&self.names.temporary(&it.name));
        let (disk, set) = (&*self.disk, &self.set);
        let id = set.add_file(self.names.single());
        let cut = Cut::of(set, Some(id));
        let (at, db) = (cut.at(), cut.stream_db());
        let mut part = StreamPart::begin(set.clone(), id, at, db, disk, &temporary(incr))?;
        set.online_file(id);
        let base_bytes = cut.write(disk, &temporary(base), || {
            self.progress.set(cut.progress());
            follow(&mut part)
        })?;
        drop(cut);
        follow(&mut part)?;
        part.sync()?;
        for part in [base, incr] {
            disk.rename(&temporary(part), &self.path(&part.name))?;
        }
        disk.sync_dir(&self.dir)?;
        Ok(Generation { base: base.clone(), base_bytes, incr: incr.clone(), part })
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }
}

/// Takes what has come: little waits in memory, however long the base takes.
fn follow(part: &mut StreamPart) -> io::Result<()> {
    part.take(None)?.is_some().map(drop)
}
