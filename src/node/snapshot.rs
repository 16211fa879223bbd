//! A snapshot: the keys of a member at one offset, as a file that is made while it is read.
//!
//! ```text
//!  member ──▶ walk ──▶ window of pieces ──▶ readers, each at its own pace
//! ```
//!
//! Nobody is paused: the member is locked to read for one piece at a time, and keeps what is
//! changed before the walk has come to it. [`ReplicaSet::snapshot`](super::ReplicaSet::snapshot)
//! answers a reader; [`SnapshotReader::next`] gives one piece after the other to a task,
//! [`SnapshotReader::wait_for_next`] to a thread of its own. Both answer `None` behind the end, and
//! [`Overtaken`] when the file cannot be completed: then what was read of it is worth nothing, and
//! the follower asks for another snapshot. A reader that is dropped leaves its place; the walk ends
//! with the last one. For a file without a follower there is
//! [`ReplicaSet::snapshot_to_keep`](super::ReplicaSet::snapshot_to_keep).

use super::member::Member;
use super::member_state::MemberFlags;
use crate::base::limits::SNAPSHOT_WINDOW_BYTES;
use crate::base::position::Position;
use crate::engine::Walk;
use crate::engine::rdb::{FileInfo, SnapshotWriter};
use crate::runtime::{lazyfree, steps, tasks};
use bytes::Bytes;
use event_listener::{Event, Listener};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How long a reader waits before it looks again whether somebody still changes the member for
/// long.
const REST: Duration = Duration::from_millis(1);

/// A walk over a member. The member outlives its place in the set for as long.
pub(super) struct MemberWalk {
    pub member: Arc<Member>,
    pub walk: Walk,
    /// How many keys it will find.
    pub keys: u64,
}

impl Drop for MemberWalk {
    fn drop(&mut self) {
        self.member.end_walk(&self.walk);
    }
}

impl Member {
    fn end_walk(&self, walk: &Walk) {
        walk.end();
        self.note_ended_walk();
        self.free_ended_walks();
    }

    /// Frees what was kept for walks that have ended, unless somebody holds the member right now.
    pub fn free_ended_walks(&self) {
        if !self.has_ended_walks() {
            return;
        }
        let Some(mut hosted) = self.hosted.try_write() else { return };
        self.forget_ended_walks();
        hosted.engine.end_walks();
        let gone = std::mem::take(&mut hosted.engine.written_mut().deferred_frees);
        drop(hosted);
        if !gone.is_empty() {
            lazyfree::free_async(gone);
        }
    }
}

/// The file cannot be completed: the member's data has been replaced as a whole, or cannot be
/// trusted any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overtaken;

/// The keys of a member at one offset, as a file that is made while it is read.
pub struct Snapshot {
    at: Position,
    stream_db: Option<usize>,
    keys: u64,
    output: Mutex<Output>,
    /// A reader has taken a piece, or has left.
    news: Event,
}

struct Output {
    writer: SnapshotWriter,
    /// `None` when nothing is taken from the member any more.
    source: Option<MemberWalk>,
    is_overtaken: bool,
    /// The pieces that are at hand, the number of the first, and their bytes.
    pieces: VecDeque<Bytes>,
    first: u64,
    bytes: usize,
    /// Each reader, and the number of its next piece.
    readers: Vec<(u64, u64)>,
    joined: u64,
}

/// What there is for a reader now.
#[derive(Debug)]
pub enum Piece {
    /// These bytes of the file.
    Bytes(Bytes),
    /// Nothing: it has been given all of it.
    End,
    /// Nothing yet, but there may be at once.
    Again,
    /// Nothing yet: somebody changes the member for long.
    Busy,
    /// Nothing before others have read on.
    Ahead,
}

impl Snapshot {
    pub(super) fn new(
        source: MemberWalk,
        at: Position,
        stream_db: Option<usize>,
        info: FileInfo,
    ) -> Snapshot {
        let keys = source.keys;
        let output = Output {
            writer: SnapshotWriter::of_walk(info, source.walk.clone()),
            source: Some(source),
            is_overtaken: false,
            pieces: VecDeque::new(),
            first: 0,
            bytes: 0,
            readers: Vec::new(),
            joined: 0,
        };
        Snapshot { at, stream_db, keys, output: Mutex::new(output), news: Event::new() }
    }

    /// The place in the stream that the keys are as of.
    pub fn at(&self) -> Position {
        self.at
    }

    /// The database that is selected there, unless the stream says it next.
    pub fn stream_db(&self) -> Option<usize> {
        self.stream_db
    }

    /// How many of its keys are written, and how many there are.
    pub fn progress(&self) -> (u64, u64) {
        (self.output.lock().writer.keys(), self.keys)
    }

    /// Another reader; `None` when the beginning of the file is not at hand any more.
    pub(super) fn join(self: &Arc<Self>) -> Option<SnapshotReader> {
        let mut output = self.output.lock();
        if output.first != 0 || output.is_overtaken {
            return None;
        }
        let id = output.joined;
        output.joined += 1;
        output.readers.push((id, 0));
        Some(SnapshotReader { snapshot: self.clone(), id })
    }
}

impl Output {
    fn next(&mut self, reader: u64) -> Result<Piece, Overtaken> {
        if self.is_overtaken {
            return Err(Overtaken);
        }
        let place = |it: &&mut (u64, u64)| it.0 == reader;
        let number = self.readers.iter_mut().find(place).expect("it has not left");
        if let Some(piece) = self.pieces.get((number.1 - self.first) as usize) {
            number.1 += 1;
            return Ok(Piece::Bytes(piece.clone()));
        }
        if self.source.is_none() {
            return Ok(Piece::End);
        }
        self.let_go();
        if SNAPSHOT_WINDOW_BYTES <= self.bytes {
            return Ok(Piece::Ahead);
        }
        self.make()
    }

    /// Makes the next piece, for whoever comes next.
    fn make(&mut self) -> Result<Piece, Overtaken> {
        let Some(MemberWalk { member, walk, .. }) = &self.source else { return Ok(Piece::Again) };
        let Some(hosted) = member.read_unless_long() else { return Ok(Piece::Busy) };
        if !hosted.engine.has_walk(walk) || member.is(MemberFlags::QUARANTINED) {
            drop(hosted);
            self.is_overtaken = true;
            self.source = None;
            return Err(Overtaken);
        }
        let piece = self.writer.next_piece(&hosted.engine);
        drop(hosted);
        match piece {
            None => self.source = None,
            Some([]) => {}
            Some(bytes) => {
                self.bytes += bytes.len();
                self.pieces.push_back(Bytes::copy_from_slice(bytes));
            }
        }
        let over = self.writer.take_over();
        if !over.is_empty() {
            lazyfree::free_async(over);
        }
        Ok(Piece::Again)
    }

    /// Lets go of pieces that all readers have, if there is no room for more.
    fn let_go(&mut self) {
        let slowest = self.readers.iter().map(|it| it.1).min().unwrap_or(u64::MAX);
        while SNAPSHOT_WINDOW_BYTES <= self.bytes && self.first < slowest {
            let Some(piece) = self.pieces.pop_front() else { return };
            self.first += 1;
            self.bytes -= piece.len();
        }
    }
}

/// One who reads a snapshot. Dropped, it leaves its place.
pub struct SnapshotReader {
    snapshot: Arc<Snapshot>,
    id: u64,
}

impl SnapshotReader {
    /// What is read.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What there is now. It takes as long as a piece is made.
    pub fn look(&self) -> Result<Piece, Overtaken> {
        let piece = self.snapshot.output.lock().next(self.id);
        if !matches!(piece, Ok(Piece::Ahead | Piece::Busy | Piece::Again)) {
            self.snapshot.news.notify(usize::MAX);
        }
        piece
    }

    /// The next piece of the file, `None` behind its end.
    pub async fn next(&self) -> Result<Option<Bytes>, Overtaken> {
        loop {
            let news = self.snapshot.news.listen();
            match self.look()? {
                Piece::Bytes(bytes) => return Ok(Some(bytes)),
                Piece::End => return Ok(None),
                Piece::Again => tasks::give_way().await,
                Piece::Busy => tasks::sleep(REST).await,
                Piece::Ahead => news.await,
            }
        }
    }

    /// As [`SnapshotReader::next`], for a thread that may wait.
    pub fn wait_for_next(&self) -> Result<Option<Bytes>, Overtaken> {
        loop {
            let news = self.snapshot.news.listen();
            match self.look()? {
                Piece::Bytes(bytes) => return Ok(Some(bytes)),
                Piece::End => return Ok(None),
                Piece::Again => {}
                Piece::Busy => steps::rest(REST),
                Piece::Ahead => news.wait(),
            }
        }
    }

    /// Bytes that the member keeps for the walk, if this is the reader that others wait for: its
    /// limit counts for them.
    pub fn kept_bytes(&self) -> usize {
        let output = self.snapshot.output.lock();
        let place = |it: &&(u64, u64)| it.0 == self.id;
        let own = output.readers.iter().find(place).map_or(0, |it| it.1);
        if output.readers.iter().any(|it| it.1 < own) {
            return 0;
        }
        output.source.as_ref().map_or(0, |it| it.walk.kept_bytes())
    }
}

impl Drop for SnapshotReader {
    fn drop(&mut self) {
        let mut output = self.snapshot.output.lock();
        output.readers.retain(|it| it.0 != self.id);
        if output.readers.is_empty() {
            // Nobody can join any more, and nothing more is made.
            output.is_overtaken = true;
            let (source, left) = (output.source.take(), output.writer.give_up());
            drop(output);
            drop(source);
            if !left.is_empty() {
                lazyfree::free_async(left);
            }
            return;
        }
        drop(output);
        self.snapshot.news.notify(usize::MAX);
    }
}

#[cfg(test)]
mod tests;
