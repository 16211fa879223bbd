//! A part of the append-only file: the stream from one position on, byte for byte.

use crate::base::limits::WIRE_CHUNK_BYTES;
use crate::base::position::{Offset, Position, ReplId};
use crate::base::time::WallMs;
use crate::node::{Next, ReplicaSet};
use crate::persist::{end_note, position_note, time_note};
use crate::replication::FollowerId;
use crate::resp::encode_command;
use crate::runtime::disk::{Disk, DiskFile};
use std::io;
use std::sync::Arc;

/// Bytes that are gathered before they are written.
const GATHERED_BYTES_MAX: usize = 1 << 20;

/// What came of a look at the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Took {
    /// So many bytes were written, and there is nothing more now.
    All(usize),
    /// There is more.
    Some(usize),
    /// The log sends it nothing any more.
    Disconnected,
}

impl Took {
    /// Whether there is more; a part that follows no longer is a failure.
    pub fn is_some(self) -> io::Result<bool> {
        match self {
            Took::All(_) => Ok(false),
            Took::Some(_) => Ok(true),
            Took::Disconnected => Err(io::Error::other("the data has been replaced meanwhile")),
        }
    }
}

/// A part that follows the log. Dropped, it does so no longer.
pub struct StreamPart {
    set: Arc<ReplicaSet>,
    id: FollowerId,
    replid: ReplId,
    file: Box<dyn DiskFile>,
    /// Bytes of the file that are whole, and what is to be written behind them.
    len: u64,
    unwritten: Vec<u8>,
    /// Bytes of the file that are on disk.
    synced_len: u64,
    /// Where in the stream what was taken ends, and up to where it is on disk.
    taken: Offset,
    synced: Offset,
    /// What was taken ends where a write ends.
    is_between: bool,
    /// The history goes on under another name, which the file does not say yet.
    is_renamed: bool,
    noted_s: u64,
    /// What is in the file cannot be trusted.
    is_broken: bool,
}

impl Drop for StreamPart {
    fn drop(&mut self) {
        self.set.remove_follower(self.id);
    }
}

impl StreamPart {
    /// A file that begins at this position, where `db` is selected unless the stream says it next.
    /// From here on the follower is the part's to remove.
    pub fn begin(
        set: Arc<ReplicaSet>,
        id: FollowerId,
        at: Position,
        db: Option<usize>,
        disk: &dyn Disk,
        name: &str,
    ) -> io::Result<StreamPart> {
        let file = disk.create(name);
        let mut unwritten = Vec::new();
        if let Some(db) = db {
            // It is no part of the stream: what counts begins behind the note.
            let words: [&[u8]; 2] = [b"SELECT", &db.to_string().into_bytes()];
            encode_command(&mut unwritten, words.into_iter());
        }
        unwritten.extend_from_slice(position_note(at).as_bytes());
        let file = match file {
            Ok(file) => file,
            Err(why) => {
                set.remove_follower(id);
                return Err(why);
            }
        };
        let mut part = StreamPart {
            set,
            id,
            replid: at.replid,
            file,
            len: 0,
            unwritten,
            synced_len: 0,
            taken: at.offset,
            synced: at.offset,
            is_between: true,
            is_renamed: false,
            noted_s: 0,
            is_broken: false,
        };
        part.write()?;
        Ok(part)
    }

    /// Writes what the stream has gained. `timed` is the time to note, if times are noted. After a
    /// failure what was not written is kept, and the next try begins behind what is whole.
    pub fn take(&mut self, timed: Option<WallMs>) -> io::Result<Took> {
        let before = self.taken;
        let mut has_more = true;
        while self.unwritten.len() < GATHERED_BYTES_MAX {
            match self.set.next_for_wire(self.id, self.replid, WIRE_CHUNK_BYTES) {
                Next::Bytes(bytes) => {
                    self.note_before(timed);
                    self.unwritten.extend_from_slice(&bytes);
                    self.taken = self.taken.after(bytes.len());
                    self.is_between = false;
                }
                Next::Nothing => {
                    (self.is_between, has_more) = (true, false);
                    break;
                }
                Next::Renamed => {
                    self.replid = self.set.history().replid;
                    self.is_renamed = true;
                }
                Next::Disconnected(_) => return Ok(Took::Disconnected),
            }
        }
        self.write()?;
        let count = self.taken.since(before) as usize;
        Ok(if has_more { Took::Some(count) } else { Took::All(count) })
    }

    /// Writes all that the stream has.
    pub fn take_all(&mut self) -> io::Result<()> {
        while self.take(None)?.is_some()? {}
        Ok(())
    }

    /// Up to where it has taken the stream.
    pub fn taken(&self) -> Offset {
        self.taken
    }

    /// Says behind all that was taken where it ends, for another process that goes on with it.
    pub fn note_end(&mut self, db: Option<usize>) -> io::Result<()> {
        let at = Position { replid: self.replid, offset: self.taken };
        self.unwritten.extend_from_slice(end_note(at, db).as_bytes());
        self.write()
    }

    /// Notes go in between writes, never into one.
    fn note_before(&mut self, timed: Option<WallMs>) {
        if !self.is_between {
            return;
        }
        if std::mem::take(&mut self.is_renamed) {
            let at = Position { replid: self.replid, offset: self.taken };
            self.unwritten.extend_from_slice(position_note(at).as_bytes());
        }
        let Some(now_s) = timed.map(|it| it.0 / 1000).filter(|it| *it != self.noted_s) else {
            return;
        };
        self.noted_s = now_s;
        self.unwritten.extend_from_slice(time_note(now_s).as_bytes());
    }

    fn write(&mut self) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        if let Err(why) = self.file.write(&self.unwritten) {
            // Nothing may be twice in it.
            self.is_broken |= self.file.cut(self.len).is_err();
            return Err(why);
        }
        self.len += self.unwritten.len() as u64;
        self.unwritten.clear();
        self.unwritten.shrink_to(2 * GATHERED_BYTES_MAX);
        Ok(())
    }

    /// Lets all that was written outlive a crash of the machine. After a failure the part is of no
    /// use.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync().inspect_err(|_| self.is_broken = true)?;
        self.synced_len = self.len;
        if self.unwritten.is_empty() {
            self.synced = self.taken;
        }
        Ok(())
    }

    /// Whether it is of no use any more: an fsync has failed, or what was written in part cannot be
    /// cut off.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whose part of the log it is, and up to where that is on disk.
    pub fn synced(&self) -> (FollowerId, Offset) {
        (self.id, self.synced)
    }

    /// It is the part that counts: what it has is what the file has.
    pub fn note_written(&self) {
        if self.unwritten.is_empty() {
            self.set.note_written(self.taken);
        }
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of the file that may not be on disk.
    pub fn unsynced(&self) -> u64 {
        self.len - self.synced_len
    }
}
