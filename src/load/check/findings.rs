//! What has been found so far: counts, the first few violations, and reads of values whose write
//! has not been seen yet.

use super::checks::CheckName;
use super::event::{Event, ReadEvent, TokenEvent, WriteEvent};
use super::keys::hasher;
use super::violation::{FinalValue, Violation};
use ahash::RandomState;
use std::collections::HashMap;

/// Violations kept per check; further ones are counted.
const KEPT_PER_CHECK: usize = 8;
/// Versions that have been read and whose write has not been seen, at most.
const UNWRITTEN_MAX: usize = 1 << 15;
/// Findings that wait for one version's write at most; further ones are let go.
const WAITING_MAX: usize = 16;

/// A version of a key.
pub type KeyVersion = (u64, u64);

/// A violation, unless one of the versions it speaks of turns out to be what it does not seem.
#[derive(Debug)]
pub struct Suspicion {
    /// What would be violated.
    pub check: CheckName,
    /// The read that saw too old a version.
    pub read: ReadEvent,
    /// The version that shows it to be too old, where that was read and not written.
    pub evidence: Option<KeyVersion>,
    /// The token that has been handed in, where that is why it is too old.
    pub token: Option<TokenEvent>,
    /// The events that would be shown.
    pub events: Vec<Event>,
}

/// A version that was read and whose write has not been seen.
#[derive(Debug)]
struct Unwritten {
    read: ReadEvent,
    reads: u64,
    waiting: Vec<Suspicion>,
}

/// Pairs and violations per check, and the violations that are shown.
pub struct Findings {
    pairs: [u64; CheckName::ALL.len()],
    violations: [u64; CheckName::ALL.len()],
    kept: Vec<Violation>,
    unwritten: HashMap<KeyVersion, Unwritten, RandomState>,
    /// Events that were not looked at, because a bound was reached.
    pub not_checked: u64,
}

impl Findings {
    /// Nothing yet.
    pub fn new() -> Findings {
        Findings {
            pairs: Default::default(),
            violations: Default::default(),
            kept: Vec::new(),
            unwritten: HashMap::with_hasher(hasher()),
            not_checked: 0,
        }
    }

    /// One more pair of events was compared.
    pub fn compared(&mut self, check: CheckName) {
        self.pairs[check as usize] += 1;
    }

    /// `n` more events were compared.
    pub fn compared_all(&mut self, check: CheckName, n: u64) {
        self.pairs[check as usize] += n;
    }

    /// How many comparisons, and how many violations.
    pub fn counts(&self, check: CheckName) -> (u64, u64) {
        (self.pairs[check as usize], self.violations[check as usize])
    }

    /// Whether a further violation of this kind would be shown.
    pub fn is_wanted(&self, check: CheckName) -> bool {
        self.kept.iter().filter(|it| it.check == check).count() < KEPT_PER_CHECK
    }

    /// A violation for certain.
    pub fn violated(&mut self, check: CheckName, events: Vec<Event>, end: Option<FinalValue>) {
        self.violated_by(check, events, None, end);
    }

    fn violated_by(
        &mut self,
        check: CheckName,
        events: Vec<Event>,
        token: Option<TokenEvent>,
        end: Option<FinalValue>,
    ) {
        self.violations[check as usize] += 1;
        if self.is_wanted(check) {
            self.kept.push(Violation { token, ..Violation::new(check, events, end) });
        }
    }

    /// A violation of what a token stands for, if what was read was written as it seems.
    pub fn suspect_token(
        &mut self,
        read: ReadEvent,
        evidence: Option<KeyVersion>,
        token: TokenEvent,
        shown: impl FnOnce() -> Vec<Event>,
    ) {
        let check = CheckName::Tokens;
        let events = if self.is_wanted(check) { shown() } else { Vec::new() };
        self.weigh(Suspicion { check, read, evidence, token: Some(token), events });
    }

    /// A violation, if what was read was written as it seems. `shown` is asked for the events only
    /// if they are needed.
    pub fn suspect(
        &mut self,
        check: CheckName,
        read: ReadEvent,
        evidence: Option<KeyVersion>,
        shown: impl FnOnce() -> Vec<Event>,
    ) {
        let events = if self.is_wanted(check) { shown() } else { Vec::new() };
        self.weigh(Suspicion { check, read, evidence, token: None, events });
    }

    /// A read of a version whose write has not been seen. False if there are too many of them to be
    /// remembered.
    pub fn read_unwritten(&mut self, read: ReadEvent) -> bool {
        let Some(version) = read.version else { return true };
        if let Some(it) = self.unwritten.get_mut(&(read.key, version)) {
            it.reads += 1;
            return true;
        }
        if UNWRITTEN_MAX <= self.unwritten.len() {
            self.not_checked += 1;
            return false;
        }
        let first = Unwritten { read, reads: 1, waiting: Vec::new() };
        self.unwritten.insert((read.key, version), first);
        true
    }

    /// A write has been seen: what has waited for it is decided.
    pub fn written(&mut self, write: &WriteEvent, is_shared: bool) {
        if self.unwritten.is_empty() {
            return;
        }
        let version = (write.key, write.version);
        let Some(it) = self.unwritten.remove(&version) else { return };
        for mut suspicion in it.waiting {
            let was_read =
                suspicion.read.version == Some(write.version) && suspicion.read.key == write.key;
            // A write without an answer may happen late, after newer ones: to see it is no wrong.
            if is_shared || (was_read && write.ended.is_none()) {
                continue;
            }
            if !suspicion.events.is_empty() {
                suspicion.events.push(Event::Write(*write));
            }
            self.weigh(suspicion);
        }
    }

    /// Everything has been seen: what still waits for its write was written by nobody. Answers with
    /// the violations that are shown, per check in the order in which they were found.
    pub fn finish(&mut self) -> Vec<Violation> {
        let mut left: Vec<Unwritten> = self.unwritten.drain().map(|(_, it)| it).collect();
        left.sort_by_key(|it| (it.read.ended, it.read.key));
        for it in left {
            self.violated(CheckName::WrittenValues, vec![Event::Read(it.read)], None);
            self.violations[CheckName::WrittenValues as usize] += it.reads - 1;
        }
        self.kept.sort_by_key(|it| it.check as usize);
        std::mem::take(&mut self.kept)
    }

    fn weigh(&mut self, suspicion: Suspicion) {
        let read = suspicion.read.version.map(|it| (suspicion.read.key, it));
        for needed in [read, suspicion.evidence].into_iter().flatten() {
            if self.unwritten.is_empty() {
                break;
            }
            if let Some(it) = self.unwritten.get_mut(&needed) {
                if it.waiting.len() < WAITING_MAX {
                    it.waiting.push(suspicion);
                }
                return;
            }
        }
        if self.is_wanted(suspicion.check) && suspicion.events.is_empty() {
            // It seemed that it would not be shown; the read at least is.
            let read = Event::Read(suspicion.read);
            return self.violated(suspicion.check, vec![read], None);
        }
        self.violated_by(suspicion.check, suspicion.events, suspicion.token, None);
    }
}
