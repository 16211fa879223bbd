//! What the set knows of scripts: their texts, the interpreter at the master, and those that run
//! so long that others can tell.

use crate::base::time::MonoUs;
use crate::resp::OwnedRequest;
use crate::script::{About, ErrorText, Interpreter, Purpose, Script, Scripts, Sha};
use parking_lot::{Mutex, MutexGuard, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::*};

/// All of it.
#[derive(Default)]
pub struct Scripting {
    /// The scripts that EVALSHA finds. They are the whole set's: no member is asked.
    pub scripts: RwLock<Scripts>,
    /// As [`Scripts::removals`], to be read without a lock.
    removals: AtomicU64,
    /// Grows with each SCRIPT FLUSH: the interpreters of scripts are made anew.
    flushes: AtomicU64,
    /// Of scripts, and of functions.
    at_master: [Mutex<Interpreters>; 2],
    running: Mutex<Vec<Arc<Running>>>,
    /// How many of those have run longer than `busy-reply-threshold` at the master.
    busy: AtomicUsize,
    /// DEBUG SET-DISABLE-DENY-SCRIPTS: a script may call what scripts may not, for tests.
    pub allows_all: AtomicBool,
}

/// The interpreters of one place, made when they are needed.
#[derive(Default)]
pub struct Interpreters {
    flushes: u64,
    scripts: Option<Interpreter>,
    functions: Option<Interpreter>,
}

impl Interpreters {
    fn bytes(&self) -> u64 {
        let all = self.scripts.iter().chain(&self.functions);
        all.map(|it| it.memory() as u64).sum()
    }

    /// That for this purpose; that of scripts is made anew if `flushes` says so.
    pub fn get(&mut self, purpose: Purpose, flushes: u64) -> &mut Interpreter {
        if self.flushes != flushes {
            self.flushes = flushes;
            self.scripts = None;
        }
        let kept = match purpose {
            Purpose::Scripts => &mut self.scripts,
            Purpose::Functions => &mut self.functions,
        };
        kept.get_or_insert_with(|| Interpreter::new(purpose, About::default()))
    }
}

/// A script that others can tell of: it is not over at once.
#[derive(Debug)]
pub struct Running {
    /// The request that runs it.
    pub request: OwnedRequest,
    /// Its SHA-1, or the name of its function.
    pub name: Vec<u8>,
    /// What it is.
    pub purpose: Purpose,
    /// It runs at the master, which others wait for.
    pub is_at_master: bool,
    /// When it began.
    pub began: MonoUs,
    fate: AtomicU8,
    is_busy: AtomicBool,
}

/// It has written nothing, and nobody has told it to stop.
const OPEN: u8 = 0;
/// What it does cannot be taken back.
const WRITTEN: u8 = 1;
/// It is to stop, and writes nothing any more.
const KILLED: u8 = 2;

impl Running {
    /// One that began at `began`.
    pub fn new(
        request: OwnedRequest,
        name: Vec<u8>,
        purpose: Purpose,
        is_at_master: bool,
        began: MonoUs,
    ) -> Running {
        let (fate, is_busy) = (AtomicU8::new(OPEN), AtomicBool::new(false));
        Running { request, name, purpose, is_at_master, began, fate, is_busy }
    }

    /// What it does cannot be taken back from here on: it is not killed any more. Answers whether
    /// it may write: not when it has been told to stop.
    pub fn begin_write(&self) -> bool {
        let before = self.fate.compare_exchange(OPEN, WRITTEN, SeqCst, SeqCst);
        before != Err(KILLED)
    }

    /// Tells it to stop. Answers whether it will.
    fn kill(&self) -> bool {
        self.fate.compare_exchange(OPEN, KILLED, SeqCst, SeqCst) != Err(WRITTEN)
    }

    fn has_written(&self) -> bool {
        self.fate.load(SeqCst) == WRITTEN
    }

    /// Whether somebody wants it to stop. Answered only to one that has written nothing.
    pub fn is_killed(&self) -> bool {
        self.fate.load(SeqCst) == KILLED
    }
}

/// What came of SCRIPT KILL or FUNCTION KILL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Killed {
    /// Those that could be are told to stop.
    Told,
    /// Nothing runs.
    NothingRuns,
    /// It has written something.
    HasWritten,
    /// What runs is of the other kind.
    Other(Purpose),
}

impl Scripting {
    /// The interpreters at the master. Who has the master locked to write waits for nobody here.
    pub fn at_master(&self, purpose: Purpose) -> Option<MutexGuard<'_, Interpreters>> {
        self.at_master[usize::from(purpose == Purpose::Functions)].try_lock()
    }

    /// Bytes in use by the interpreters at the master: of scripts, and of functions. 0 of one that
    /// is at work.
    pub fn interpreter_bytes(&self) -> (u64, u64) {
        let bytes = |purpose| self.at_master(purpose).map_or(0, |it| it.bytes());
        (bytes(Purpose::Scripts), bytes(Purpose::Functions))
    }

    /// Compiles a script, at the master's interpreter unless a script runs there.
    pub fn compile(&self, sha: &Sha, text: &[u8]) -> Result<(), ErrorText> {
        match self.at_master(Purpose::Scripts) {
            Some(mut it) => it.get(Purpose::Scripts, self.flushes()).compile(sha, text),
            None => Interpreter::new(Purpose::Scripts, About::default()).compile(sha, text),
        }
    }

    /// How many SCRIPT FLUSH there have been.
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Acquire)
    }

    /// Forgets all scripts, as interpreters do that have compiled them.
    pub fn flush(&self) {
        let mut scripts = self.scripts.write();
        scripts.flush();
        self.removals.store(scripts.removals(), Release);
        self.flushes.fetch_add(1, AcqRel);
    }

    /// Adds a script that EVAL runs and that compiles. Answers how many have been forgotten by
    /// then.
    pub fn note(&self, text: &[u8]) -> Result<(Script, u64), String> {
        let mut scripts = self.scripts.write();
        let sha = scripts.note(text)?;
        self.removals.store(scripts.removals(), Release);
        let (_, script) = scripts.find(&sha).ok_or("ERR a script is gone")?;
        Ok((script.clone(), scripts.removals()))
    }

    /// Grows whenever a script is forgotten: while it stays, all that were known are.
    pub fn removals(&self) -> u64 {
        self.removals.load(Acquire)
    }

    /// Others can tell of it from here on.
    pub fn enter(&self, running: Arc<Running>) {
        self.running.lock().push(running);
    }

    /// It has ended.
    pub fn leave(&self, running: &Arc<Running>) {
        self.running.lock().retain(|it| !Arc::ptr_eq(it, running));
        if running.is_busy.load(Relaxed) && running.is_at_master {
            self.busy.fetch_sub(1, SeqCst);
        }
    }

    /// It runs longer than `busy-reply-threshold`: who needs the master is told so. Answers whether
    /// that is news.
    pub fn is_busy_now(&self, running: &Running) -> bool {
        let is_news = !running.is_busy.swap(true, Relaxed);
        if is_news && running.is_at_master {
            self.busy.fetch_add(1, SeqCst);
        }
        is_news
    }

    /// The kind of what has kept the master busy for so long that others are refused.
    pub fn busy(&self) -> Option<Purpose> {
        if self.busy.load(Relaxed) == 0 {
            return None;
        }
        let running = self.running.lock();
        running.iter().find(|it| it.is_busy.load(Relaxed) && it.is_at_master).map(|it| it.purpose)
    }

    /// What runs, the longest first.
    pub fn running(&self) -> Vec<Arc<Running>> {
        self.running.lock().clone()
    }

    /// Tells those of this kind to stop that have written nothing: those that keep others from the
    /// master, or all if there are none.
    pub fn kill(&self, purpose: Purpose) -> Killed {
        let running = self.running.lock();
        let Some(first) = running.first() else { return Killed::NothingRuns };
        let keeps_others = |it: &Running| it.is_busy.load(Relaxed) && it.is_at_master;
        let any_busy = running.iter().any(|it| it.purpose == purpose && keeps_others(it));
        let mut killed = match first.has_written() {
            true => Killed::HasWritten,
            false => Killed::Other(first.purpose),
        };
        let meant = running.iter().filter(|it| it.purpose == purpose);
        for one in meant.filter(|it| !any_busy || keeps_others(it)) {
            if one.kill() {
                killed = Killed::Told;
            } else if killed != Killed::Told {
                killed = Killed::HasWritten;
            }
        }
        killed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_have_written_are_not_killed() {
        let scripting = Scripting::default();
        assert_eq!(scripting.kill(Purpose::Scripts), Killed::NothingRuns);
        let one = |purpose| {
            let request = OwnedRequest::of(["EVAL"]);
            let running = Running::new(request, b"x".to_vec(), purpose, true, MonoUs(1));
            let running = Arc::new(running);
            scripting.enter(running.clone());
            running
        };
        let written = one(Purpose::Scripts);
        assert!(written.begin_write());
        assert_eq!(scripting.kill(Purpose::Scripts), Killed::HasWritten);
        let reading = one(Purpose::Scripts);
        assert_eq!(scripting.kill(Purpose::Scripts), Killed::Told);
        scripting.leave(&written);
        assert_eq!(scripting.kill(Purpose::Functions), Killed::Other(Purpose::Scripts));
        scripting.enter(written.clone());
        scripting.leave(&reading);
        scripting.enter(reading.clone());
        assert!(reading.is_killed() && !written.is_killed());
        assert!(written.begin_write() && !reading.begin_write());
        assert_eq!(scripting.kill(Purpose::Functions), Killed::HasWritten, "though it is another");
        assert!(scripting.busy().is_none());
        assert!(scripting.is_busy_now(&written) && !scripting.is_busy_now(&written));
        assert_eq!(scripting.kill(Purpose::Scripts), Killed::HasWritten, "the one that is meant");
        assert_eq!(scripting.busy(), Some(Purpose::Scripts));
        [written, reading].iter().for_each(|it| scripting.leave(it));
        assert!(scripting.busy().is_none() && scripting.running().is_empty());
    }
}
