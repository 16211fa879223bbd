//! The consistency checker: events in, verdict out.

use super::arrivals::Arrivals;
use super::checks::{CheckName, Checks};
use super::event::{Event, ReadEvent, TokenEvent, WriteEvent};
use super::findings::Findings;
use super::keys::Keys;
use super::linearizable::Linearizable;
use super::lost;
use super::reading::Reading;
use super::recent::{Known, Recent};
use super::sessions::Sessions;
use super::staleness::Staleness;
use super::verdict::Verdict;
use super::violation::FinalValue;
use std::collections::BTreeMap;

/// Tokens that wait at most; past it the first is learned early, which may hide a violation.
const TOKENS_MAX: usize = 1 << 16;

/// Checks the events of a run as they come, in bounded memory (less than 200 MB).
///
/// A violation that it reports is one. Where memory ends it forgets what is old, so that it may
/// miss violations, and says how much it has not looked at.
pub struct Checker {
    checks: Checks,
    arrivals: Arrivals,
    keys: Keys,
    recent: Recent,
    sessions: Sessions,
    /// Tokens that were handed in and wait for the reads before them, by when and by whom.
    tokens: BTreeMap<(u64, u32), TokenEvent>,
    linearizable: Linearizable,
    staleness: Staleness,
    findings: Findings,
    /// Targets whose reads show that a write is lost; all if `None`.
    authoritative: Option<Vec<u16>>,
    /// Whether reads at all targets show that a confirmed write is lost.
    is_confirmed_everywhere: bool,
    /// Keys below it are written by all clients.
    shared_below: u64,
}

impl Checker {
    /// A checker of a run that has not begun. Keys have no value before their first write: values
    /// that were loaded before must be observed as writes.
    pub fn new(checks: Checks, _clients: usize) -> Checker {
        Checker {
            checks,
            arrivals: Arrivals::default(),
            keys: Keys::new(),
            recent: Recent::new(),
            sessions: Sessions::new(checks),
            tokens: BTreeMap::new(),
            linearizable: Linearizable::new(),
            staleness: Staleness::new(),
            findings: Findings::new(),
            authoritative: None,
            is_confirmed_everywhere: false,
            shared_below: 0,
        }
    }

    /// Lets only reads at these targets show that a write is lost. At other targets a read that
    /// misses a write is stale, and no more: this is for replicas that promise nothing.
    pub fn lost_only_at(mut self, targets: &[u16]) -> Checker {
        self.authoritative = Some(targets.to_vec());
        self
    }

    /// Lets reads at all targets show that a confirmed write is lost: what is confirmed is at each.
    pub fn confirmed_everywhere(mut self) -> Checker {
        self.is_confirmed_everywhere = true;
        self
    }

    /// Lets no read of keys below this one count as stale: all clients write these at once, so that
    /// their versions say nothing of the order of their writes.
    pub fn shared_below(mut self, key: u64) -> Checker {
        self.shared_below = key;
        self
    }

    /// Takes an event in. Events of one client come in the order in which they ended; those of
    /// several clients may come some tens of milliseconds out of this order.
    pub fn observe(&mut self, event: Event) {
        if self.checks.is_none() {
            return;
        }
        if let Some(late) = self.arrivals.put(event) {
            self.judge(late);
            return;
        }
        while let Some(mut bucket) = self.arrivals.due() {
            bucket.drain(..).for_each(|it| self.judge(it));
            self.arrivals.give_back(bucket);
        }
    }

    /// Takes a token in that was handed in; before the reads that follow it.
    pub fn observe_token(&mut self, token: TokenEvent) {
        if !self.checks.tokens {
            return;
        }
        self.tokens.insert((token.given, token.to), token);
        if TOKENS_MAX < self.tokens.len() {
            let first = self.tokens.pop_first();
            first.into_iter().for_each(|(_, it)| self.sessions.given(it));
        }
    }

    /// Learns of the tokens that were handed in until then.
    fn learn_tokens(&mut self, until: u64) {
        while let Some(first) = self.tokens.first_entry().filter(|it| it.key().0 <= until) {
            self.sessions.given(first.remove());
        }
    }

    /// The value that a key has at the very end, read from the master after all writes have ended
    /// and all events have been observed.
    pub fn final_value(&mut self, key: u64, version: Option<u64>) {
        if self.checks.is_none() {
            return;
        }
        self.judge_all();
        let end = FinalValue { key, version };
        let Some(state) = self.keys.entry(key) else {
            self.findings.not_checked += 1;
            return;
        };
        lost::judge_final(end, state, &self.recent, &self.checks, &mut self.findings);
        if self.checks.linearizable {
            let Checker { linearizable, keys, recent, findings, .. } = self;
            linearizable.final_value(end, keys, recent, findings);
        }
    }

    /// Decides what is still open.
    pub fn finish(mut self) -> Verdict {
        self.judge_all();
        if self.checks.linearizable {
            let Checker { linearizable, keys, recent, findings, .. } = &mut self;
            linearizable.finish(keys, recent, findings);
        }
        let violations = self.findings.finish();
        let count = |it: CheckName| {
            let (pairs, violations) = self.findings.counts(it);
            (it, pairs, violations)
        };
        Verdict {
            counts: CheckName::ALL
                .into_iter()
                .filter(|it| self.checks.has(*it))
                .map(count)
                .collect(),
            violations,
            undecided: self.linearizable.unknown,
            not_checked: self.findings.not_checked,
            staleness: Some(self.staleness).filter(|_| self.checks.staleness),
        }
    }

    fn judge_all(&mut self) {
        while let Some(bucket) = self.arrivals.next() {
            bucket.into_iter().for_each(|it| self.judge(it));
        }
    }

    fn judge(&mut self, event: Event) {
        if !self.tokens.is_empty() {
            self.learn_tokens(event.place());
        }
        let key = match event {
            Event::Write(write) => self.judge_write(write),
            Event::Read(read) => self.judge_read(read),
        };
        let Some(key) = key.filter(|_| self.checks.linearizable) else { return };
        let Checker { linearizable, keys, recent, findings, .. } = self;
        linearizable.observe(event, key, keys, recent, findings);
    }

    /// Answers with the key, if it is remembered.
    fn judge_write(&mut self, write: WriteEvent) -> Option<u64> {
        let Some(key) = self.keys.entry(write.key) else {
            self.findings.not_checked += 1;
            return None;
        };
        self.recent.push(key, write);
        self.findings.written(&write, key.is_shared);
        Some(write.key)
    }

    fn judge_read(&mut self, read: ReadEvent) -> Option<u64> {
        let Checker { checks, keys, recent, sessions, staleness, findings, .. } = self;
        let is_confirmed_everywhere = self.is_confirmed_everywhere;
        let Some(key) = keys.entry(read.key) else {
            findings.not_checked += 1;
            return None;
        };
        let known = read.version.map(|it| recent.find(read.key, key, it));
        findings.compared(CheckName::WrittenValues);
        if matches!(known, Some(Known::NotWritten)) && !findings.read_unwritten(read) {
            return None;
        }
        if key.is_shared {
            return Some(read.key);
        }
        let reading = Reading::new(read, key, recent, known);
        sessions.judge(&reading, findings);
        let is_authoritative =
            self.authoritative.as_ref().is_none_or(|it| it.contains(&read.target));
        if is_authoritative {
            lost::judge_acked(&reading, checks, findings);
        }
        if is_authoritative || is_confirmed_everywhere {
            lost::judge_confirmed(&reading, checks, findings);
        }
        if checks.staleness && self.shared_below <= read.key {
            staleness.learn(&reading);
        }
        sessions.remember(&read, key);
        Some(read.key)
    }
}
