//! Writes a whole engine as an RDB file, piece by piece.

use super::save::save_behind;
use super::save_steps::{self, Place};
use super::version::VERSION;
use super::{Checksum, Writer, opcode};
use crate::base::limits::DATABASES;
use crate::engine::table::Slot;
use crate::engine::{Engine, KeySlot};

/// Longest piece.
pub const PIECE_BYTES: usize = 64 << 10;
/// Keys that are walked over together.
const BATCH: usize = 64;
const POINTER_BITS: &str = "64";

/// What a file says beside the keys.
#[derive(Clone, Debug)]
pub struct FileInfo {
    /// The Redis that it says it comes from.
    pub redis_version: &'static str,
    /// When it was made, in s since 1970.
    pub made_s: u64,
    /// Memory in use when it was made.
    pub used_bytes: u64,
    /// The position at which the keys were as they are here.
    pub replication: Option<ReplicationInfo>,
    /// Whether it is the base of an append-only file.
    pub is_aof_base: bool,
}

/// A position in a replication stream.
#[derive(Clone, Debug)]
pub struct ReplicationInfo {
    /// The database that the stream has selected last; none before its first write.
    pub stream_db: Option<usize>,
    /// The id of the history, as it is spelled.
    pub id: String,
    /// The offset.
    pub offset: u64,
}

enum Stage {
    Head(Box<FileInfo>),
    Keys,
    Done,
}

/// An engine being written. Its place is a cursor and holds nothing of the engine: pieces may be
/// taken one by one under a lock, or from a copy.
///
/// **What it needs:** every piece is taken of the same engine, and nothing has changed in it since
/// the first: no key, value or deadline, and no layout. A change goes unnoticed here and may make a
/// file that nobody can load. A frozen member or a copy of one is such an engine.
///
/// It takes as much memory as a piece and the longest key, or the longest small value that is
/// stored in one allocation. Keys that have expired are written too.
pub struct SnapshotWriter {
    stage: Stage,
    db: usize,
    /// Whether the file says already that it goes on with this database.
    is_selected: bool,
    /// The hash to go on from, and how many keys from there on are written.
    from: u32,
    batched: usize,
    /// How far the value at hand is written.
    value: Option<Place>,
    ready: Writer,
    handed: usize,
    sum: Checksum,
}

impl SnapshotWriter {
    /// Before the first byte.
    pub fn new(info: FileInfo) -> SnapshotWriter {
        SnapshotWriter {
            stage: Stage::Head(Box::new(info)),
            db: 0,
            is_selected: false,
            from: 0,
            batched: 0,
            value: None,
            ready: Writer::default(),
            handed: 0,
            sum: Checksum::default(),
        }
    }

    /// The next bytes of the file, at most [`PIECE_BYTES`]; `None` behind its end.
    pub fn next_piece(&mut self, engine: &Engine) -> Option<&[u8]> {
        if self.handed == self.ready.len() {
            self.ready.clear(2 * PIECE_BYTES);
            self.handed = 0;
            self.make_ready(engine);
        }
        let rest = &self.ready.bytes()[self.handed..];
        let piece = &rest[..rest.len().min(PIECE_BYTES)];
        self.handed += piece.len();
        (!piece.is_empty()).then_some(piece)
    }

    /// Whether the whole file has been taken.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done) && self.handed == self.ready.len()
    }

    fn make_ready(&mut self, engine: &Engine) {
        if let Stage::Done = self.stage {
            return;
        }
        if let Stage::Head(info) = std::mem::replace(&mut self.stage, Stage::Keys) {
            write_head(&info, &mut self.ready);
        }
        while self.db < DATABASES && self.ready.len() < PIECE_BYTES {
            if self.write_keys(engine) {
                (self.db, self.from, self.batched) = (self.db + 1, 0, 0);
                self.is_selected = false;
            }
        }
        if self.db < DATABASES {
            return self.sum.update(self.ready.bytes());
        }
        self.ready.byte(opcode::EOF);
        self.sum.update(self.ready.bytes());
        self.ready.raw(&self.sum.get().to_le_bytes());
        self.stage = Stage::Done;
    }

    /// Goes on with the keys of a database until a piece is full. Answers whether they are all
    /// written.
    fn write_keys(&mut self, engine: &Engine) -> bool {
        let space = engine.space(self.db);
        if space.is_empty() {
            return true;
        }
        if !self.is_selected {
            self.is_selected = true;
            self.ready.byte(opcode::SELECT_DB);
            self.ready.length(self.db);
            self.ready.byte(opcode::RESIZE_DB);
            self.ready.length(space.len());
            self.ready.length(space.with_deadline());
        }
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let next = space.table().scan(self.from, BATCH, |slot| batch.push(slot));
            for slot in batch.drain(..).skip(self.batched) {
                if PIECE_BYTES <= self.ready.len() || !self.write_entry(slot) {
                    return false;
                }
                self.batched += 1;
            }
            match next {
                Some(next) => (self.from, self.batched) = (next, 0),
                None => return true,
            }
        }
    }

    /// Goes on with an entry. Answers whether it is whole.
    fn write_entry(&mut self, slot: &KeySlot) -> bool {
        let out = &mut self.ready;
        if self.value.is_none() {
            if let Some(at) = slot.deadline() {
                out.byte(opcode::EXPIRE_MS);
                out.raw(&at.0.to_le_bytes());
            }
            let head = |form: u8, out: &mut Writer| {
                out.byte(form);
                out.string(slot.key());
            };
            if !save_steps::is_large(slot) {
                save_behind(slot, out, head);
                return true;
            }
            head(save_steps::form_of(slot), out);
        }
        let place = self.value.get_or_insert_default();
        let is_whole = save_steps::write(slot, place, out, PIECE_BYTES);
        if is_whole {
            self.value = None;
        }
        is_whole
    }
}

fn write_head(info: &FileInfo, out: &mut Writer) {
    out.raw(format!("REDIS{VERSION:04}").as_bytes());
    let mut aux = |name: &str, text: &str| {
        out.byte(opcode::AUX);
        out.string(name.as_bytes());
        out.string(text.as_bytes());
    };
    aux("redis-ver", info.redis_version);
    aux("redis-bits", POINTER_BITS);
    aux("ctime", &info.made_s.to_string());
    aux("used-mem", &info.used_bytes.to_string());
    if let Some(replication) = &info.replication {
        if let Some(db) = replication.stream_db {
            aux("repl-stream-db", &db.to_string());
        }
        aux("repl-id", &replication.id);
        aux("repl-offset", &replication.offset.to_string());
    }
    aux("aof-base", if info.is_aof_base { "1" } else { "0" });
}
