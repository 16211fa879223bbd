//! Reads a whole RDB file into an engine, as its bytes come.
//!
//! ```text
//! Magic ──▶ Opcode ─────────────────────────────▶ Checksum ──▶ Done
//!            ▲  ├──▶ Value ──▶ Part (many bytes)
//!            │  ├──▶ Stream    │
//!            └──┴──────┴───────┴──▶ Text (a long string)
//! ```

use super::extent::{Extent, Head, Reach, head, reach};
use super::layout::{Layout, Part};
use super::load::{Loaded, load_as};
use super::long_text::LongText;
use super::opcode;
use super::partial::Partial;
use super::stream::StreamLoader;
use super::version::{CHECKSUM_SINCE, FILE_VERSION_MAX, VALKEY_VERSION};
use super::{Checksum, FileFault, Reader, Why, form, functions};
use crate::base::limits::{ADOPTED_BYTES_MIN, DATABASES};
use crate::base::time::WallMs;
use crate::engine::table::Slot;
use crate::engine::{Collection, Engine, Form, KeySlot, Value};
use crate::script::Policy;
use bytes::Bytes;
use std::collections::VecDeque;
use triomphe::Arc;

/// Bytes that are looked at together, at least.
const CHUNK_BYTES: usize = 64 << 10;
/// A collection of more bytes is not gathered before it is made.
const GATHERED_BYTES_MAX: usize = 1 << 20;
/// Fields beside the keys that are kept, and the most bytes of each.
const AUX_FIELDS_MAX: usize = 64;
const AUX_BYTES_MAX: usize = 1 << 10;
/// Keys whose places in the table are being fetched while what follows them is understood.
const AHEAD: usize = 8;
const MAGIC_BYTES: usize = 9;
const CHECKSUM_BYTES: usize = 8;

/// What a file held.
pub struct LoadedFile {
    /// Its keys. What has expired is among them.
    pub engine: Engine,
    /// Its version.
    pub version: u16,
    /// What stood beside the keys, as it was written: `redis-ver`, `repl-id` and so on. The first
    /// fields that are short.
    pub aux: Vec<(Vec<u8>, Vec<u8>)>,
    /// How many keys there are, and how many of them had expired.
    pub keys: u64,
    /// See [`LoadedFile::keys`].
    pub expired: u64,
}

impl LoadedFile {
    /// The text of a field beside the keys.
    pub fn aux(&self, name: &str) -> Option<&[u8]> {
        let found = self.aux.iter().find(|(it, _)| it == name.as_bytes());
        found.map(|(_, text)| text.as_slice())
    }
}

enum Stage {
    Magic,
    Opcode,
    Value(Layout, Extent),
    Part(Layout, Box<Partial>),
    Stream(Box<StreamLoader>),
    Text(LongText),
    Checksum(u64),
    Done,
    Failed(Box<FileFault>),
}

/// What stands before a value.
#[derive(Default)]
struct Entry {
    form: u8,
    /// Whether what comes now is of this key.
    is_open: bool,
    key: Vec<u8>,
    deadline: Option<WallMs>,
    idle_s: u64,
    /// How often it is used, if the file says it.
    freq: Option<u8>,
}

impl Entry {
    /// The next key begins.
    fn end(&mut self) {
        (self.deadline, self.idle_s, self.freq, self.is_open) = (None, 0, None, false);
    }
}

/// A key on its way into the table, and where its value stands.
struct OnItsWay {
    slot: KeySlot,
    db: usize,
    at: u64,
}

/// The way of the bytes that have come.
enum Step {
    /// So many have been understood.
    Took(usize),
    /// There must be so many of them.
    Wants(usize),
}

/// A file being read. It holds the keys so far, a part of a value that is not whole yet, and
/// nothing else: a value's bytes are at most [`GATHERED_BYTES_MAX`], or one element, or one string
/// in the memory in which it will stay.
pub struct Loader {
    engine: Engine,
    now: WallMs,
    version: u16,
    aux: Vec<(Vec<u8>, Vec<u8>)>,
    db: usize,
    entry: Entry,
    stage: Stage,
    /// Bytes that have come and have not been understood yet, and how many of them must be there.
    held: Vec<u8>,
    wanted: usize,
    /// Bytes of the file before those.
    at: u64,
    sum: Checksum,
    scratch: Vec<u8>,
    /// Where the step at hand began.
    step_at: u64,
    on_their_way: VecDeque<OnItsWay>,
    /// Where a key that was there before stands, and what it is.
    duplicate: Option<(u64, Vec<u8>)>,
    keys: u64,
    expired: u64,
}

impl Loader {
    /// Into an engine without keys. Keys count as used at `now`, or as long ago as the file says.
    pub fn new(engine: Engine, now: WallMs) -> Loader {
        Loader {
            engine,
            now,
            version: 0,
            aux: Vec::new(),
            db: 0,
            entry: Entry::default(),
            stage: Stage::Magic,
            held: Vec::new(),
            wanted: 0,
            at: 0,
            sum: Checksum::default(),
            scratch: Vec::new(),
            step_at: 0,
            on_their_way: VecDeque::with_capacity(AHEAD + 1),
            duplicate: None,
            keys: 0,
            expired: 0,
        }
    }

    /// Takes the next bytes, in pieces of any size. Answers how many of them belong to the file:
    /// all, unless it has come to its end. After a fault there is only that fault.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, FileFault> {
        let mut rest = bytes;
        while !rest.is_empty() && !self.is_done() {
            if let Stage::Failed(fault) = &self.stage {
                return Err(FileFault::clone(fault));
            }
            let taken = match &mut self.stage {
                // Without a way over the bytes that are held.
                Stage::Text(text) if text.is_raw() && self.held.is_empty() => {
                    let taken = match text.take(rest) {
                        Ok(Reach::Whole(taken) | Reach::Wants(taken)) => taken,
                        Err(broken) => return Err(self.fail(broken.into(), 0)),
                    };
                    self.sum.update(&rest[..taken]);
                    self.at += taken as u64;
                    taken
                }
                _ => {
                    let room = self.wanted.saturating_sub(self.held.len()).max(CHUNK_BYTES);
                    let taken = rest.len().min(room);
                    self.held.extend_from_slice(&rest[..taken]);
                    taken
                }
            };
            rest = &rest[taken..];
            self.understand()?;
        }
        // What is held at the end has just come, or it would have been understood before.
        let behind = if self.is_done() { std::mem::take(&mut self.held).len() } else { 0 };
        Ok(bytes.len() - rest.len() - behind)
    }

    /// Whether the file has come to its end.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Bytes of the file that have been understood.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Memory that it takes beside the keys, roughly.
    pub fn held_bytes(&self) -> usize {
        self.held.capacity() + self.scratch.capacity() + self.entry.key.capacity()
    }

    /// What the file held, after its end.
    pub fn finish(mut self) -> Result<LoadedFile, FileFault> {
        match &self.stage {
            Stage::Done => {
                let Loader { engine, version, aux, keys, expired, .. } = self;
                Ok(LoadedFile { engine, version, aux, keys, expired })
            }
            Stage::Failed(fault) => Err(FileFault::clone(fault)),
            _ => {
                while !self.on_their_way.is_empty() {
                    if let Err(why) = self.put_first() {
                        return Err(self.fail(why, 0));
                    }
                }
                Err(self.fail(Why::Truncated, self.held.len()))
            }
        }
    }

    /// Ends it for good. The fault is `ahead` bytes behind those that are understood.
    #[cold]
    fn fail(&mut self, why: Why, ahead: usize) -> FileFault {
        let key = self.entry.is_open.then(|| self.entry.key.clone());
        let (at, key) = match self.duplicate.take() {
            Some((at, key)) => (at, Some(key)),
            None => (self.at + ahead as u64, key),
        };
        let fault = FileFault { why, at, key };
        self.stage = Stage::Failed(Box::new(fault.clone()));
        self.held = Vec::new();
        fault
    }

    /// Understands what is held, as far as it can be.
    fn understand(&mut self) -> Result<(), FileFault> {
        let mut held = std::mem::take(&mut self.held);
        let (mut taken, mut summed) = (0, 0);
        self.wanted = 0;
        let broken = loop {
            self.step_at = self.at + taken as u64;
            match self.step(&held[taken..]) {
                Ok(Step::Took(len)) => taken += len,
                Ok(Step::Wants(len)) => {
                    self.wanted = len;
                    break None;
                }
                Err(why) => break Some(why),
            }
            match &mut self.stage {
                Stage::Checksum(sum) => {
                    self.sum.update(&held[summed..taken]);
                    (*sum, summed) = (self.sum.get(), taken);
                }
                Stage::Done => break None,
                _ => {}
            }
        };
        if !matches!(self.stage, Stage::Checksum(_) | Stage::Done) {
            self.sum.update(&held[summed..taken]);
        }
        self.at += taken as u64;
        if let Some(why) = broken {
            return Err(self.fail(why, 0));
        }
        held.drain(..taken);
        if GATHERED_BYTES_MAX < held.capacity() && held.len() <= CHUNK_BYTES {
            held.shrink_to(CHUNK_BYTES);
        }
        self.held = held;
        Ok(())
    }

    /// Takes one thing from the front of these bytes.
    fn step(&mut self, bytes: &[u8]) -> Result<Step, Why> {
        if let Some(step) = self.begin_text(bytes)? {
            return Ok(step);
        }
        match &mut self.stage {
            Stage::Magic => self.magic(bytes),
            Stage::Opcode => self.opcode(bytes),
            Stage::Value(layout, extent) => {
                let layout = *layout;
                match extent.go_on(bytes, layout, GATHERED_BYTES_MAX)? {
                    Some(Reach::Wants(len)) => Ok(Step::Wants(len)),
                    Some(Reach::Whole(len)) => self.whole_value(layout, &bytes[..len]),
                    None => self.begin_part(layout, bytes),
                }
            }
            Stage::Part(layout, partial) => {
                let unit = match reach(bytes, layout.unit)? {
                    Reach::Wants(len) => return Ok(Step::Wants(len)),
                    Reach::Whole(len) => &bytes[..len],
                };
                partial.push(&mut Reader::new(unit), self.engine.shared())?;
                if partial.left() == 0 {
                    self.end_part()?;
                }
                Ok(Step::Took(unit.len()))
            }
            Stage::Stream(stream) => {
                let Some(parts) = stream.parts() else { return self.end_stream() };
                let unit = match reach(bytes, parts)? {
                    Reach::Wants(len) => return Ok(Step::Wants(len)),
                    Reach::Whole(len) => &bytes[..len],
                };
                stream.push(&mut Reader::new(unit))?;
                Ok(Step::Took(unit.len()))
            }
            Stage::Text(text) => {
                let step = match text.take(bytes)? {
                    Reach::Wants(len) => return Ok(Step::Wants(len)),
                    Reach::Whole(0) if !text.is_whole() => return Ok(Step::Wants(1)),
                    Reach::Whole(len) => Step::Took(len),
                };
                if text.is_whole() {
                    self.end_text()?;
                }
                Ok(step)
            }
            Stage::Checksum(sum) => {
                let Some(read) = bytes.first_chunk::<CHECKSUM_BYTES>() else {
                    return Ok(Step::Wants(CHECKSUM_BYTES));
                };
                let read = u64::from_le_bytes(*read);
                // 0 says that nobody has summed.
                if read != 0 && read != *sum {
                    return Err(Why::Checksum);
                }
                self.stage = Stage::Done;
                Ok(Step::Took(CHECKSUM_BYTES))
            }
            Stage::Done | Stage::Failed(_) => Ok(Step::Wants(1)),
        }
    }

    fn magic(&mut self, bytes: &[u8]) -> Result<Step, Why> {
        let begins = |name: &[u8]| {
            let len = name.len().min(bytes.len());
            bytes[..len] == name[..len]
        };
        if !begins(b"REDIS") && !begins(b"VALKEY") {
            return Err(Why::NoRdb);
        }
        let Some(magic) = bytes.get(..MAGIC_BYTES) else { return Ok(Step::Wants(MAGIC_BYTES)) };
        let digits = magic.strip_prefix(b"REDIS").or(magic.strip_prefix(b"VALKEY"));
        let text = digits.and_then(|it| std::str::from_utf8(it).ok()).ok_or(Why::NoRdb)?;
        let is_number = text.bytes().all(|it| it.is_ascii_digit());
        let number = is_number.then(|| text.parse().ok()).flatten();
        self.version = number.ok_or(Why::NoRdb)?;
        match self.version {
            1..=FILE_VERSION_MAX | VALKEY_VERSION => {}
            version => return Err(Why::Version(version)),
        }
        self.stage = Stage::Opcode;
        Ok(Step::Took(MAGIC_BYTES))
    }

    fn opcode(&mut self, bytes: &[u8]) -> Result<Step, Why> {
        let Some((&opcode, behind)) = bytes.split_first() else { return Ok(Step::Wants(1)) };
        let parts = opcode::parts(opcode);
        let is_value = parts.is_none();
        let len = match reach(behind, parts.unwrap_or_else(|| before_value(opcode)))? {
            Reach::Wants(len) => return Ok(Step::Wants(1 + len)),
            Reach::Whole(len) => len,
        };
        let mut input = Reader::new(&behind[..len]);
        if is_value {
            return self.key(opcode, input).map(|()| Step::Took(1 + len));
        }
        match opcode {
            opcode::EOF => {
                while !self.on_their_way.is_empty() {
                    self.put_first()?;
                }
                let has_sum = CHECKSUM_SINCE <= self.version;
                self.stage = if has_sum { Stage::Checksum(0) } else { Stage::Done };
            }
            opcode::SELECT_DB => {
                let index = input.length()?;
                let known = usize::try_from(index).ok().filter(|it| *it < DATABASES);
                self.db = known.ok_or(Why::Database(index))?;
            }
            opcode::EXPIRE_MS => {
                self.entry.deadline = Some(deadline(input.int::<8>()?));
            }
            opcode::EXPIRE_S => {
                self.entry.deadline = Some(deadline(input.int::<4>()?.saturating_mul(1000)));
            }
            opcode::IDLE => self.entry.idle_s = input.length()?,
            opcode::FREQ => self.entry.freq = Some(input.byte()?),
            opcode::AUX => self.note_aux(&mut input)?,
            opcode::MODULE_AUX => return Err(Why::Module(opcode::module_name(input.length()?))),
            opcode::FUNCTIONS => {
                let library = functions::load(&input.string()?)?;
                let libraries = self.engine.libraries_mut();
                libraries.add(vec![library], Policy::Append).map_err(Why::Library)?;
            }
            opcode::FUNCTIONS_CANDIDATE => {
                return Err(Why::Unsupported("functions of a candidate for Redis 7.0 are"));
            }
            opcode::SLOT_IMPORT => return Err(Why::Unsupported("slots that are being moved are")),
            // What is only for who wants to make room.
            _ => {}
        }
        Ok(Step::Took(1 + len))
    }

    fn note_aux(&mut self, input: &mut Reader<'_>) -> Result<(), Why> {
        let (name, text) = (input.string()?, input.string()?);
        let is_short = name.len().max(text.len()) <= AUX_BYTES_MAX;
        if is_short && self.aux.len() < AUX_FIELDS_MAX {
            self.aux.push((name.into_owned(), text.into_owned()));
        }
        Ok(())
    }

    /// Takes the key of a value.
    fn key(&mut self, form: u8, mut input: Reader<'_>) -> Result<(), Why> {
        self.entry.form = form;
        let key = &mut self.entry.key;
        key.clear();
        input.show_string(|it| key.extend_from_slice(it))?;
        self.entry.is_open = true;
        if matches!(form, form::STREAM | form::STREAM_2 | form::STREAM_3) {
            self.stage = Stage::Stream(Box::new(StreamLoader::new(form)));
            return Ok(());
        }
        let is_candidate = form == form::HASH_TTL_VALKEY && self.version < VALKEY_VERSION;
        if let Some(layout) = Layout::of(form).filter(|_| !is_candidate) {
            self.stage = Stage::Value(layout, Extent::default());
            return Ok(());
        }
        Err(match form {
            form::HASH_TTL_VALKEY | form::HASH_LISTPACK_TTL_CANDIDATE => {
                Why::UnsupportedType("hash of a candidate for Redis 7.4")
            }
            form::MODULE | form::MODULE_2 => Why::Module(opcode::module_name(input.length()?)),
            form => Why::UnknownType(form),
        })
    }

    /// Begins a string that is so long that it is gathered where it will stay.
    fn begin_text(&mut self, bytes: &[u8]) -> Result<Option<Step>, Why> {
        if self.entry.form != form::STRING || !matches!(self.stage, Stage::Value(..)) {
            return Ok(None);
        }
        let head = head(bytes)?;
        if let Head::Wants(len) = head {
            return Ok(Some(Step::Wants(len)));
        }
        let Some((len, text)) = LongText::of(head, ADOPTED_BYTES_MIN)? else { return Ok(None) };
        self.stage = Stage::Text(text);
        Ok(Some(Step::Took(len)))
    }

    fn end_stream(&mut self) -> Result<Step, Why> {
        if let Stage::Stream(stream) = std::mem::replace(&mut self.stage, Stage::Opcode) {
            self.put_value(stream.build()?.into_value())?;
        }
        Ok(Step::Took(0))
    }

    fn end_text(&mut self) -> Result<(), Why> {
        if let Stage::Text(text) = std::mem::replace(&mut self.stage, Stage::Opcode) {
            let text = Bytes::from(text.into_text());
            return self.put_value(Value::Adopted(Arc::new(text)));
        }
        Ok(())
    }

    fn whole_value(&mut self, layout: Layout, bytes: &[u8]) -> Result<Step, Why> {
        let shared = self.engine.shared();
        // Redis passes over empty collections, which it has written by mistake.
        if layout.is_counted() && layout.count(bytes)? == 0 {
            self.entry.end();
        } else {
            match load_as(self.entry.form, &mut Reader::new(bytes), shared)? {
                Loaded::Text(text) => {
                    let (hash, deadline) = (shared.hash(&self.entry.key), self.entry.deadline);
                    let (key, scratch) = (&self.entry.key, &mut self.scratch);
                    let slot = KeySlot::string(hash, key, &text, deadline, Form::Whole, scratch);
                    self.put(slot)?;
                }
                Loaded::Value(value) => self.put_value(value)?,
            }
        }
        self.stage = Stage::Opcode;
        Ok(Step::Took(bytes.len()))
    }

    fn begin_part(&mut self, layout: Layout, bytes: &[u8]) -> Result<Step, Why> {
        let units = layout.count(bytes)?;
        let head = match reach(bytes, layout.head)? {
            Reach::Whole(len) => len,
            Reach::Wants(len) => return Ok(Step::Wants(len)),
        };
        let partial = Partial::new(self.entry.form, units, self.engine.shared());
        self.stage = Stage::Part(layout, Box::new(partial));
        Ok(Step::Took(head))
    }

    fn end_part(&mut self) -> Result<(), Why> {
        if let Stage::Part(_, partial) = std::mem::replace(&mut self.stage, Stage::Opcode) {
            let value = partial.build(self.engine.shared())?;
            return self.put_value(value);
        }
        Ok(())
    }

    fn put_value(&mut self, value: Value) -> Result<(), Why> {
        let (hash, deadline) = (self.engine.shared().hash(&self.entry.key), self.entry.deadline);
        self.put(KeySlot::node(hash, &self.entry.key, value, deadline))
    }

    fn put(&mut self, slot: KeySlot) -> Result<(), Why> {
        let idle_ms = self.entry.idle_s.saturating_mul(1000);
        match self.entry.freq {
            Some(freq) => drop(slot.usage().set_count(freq, self.now)),
            None => slot.usage().set_used_at(WallMs(self.now.0.saturating_sub(idle_ms))),
        }
        if let Some(hash) = slot.hash() {
            self.engine.space(self.db).table().prefetch(hash);
        }
        self.on_their_way.push_back(OnItsWay { slot, db: self.db, at: self.step_at });
        if AHEAD < self.on_their_way.len() {
            self.put_first()?;
        }
        self.keys += 1;
        self.expired += u64::from(self.entry.deadline.is_some_and(|it| it <= self.now));
        self.entry.end();
        Ok(())
    }

    /// Puts the key that has been on its way for longest.
    fn put_first(&mut self) -> Result<(), Why> {
        let Some(OnItsWay { slot, db, at }) = self.on_their_way.pop_front() else { return Ok(()) };
        let Some(old) = self.engine.space_mut(db).put(slot) else { return Ok(()) };
        self.duplicate = Some((at, old.key().to_vec()));
        Err(Why::DuplicateKey)
    }
}

/// What is read of a value before its form is looked at: its key, and who has stored it.
fn before_value(form: u8) -> &'static [Part] {
    match form {
        form::MODULE | form::MODULE_2 => &[Part::String, Part::Length],
        _ => &[Part::String],
    }
}

/// A moment before all times has passed.
fn deadline(ms: i64) -> WallMs {
    WallMs(u64::try_from(ms).unwrap_or(0))
}
