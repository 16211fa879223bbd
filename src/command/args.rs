//! A cursor over a request's arguments, and the little a verb may know of the world.

use super::{Fault, Uses, echo};
use crate::base::limits::BULK_BYTES_MAX;
use crate::base::number;
use crate::base::random::Random;
use crate::base::time::WallMs;
use crate::resp::Request;
use bytes::Bytes;
use std::cell::{Cell, RefCell};

/// What a verb is lent: the time, random numbers, and a place to count what it met.
#[derive(Debug)]
pub struct CallEnv {
    /// The time of this request; the same for all commands of a transaction.
    pub now: Cell<WallMs>,
    /// When a command of the stream is repeated here: the stream does not tell.
    pub repeated_at: Cell<WallMs>,
    /// Keys that were looked for and found.
    pub hits: Cell<u64>,
    /// Keys that were looked for and missed.
    pub misses: Cell<u64>,
    /// How long a string may become (`proto-max-bulk-len`). A replica repeats what its master let
    /// pass, whatever the setting is now.
    pub bulk_bytes_max: Cell<usize>,
    /// Whether a look at a key counts as a use of it (CLIENT NO-TOUCH).
    pub touches: Cell<bool>,
    /// Whether a script calls.
    pub in_script: Cell<bool>,
    /// Whether keys that reads miss are noted: somebody may hear of them.
    notes_misses: Cell<bool>,
    missed: RefCell<Vec<Box<[u8]>>>,
    /// Uses that replicas have seen.
    pub uses: Uses,
    /// The memory that the requests at hand lie in, when they are long.
    pub input: RefCell<Option<Bytes>>,
    seed: Cell<u64>,
}

impl CallEnv {
    /// An environment at `now` whose random numbers begin at `seed`.
    pub const fn new(now: WallMs, seed: u64) -> CallEnv {
        CallEnv {
            now: Cell::new(now),
            repeated_at: Cell::new(now),
            hits: Cell::new(0),
            misses: Cell::new(0),
            bulk_bytes_max: Cell::new(BULK_BYTES_MAX),
            touches: Cell::new(true),
            in_script: Cell::new(false),
            notes_misses: Cell::new(false),
            missed: RefCell::new(Vec::new()),
            uses: Uses::new(),
            input: RefCell::new(None),
            seed: Cell::new(seed),
        }
    }

    /// Counts what a look at `key` has found: a hit, or a miss.
    #[inline]
    pub fn looked<T>(&self, key: &[u8], found: Option<T>) -> Option<T> {
        let found = self.looked_quietly(found);
        if found.is_none() && self.notes_misses.get() {
            self.note_miss(key);
        }
        found
    }

    /// As [`CallEnv::looked`], but nobody hears of a miss.
    #[inline]
    pub fn looked_quietly<T>(&self, found: Option<T>) -> Option<T> {
        let tally = if found.is_some() { &self.hits } else { &self.misses };
        tally.set(tally.get() + 1);
        found
    }

    /// Whether the keys that reads miss are to be noted.
    #[inline]
    pub fn note_misses(&self, asked: bool) {
        self.notes_misses.set(asked);
        if asked {
            self.missed.borrow_mut().clear();
        }
    }

    /// Whether the keys that reads miss are noted.
    #[inline]
    pub fn notes_misses(&self) -> bool {
        self.notes_misses.get()
    }

    #[cold]
    fn note_miss(&self, key: &[u8]) {
        self.missed.borrow_mut().push(key.into());
    }

    /// Tells which keys reads have missed, in order, and forgets them.
    pub fn take_missed(&self) -> Vec<Box<[u8]>> {
        self.missed.take()
    }

    /// A long argument of the request at hand as a part of the memory that it was read into, if it
    /// takes up most of that. Who keeps it need not copy it.
    #[cold]
    pub fn adopt(&self, argument: &[u8]) -> Option<Bytes> {
        let input = self.input.borrow();
        let input = input.as_ref()?;
        let (all, part) = (input.as_ptr_range(), argument.as_ptr_range());
        let is_in = all.start <= part.start && part.end <= all.end;
        let is_most = input.len() - argument.len().min(input.len()) <= argument.len() / 8;
        (is_in && is_most).then(|| input.slice_ref(argument))
    }

    /// Random numbers for one request. They start from a seed of their own, which is drawn only
    /// now: the same seed makes them fall alike at every member.
    pub fn random(&self) -> Random {
        let mut random = Random::new(self.seed.get());
        self.seed.set(random.bits());
        random
    }

    /// Lets the next request's random numbers start from `seed`; answers where they would have
    /// started.
    pub fn reseed(&self, seed: u64) -> u64 {
        self.seed.replace(seed)
    }
}

/// Arguments being read from left to right. `done` refuses leftovers before anything changes.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    request: Request<'a>,
    at: usize,
    /// The database of the session.
    pub db: usize,
    /// The world outside.
    pub env: &'a CallEnv,
}

impl<'a> Args<'a> {
    /// The arguments of `request` behind the first `skip` words (1, or 2 for a subcommand).
    pub fn new(request: Request<'a>, skip: usize, db: usize, env: &'a CallEnv) -> Args<'a> {
        Args { request, at: skip, db, env }
    }

    /// The whole request, name included.
    pub fn request(&self) -> Request<'a> {
        self.request
    }

    /// The time of this request.
    pub fn now(&self) -> WallMs {
        self.env.now.get()
    }

    /// When what this command creates has come to be: now, also where the stream is repeated.
    pub fn created_at(&self) -> WallMs {
        match self.now() {
            WallMs::NEVER_EXPIRES => self.env.repeated_at.get(),
            now => now,
        }
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.request.len().saturating_sub(self.at)
    }

    /// The next one, without taking it.
    pub fn peek(&self) -> Option<&'a [u8]> {
        self.request.get(self.at)
    }

    /// Takes the next one; a missing one is a syntax error.
    #[inline]
    #[allow(clippy::should_implement_trait)] // A cursor of required arguments, not an iterator.
    pub fn next(&mut self) -> Result<&'a [u8], Fault> {
        let arg = self.request.get(self.at).ok_or(Fault::Syntax)?;
        self.at += 1;
        Ok(arg)
    }

    /// Takes the next one as an integer.
    pub fn int(&mut self) -> Result<i64, Fault> {
        number::parse_i64(self.next()?).ok_or(Fault::NotInteger)
    }

    /// Takes the next one as a float.
    pub fn float(&mut self) -> Result<f64, Fault> {
        number::parse_f64(self.next()?).ok_or(Fault::NotFloat)
    }

    /// Takes the next one if it is `word`, in any case.
    pub fn word(&mut self, word: &str) -> bool {
        let is_next = self.peek().is_some_and(|it| it.eq_ignore_ascii_case(word.as_bytes()));
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes all that are left.
    pub fn rest(&mut self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let (request, from) = (self.request, self.at.min(self.request.len()));
        self.at = request.len();
        (from..request.len()).map(move |at| request.get(at).unwrap_or_default())
    }

    /// A subcommand of this container has words that do not fit it, or there is none of its name.
    pub fn misused(&self, container: &str) -> Fault {
        let word = echo(self.request.get(1).unwrap_or_default());
        Fault::Message(format!(
            "ERR unknown subcommand or wrong number of arguments for '{word}'. Try {container} \
             HELP."
        ))
    }

    /// Refuses leftovers.
    pub fn done(&self) -> Result<(), Fault> {
        match self.left() {
            0 => Ok(()),
            _ => Err(Fault::Syntax),
        }
    }
}
