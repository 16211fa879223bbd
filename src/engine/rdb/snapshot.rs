//! Writes a whole engine as an RDB file, piece by piece.

use super::save::save_behind;
use super::save_steps::{self, Place};
use super::version::{VALKEY_VERSION, VERSION};
use super::{Checksum, Writer, functions, opcode};
use crate::base::limits::DATABASES;
use crate::engine::table::Slot;
use crate::engine::{END, Engine, KeySlot, TakenEntry, Walk, Walked, after};
use std::collections::VecDeque;

/// Longest piece.
pub const PIECE_BYTES: usize = 64 << 10;
/// Places that a walk looks at for one piece: what it holds the member for has a bound.
const PLACES: usize = if cfg!(test) { 7 } else { 1024 };
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

/// An engine being written, as it is or as a walk finds it. Its place is a hash and holds nothing
/// of the engine: pieces are taken one by one, each under a lock of its own.
///
/// **What it needs:** every piece is taken of the same engine. With [`SnapshotWriter::new`] nothing
/// may have changed in it since the first: no key, value or deadline, and no layout. With
/// [`SnapshotWriter::of_walk`] anything may, as long as the walk is under way there; the file is of
/// the moment when it began.
///
/// It takes as much memory as a piece and the longest key, or the longest small value that is
/// stored in one allocation. Keys that have expired are written too.
pub struct SnapshotWriter {
    stage: Stage,
    walk: Option<Walk>,
    db: usize,
    /// Whether the file says already that it goes on with this database.
    is_selected: bool,
    /// The hash to go on from.
    from: u64,
    /// Large values at that hash that are not written yet; all else there is.
    large: VecDeque<LargeValue>,
    ready: Writer,
    handed: usize,
    sum: Checksum,
    /// Values that were kept for the walk, and are written.
    over: Vec<TakenEntry>,
    /// Keys that are written.
    keys: u64,
}

/// A value that is being written in steps.
struct LargeValue {
    hash: u32,
    key: Box<[u8]>,
    /// The entry, once somebody wanted to change it: before, it is where it was.
    kept: Option<TakenEntry>,
    place: Option<Place>,
}

impl SnapshotWriter {
    /// Before the first byte of an engine in which nothing changes.
    pub fn new(info: FileInfo) -> SnapshotWriter {
        SnapshotWriter::starting(info, None)
    }

    /// Before the first byte of what a walk finds.
    pub fn of_walk(info: FileInfo, walk: Walk) -> SnapshotWriter {
        SnapshotWriter::starting(info, Some(walk))
    }

    fn starting(info: FileInfo, walk: Option<Walk>) -> SnapshotWriter {
        SnapshotWriter {
            stage: Stage::Head(Box::new(info)),
            walk,
            db: 0,
            is_selected: false,
            from: 0,
            large: VecDeque::new(),
            ready: Writer::default(),
            handed: 0,
            sum: Checksum::default(),
            over: Vec::new(),
            keys: 0,
        }
    }

    /// The next bytes of the file, at most [`PIECE_BYTES`]; `None` behind its end. None of a walk's
    /// pieces takes long: where it finds much that is of no concern to it, a piece may be empty.
    pub fn next_piece(&mut self, engine: &Engine) -> Option<&[u8]> {
        if self.handed == self.ready.len() {
            if let Stage::Done = self.stage {
                return None;
            }
            self.ready.clear(2 * PIECE_BYTES);
            self.handed = 0;
            self.make_ready(engine);
        }
        let rest = &self.ready.bytes()[self.handed..];
        let piece = &rest[..rest.len().min(PIECE_BYTES)];
        self.handed += piece.len();
        Some(piece)
    }

    /// Whether the whole file has been taken.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done) && self.handed == self.ready.len()
    }

    /// Keys that have been written so far.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// Values that were kept for the walk and are not needed any more: dropping them may take long.
    pub fn take_over(&mut self) -> Vec<TakenEntry> {
        std::mem::take(&mut self.over)
    }

    /// As [`SnapshotWriter::take_over`], when the file will not be completed.
    pub fn give_up(&mut self) -> Vec<TakenEntry> {
        self.over.extend(self.large.drain(..).filter_map(|it| it.kept));
        self.take_over()
    }

    fn make_ready(&mut self, engine: &Engine) {
        if let Stage::Head(info) = std::mem::replace(&mut self.stage, Stage::Keys) {
            write_head(&info, self.has_timed_hashes(engine), &mut self.ready);
            let libraries = self.walk.as_ref().map_or(engine.libraries(), Walk::libraries);
            functions::write(libraries, &mut self.ready);
        }
        let mut places = PLACES;
        while self.db < DATABASES && self.ready.len() < PIECE_BYTES && places != 0 {
            if self.write_keys(engine, &mut places) {
                (self.db, self.from) = (self.db + 1, 0);
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

    /// Whether it will hold hashes in a form that only Valkey has.
    fn has_timed_hashes(&self, engine: &Engine) -> bool {
        (0..DATABASES)
            .any(|db| self.database(engine, db).is_some_and(|it| it.counts().timed_hashes != 0))
    }

    /// A database as it is to be written; `None` when it holds nothing.
    fn database<'e>(&self, engine: &'e Engine, db: usize) -> Option<Walked<'e>> {
        match &self.walk {
            Some(walk) => engine.walked(walk, db),
            None => Some(Walked::unchanging(engine.space(db))).filter(|it| it.counts().keys != 0),
        }
    }

    /// Goes on with the keys of a database until a piece is full. Answers whether they are all
    /// written.
    fn write_keys(&mut self, engine: &Engine, places: &mut usize) -> bool {
        let Some(mut keys) = self.database(engine, self.db) else { return true };
        if !self.is_selected {
            self.is_selected = true;
            self.ready.byte(opcode::SELECT_DB);
            self.ready.length(self.db);
            self.ready.byte(opcode::RESIZE_DB);
            let counts = keys.counts();
            self.ready.length(counts.keys);
            self.ready.length(counts.with_deadline);
        }
        let is_done = loop {
            if !self.write_large(&mut keys) {
                break false;
            }
            if END <= self.from {
                break true;
            }
            if PIECE_BYTES <= self.ready.len() || *places == 0 {
                break false;
            }
            self.write_small(&keys, places);
        };
        // Large values among them have been taken out before.
        drop(keys.pass(self.from));
        is_done
    }

    /// Goes on with the large values at hand. Answers whether they are whole.
    fn write_large(&mut self, keys: &mut Walked<'_>) -> bool {
        while let Some(value) = self.large.front_mut() {
            if PIECE_BYTES <= self.ready.len() {
                return false;
            }
            if value.kept.is_none() {
                value.kept = keys.take_kept(value.hash, &value.key);
            }
            let kept = value.kept.as_ref().map(TakenEntry::slot);
            let slot = kept.or_else(|| keys.there(value.hash, &value.key));
            let slot = slot.expect("it is kept before it changes");
            let place = value.place.get_or_insert_with(|| {
                write_key(slot, save_steps::form_of(slot), &mut self.ready);
                Place::default()
            });
            if !save_steps::write(slot, place, &mut self.ready, PIECE_BYTES) {
                return false;
            }
            let Some(value) = self.large.pop_front() else { return true };
            self.keys += 1;
            self.over.extend(value.kept);
            if self.large.is_empty() {
                self.from = after(value.hash);
            }
        }
        true
    }

    /// Writes the small values of all keys of one hash after the other, until a piece is full or
    /// there are large ones at a hash.
    fn write_small(&mut self, keys: &Walked<'_>, places: &mut usize) {
        let mut at = None;
        for stop in keys.onward(self.from) {
            if let Some(at) = at.filter(|at| *at != stop.hash) {
                if !self.large.is_empty() {
                    self.from = u64::from(at);
                    return;
                }
                if PIECE_BYTES <= self.ready.len() || *places == 0 {
                    self.from = after(at);
                    return;
                }
            }
            at = Some(stop.hash);
            if self.walk.is_some() {
                *places = places.saturating_sub(1);
            }
            let Some(slot) = stop.slot else { continue };
            if save_steps::is_large(slot) {
                let (hash, key) = (stop.hash, slot.key().into());
                self.large.push_back(LargeValue { hash, key, kept: None, place: None });
                continue;
            }
            let head = |form: u8, out: &mut Writer| write_key(slot, form, out);
            save_behind(slot, &mut self.ready, head);
            self.keys += 1;
        }
        self.from = match at {
            Some(at) if !self.large.is_empty() => u64::from(at),
            _ => END,
        };
    }
}

fn write_deadline(slot: &KeySlot, out: &mut Writer) {
    if let Some(at) = slot.deadline() {
        out.byte(opcode::EXPIRE_MS);
        out.raw(&at.0.to_le_bytes());
    }
}

fn write_key(slot: &KeySlot, form: u8, out: &mut Writer) {
    write_deadline(slot, out);
    out.byte(form);
    out.string(slot.key());
}

fn write_head(info: &FileInfo, has_timed_hashes: bool, out: &mut Writer) {
    out.raw(
        match has_timed_hashes {
            true => format!("VALKEY{VALKEY_VERSION:03}"),
            false => format!("REDIS{VERSION:04}"),
        }
        .as_bytes(),
    );
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
