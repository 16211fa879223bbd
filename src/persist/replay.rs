//! Reads an append-only file, as its bytes come, and does what they say.
//!
//! ```text
//!           "REDIS"              its end
//!   Start ──────────▶ Snapshot ──────────▶ Commands ──▶ Zeros
//!     └────────────────────────────────────▲
//! ```
//!
//! Whole writes are done: one command, or all from MULTI to EXEC. What is behind the last of them
//! when a file ends is torn.

use super::annotation::{Annotation, LINE_BYTES_MAX, annotation};
use super::fault::{AofFault, AofWhy};
use super::stream_tail::StreamTail;
use crate::base::limits::{DATABASES, QUERY_BYTES_MAX};
use crate::base::number::parse_u64;
use crate::base::position::{Offset, Position, ReplId};
use crate::base::time::WallMs;
use crate::command::echo;
use crate::engine::rdb::{LoadedFile, Loader};
use crate::engine::{Effects, Engine, verbs};
use crate::resp::{AuthState, Decoder, Limits, Protocol, Reply, Request, Step, encode_command};

/// Freed parts that are kept before they are dropped.
const FREED_MAX: usize = 64;
/// Where a write may end and another begin.
const NEXT: &[u8] = b"\r\n*";
const SNAPSHOT: [&[u8]; 2] = [b"REDIS", b"VALKEY"];

/// How a file ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AofEnd {
    /// Behind a whole write.
    Whole,
    /// In the middle of a write, which begins at this byte.
    Torn(u64),
    /// Before what was written later than was asked for, which begins at this byte.
    Until(u64),
}

enum Stage {
    Start,
    Snapshot(Box<Loader>),
    Commands,
    /// What a machine that crashed may leave behind what it had written: the write that it begins
    /// in, which stands at this byte, and what is wrong if something is behind it.
    Zeros(u64, Box<AofFault>),
    /// What comes now was written too late.
    Past(u64),
}

/// What files held.
pub struct Replayed {
    /// The keys.
    pub engine: Engine,
    /// Where the stream goes on, if the files say so.
    pub position: Option<Position>,
    /// Where its last bytes begin, and what they are.
    pub tail: (Offset, Vec<u8>),
    /// The database that is selected at the end.
    pub db: usize,
    /// Commands that were done.
    pub commands: u64,
    /// Keys of the snapshot that they begin with, and how many of them had expired.
    pub keys: (u64, u64),
}

/// The parts of an append-only file being read, one after another.
pub struct Replay {
    engine: Option<Engine>,
    now: WallMs,
    /// Whether commands are done, and not only looked at.
    runs: bool,
    /// Nothing of a later time is taken.
    until_s: Option<u64>,
    stage: Stage,
    decoder: Decoder,
    held: Vec<u8>,
    /// Bytes of `held` that have been done, and that have been understood.
    given: usize,
    seen: usize,
    /// Bytes of the file before `held`.
    at: u64,
    /// Commands since MULTI, as places in `held`.
    open: Option<Vec<(usize, usize)>>,
    db: usize,
    tail: StreamTail,
    /// Where the stream stood before this file, or behind its snapshot, until it says that itself:
    /// what stands before that is no part of the stream.
    before: Option<Offset>,
    commands: u64,
    keys: (u64, u64),
    effects: Effects,
    reply: Reply,
}

impl Replay {
    /// Into this engine, without keys, at this time. So many of the stream's last bytes are kept.
    pub fn new(engine: Engine, now: WallMs, tail_bytes: usize) -> Replay {
        Replay {
            engine: Some(engine),
            now,
            runs: true,
            until_s: None,
            stage: Stage::Start,
            decoder: Decoder::new(Limits::of(AuthState::Known)),
            held: Vec::new(),
            given: 0,
            seen: 0,
            at: 0,
            open: None,
            db: 0,
            tail: StreamTail::new(tail_bytes),
            before: None,
            commands: 0,
            keys: (0, 0),
            effects: Effects::default(),
            reply: Reply::new(Protocol::Resp2),
        }
    }

    /// Only looks at commands, up to the first that was written after `until_s`, in s since 1970.
    pub fn looking(engine: Engine, until_s: Option<u64>) -> Replay {
        Replay { runs: false, until_s, ..Replay::new(engine, WallMs(0), 0) }
    }

    /// What comes now is another file.
    pub fn begin_file(&mut self) {
        self.stage = Stage::Start;
        self.held.clear();
        (self.given, self.seen, self.at, self.open) = (0, 0, 0, None);
        self.db = 0;
        self.before = self.stands();
        self.decoder = Decoder::new(Limits::of(AuthState::Known));
    }

    fn stands(&self) -> Option<Offset> {
        self.tail.end().map(|it| it.offset)
    }

    /// Takes the next bytes of a file, in pieces of any size.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), AofFault> {
        if let Stage::Start = self.stage {
            let begins = |name: &[u8]| {
                let have = [&self.held, bytes].concat();
                let len = name.len().min(have.len());
                !have.is_empty() && have[..len] == name[..len]
            };
            if SNAPSHOT.iter().any(|it| begins(it)) {
                let engine = self.engine.take().expect("it is here between files");
                self.stage = Stage::Snapshot(Box::new(Loader::new(engine, self.now)));
            } else if !bytes.is_empty() {
                self.stage = Stage::Commands;
            }
        }
        if let Stage::Snapshot(loader) = &mut self.stage {
            let taken = loader.feed(bytes).map_err(snapshot_fault)?;
            self.at += taken as u64;
            bytes = &bytes[taken..];
            if !loader.is_done() {
                return Ok(());
            }
            self.end_snapshot()?;
        }
        self.push(bytes);
        self.understand()
    }

    fn end_snapshot(&mut self) -> Result<(), AofFault> {
        let Stage::Snapshot(loader) = std::mem::replace(&mut self.stage, Stage::Commands) else {
            return Ok(());
        };
        let file = loader.finish().map_err(snapshot_fault)?;
        if let Some(at) = position_of(&file) {
            self.tail.stands_at(at);
        }
        self.before = self.stands();
        self.keys = (file.keys, file.expired);
        self.engine = Some(file.engine);
        Ok(())
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.given != 0 {
            self.held.drain(..self.given);
            self.at += self.given as u64;
            self.seen -= self.given;
            for command in self.open.iter_mut().flatten() {
                command.0 -= self.given;
                command.1 -= self.given;
            }
            self.given = 0;
        }
        self.held.extend_from_slice(bytes);
    }

    /// Bytes of the file that are whole writes, as far as it was read: none while its snapshot is
    /// not.
    pub fn whole_bytes(&self) -> u64 {
        match self.stage {
            Stage::Start | Stage::Snapshot(_) => 0,
            _ => self.at + self.given as u64,
        }
    }

    /// The file ends here. Answers how.
    pub fn end_file(&mut self) -> Result<AofEnd, AofFault> {
        match &self.stage {
            Stage::Snapshot(loader) => {
                return Err(AofFault { why: AofWhy::Truncated, at: loader.at() });
            }
            Stage::Zeros(at, _) => return Ok(AofEnd::Torn(*at)),
            Stage::Past(at) => return Ok(AofEnd::Until(*at)),
            Stage::Start | Stage::Commands => {}
        }
        let at = self.at + self.given as u64;
        let is_whole = self.held.len() == self.given;
        Ok(if is_whole { AofEnd::Whole } else { AofEnd::Torn(at) })
    }

    /// What all files held.
    pub fn finish(self) -> Replayed {
        let (position, db, commands, keys) = (self.tail.end(), self.db, self.commands, self.keys);
        let engine = self.engine.expect("no file is in the middle of its snapshot");
        Replayed { engine, position, tail: self.tail.into_bytes(), db, commands, keys }
    }

    fn fault(&self, at: usize, why: AofWhy) -> AofFault {
        AofFault { why, at: self.at + at as u64 }
    }

    fn understand(&mut self) -> Result<(), AofFault> {
        loop {
            match &self.stage {
                Stage::Zeros(..) => return self.only_zeros(),
                Stage::Past(_) => {
                    (self.given, self.seen) = (self.held.len(), self.held.len());
                    return Ok(());
                }
                _ => {}
            }
            let Some(first) = self.held.get(self.seen) else { return Ok(()) };
            let is_more = match first {
                b'#' => self.take_annotation(),
                b'*' => self.take_command(),
                other => {
                    let why = format!("expected '*', got '{}'", other.escape_ascii());
                    Err(self.fault(self.seen, AofWhy::NoCommand(why)))
                }
            };
            match is_more {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(fault) => self.begin_zeros(fault)?,
            }
        }
    }

    /// What is wrong may be that a crash has left zeros in the place of the end, from anywhere in
    /// the write at hand on.
    fn begin_zeros(&mut self, fault: AofFault) -> Result<(), AofFault> {
        let rest = &self.held[self.seen..];
        let written = rest.iter().rposition(|it| *it != 0).map_or(0, |it| it + 1);
        let is_one = !rest[..written].windows(NEXT.len()).any(|it| it == NEXT);
        let is_form = matches!(fault.why, AofWhy::NoCommand(_));
        if written == rest.len() || !is_one || !is_form {
            return Err(fault);
        }
        self.stage = Stage::Zeros(self.at + self.given as u64, Box::new(fault));
        self.seen += written;
        Ok(())
    }

    fn only_zeros(&mut self) -> Result<(), AofFault> {
        let is_zero = self.held[self.seen..].iter().all(|it| *it == 0);
        if let Stage::Zeros(_, fault) = &self.stage
            && !is_zero
        {
            return Err(AofFault::clone(fault));
        }
        self.seen = self.held.len();
        self.given = self.seen;
        self.open = None;
        Ok(())
    }

    /// Answers whether it was there.
    fn take_annotation(&mut self) -> Result<bool, AofFault> {
        let rest = &self.held[self.seen..];
        let looked = &rest[..rest.len().min(LINE_BYTES_MAX)];
        let Some(end) = looked.iter().position(|it| *it == b'\n') else {
            if looked.len() == LINE_BYTES_MAX {
                let why = AofWhy::NoCommand("an annotation does not end".to_owned());
                return Err(self.fault(self.seen, why));
            }
            return Ok(false);
        };
        if self.open.is_some() {
            return Err(self.fault(self.seen, AofWhy::Misplaced("an annotation")));
        }
        match annotation(&rest[..=end]) {
            Annotation::Position(at) => {
                let stands = self.before.take().or(self.stands());
                if let Some(stands) = stands.filter(|it| *it != at.offset) {
                    return Err(self.fault(self.seen, AofWhy::Elsewhere(stands, at.offset)));
                }
                self.tail.stands_at(at);
            }
            Annotation::Time(at_s) if self.until_s.is_some_and(|it| it < at_s) => {
                self.stage = Stage::Past(self.at + self.seen as u64);
                return Ok(true);
            }
            _ => {}
        }
        self.seen += end + 1;
        self.given = self.seen;
        Ok(true)
    }

    /// Answers whether it was there.
    fn take_command(&mut self) -> Result<bool, AofFault> {
        let (from, at) = (self.seen, self.seen);
        let fault = |why| AofFault { why, at: self.at + at as u64 };
        let rest = &self.held[from..];
        let step = self.decoder.poll(rest);
        let step = step.map_err(|it| fault(AofWhy::NoCommand(it.to_string())))?;
        let Step::Ready { consumed } = step else {
            if QUERY_BYTES_MAX < self.held.len() - self.given {
                return Err(fault(AofWhy::TooLong));
            }
            return Ok(false);
        };
        let to = from + consumed;
        let request = self.decoder.request(rest);
        if !is_canonical(request, &rest[..consumed]) {
            let why = "it is not as servers write commands".to_owned();
            return Err(fault(AofWhy::NoCommand(why)));
        }
        match (word_of(request).map_err(fault)?, &mut self.open) {
            (Word::Multi, None) => self.open = Some(Vec::new()),
            (Word::Multi, Some(_)) => return Err(fault(AofWhy::Misplaced("MULTI"))),
            (Word::Exec, None) => return Err(fault(AofWhy::Misplaced("EXEC"))),
            (Word::Exec, Some(_)) => {
                self.seen = to;
                return self.run_open().map(|()| true);
            }
            (_, Some(commands)) => commands.push((from, to)),
            (Word::Select(db), None) => self.db = db,
            (Word::Nothing, None) => {}
            (Word::Command, None) => {
                if let (true, Some(engine)) = (self.runs, &mut self.engine) {
                    run(engine, self.db, self.now, request, &mut self.effects, &mut self.reply)
                        .map_err(fault)?;
                    self.commands += 1;
                }
            }
        }
        self.seen = to;
        if self.open.is_none() {
            self.give();
        }
        Ok(true)
    }

    /// Does all from MULTI to EXEC.
    fn run_open(&mut self) -> Result<(), AofFault> {
        let mut decoder = Decoder::new(Limits::of(AuthState::Known));
        for (from, to) in self.open.take().into_iter().flatten() {
            let fault = |why| AofFault { why, at: self.at + from as u64 };
            let words = &self.held[from..to];
            let Ok(Step::Ready { .. }) = decoder.poll(words) else { continue };
            let request = decoder.request(words);
            match word_of(request).map_err(fault)? {
                Word::Select(db) => self.db = db,
                Word::Command if self.runs => {
                    let Some(engine) = &mut self.engine else { continue };
                    run(engine, self.db, self.now, request, &mut self.effects, &mut self.reply)
                        .map_err(fault)?;
                    self.commands += 1;
                }
                _ => {}
            }
        }
        self.give();
        Ok(())
    }

    /// What has been understood is done.
    fn give(&mut self) {
        self.tail.push(&self.held[self.given..self.seen]);
        self.given = self.seen;
    }
}

/// One of the stream's own words, or another command.
enum Word {
    Select(usize),
    Multi,
    Exec,
    Nothing,
    Command,
}

fn word_of(request: Request<'_>) -> Result<Word, AofWhy> {
    let name = request.get(0).unwrap_or_default();
    let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
    Ok(match name.len() {
        0 => return Err(AofWhy::NoCommand("it has no name".to_owned())),
        4 if is("PING") => Word::Nothing,
        4 if is("EXEC") => Word::Exec,
        5 if is("MULTI") => Word::Multi,
        6 if is("SELECT") => {
            let index = request.get(1).unwrap_or_default();
            let db = parse_u64(index).and_then(|it| usize::try_from(it).ok());
            let no_such = || AofWhy::NoDatabase(String::from_utf8_lossy(index).into_owned());
            Word::Select(db.filter(|it| *it < DATABASES).ok_or_else(no_such)?)
        }
        7 if is("PUBLISH") => Word::Nothing,
        8 if is("REPLCONF") || is("SPUBLISH") => Word::Nothing,
        _ => Word::Command,
    })
}

/// Whether the bytes are what the stream would say.
fn is_canonical(request: Request<'_>, bytes: &[u8]) -> bool {
    if request.wire().is_some_and(|it| it.len() == bytes.len()) {
        return true;
    }
    let mut encoded = Vec::with_capacity(bytes.len());
    encode_command(&mut encoded, request.iter());
    encoded == bytes
}

fn run(
    engine: &mut Engine,
    db: usize,
    now: WallMs,
    request: Request<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), AofWhy> {
    let name = request.get(0).unwrap_or_default();
    if verbs::find_for(request).is_none() {
        return Err(AofWhy::UnknownCommand(echo(name).into_owned()));
    }
    effects.begin(db);
    let done = engine.repeat(db, now, request, effects, reply);
    reply.clear();
    if FREED_MAX < engine.written().deferred_frees.len() {
        engine.written_mut().deferred_frees.clear();
    }
    done.map_err(|it| AofWhy::Refused(echo(name).into_owned(), it.text().into_owned()))
}

fn snapshot_fault(fault: crate::engine::rdb::FileFault) -> AofFault {
    let at = fault.at;
    AofFault { why: AofWhy::Snapshot(fault), at }
}

/// The position that a snapshot says it is as of.
pub fn position_of(file: &LoadedFile) -> Option<Position> {
    let replid = ReplId::parse(file.aux("repl-id")?)?;
    let offset = parse_u64(file.aux("repl-offset")?)?;
    Some(Position { replid, offset: Offset::new(offset) })
}

#[cfg(test)]
mod tests;
