//! Reads that are checked after they were answered, how the checks came out, and the last that did
//! not come out well.

use crate::node::upstream::Sample;
use crate::runtime::clock;
use event_listener::{Event, EventListener};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Most samples that wait; more are passed over.
const WAITING_MAX: usize = 64;
/// Findings that are kept.
const FINDINGS_MAX: usize = 128;

/// One kind of check.
pub struct Check {
    one_in: u64,
    turn: AtomicU64,
    waiting: Mutex<VecDeque<Sample>>,
    news: Event,
    /// Samples that came out well.
    pub agreed: AtomicU64,
    /// Samples that came out wrong.
    pub wrong: AtomicU64,
    /// Samples of which nothing can be said: what they read was written meanwhile.
    pub moved: AtomicU64,
    /// Samples that could not be checked: somebody did not answer, or not in time.
    pub unchecked: AtomicU64,
    /// Samples that were passed over, since too many waited.
    pub passed_over: AtomicU64,
}

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Both answers are the same.
    Agreed,
    /// They are not, and must be.
    Wrong,
    /// What was read was written meanwhile.
    Moved,
    /// Somebody did not answer.
    Unchecked,
}

impl Check {
    fn new(one_in: u64) -> Check {
        Check {
            one_in,
            turn: AtomicU64::new(0),
            waiting: Mutex::default(),
            news: Event::new(),
            agreed: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            unchecked: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
        }
    }

    /// Whether any are checked.
    pub fn is_on(&self) -> bool {
        self.one_in != 0
    }

    /// Whether the next is one that is checked.
    #[inline]
    pub fn wants_next(&self) -> bool {
        self.one_in != 0 && self.turn.fetch_add(1, Relaxed).is_multiple_of(self.one_in)
    }

    /// One is to be checked.
    pub fn push(&self, sample: Sample) {
        let mut waiting = self.waiting.lock();
        if WAITING_MAX <= waiting.len() {
            self.passed_over.fetch_add(1, Relaxed);
            return;
        }
        waiting.push_back(sample);
        drop(waiting);
        self.news.notify(usize::MAX);
    }

    /// The next to be checked. Ask for it after [`Check::news`].
    pub fn take(&self) -> Option<Sample> {
        self.waiting.lock().pop_front()
    }

    /// Hears of the next.
    pub fn news(&self) -> EventListener {
        self.news.listen()
    }

    /// One came out like this.
    pub fn count(&self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Agreed => &self.agreed,
            Outcome::Wrong => &self.wrong,
            Outcome::Moved => &self.moved,
            Outcome::Unchecked => &self.unchecked,
        };
        count.fetch_add(1, Relaxed);
    }

    /// Each count by its name.
    pub fn counts(&self) -> [(&'static str, u64); 5] {
        [
            ("agreed", self.agreed.load(Relaxed)),
            ("wrong", self.wrong.load(Relaxed)),
            ("moved", self.moved.load(Relaxed)),
            ("unchecked", self.unchecked.load(Relaxed)),
            ("passed-over", self.passed_over.load(Relaxed)),
        ]
    }
}

/// All checks of a set.
pub struct Checks {
    /// Replicas against the master.
    pub audit: Check,
    /// The set against another.
    pub shadow: Check,
    findings: Mutex<VecDeque<String>>,
}

impl Checks {
    /// One in so many reads is checked of either kind; 0 for none.
    pub fn new(audit_one_in: u64, shadow_one_in: u64) -> Checks {
        Checks {
            audit: Check::new(audit_one_in),
            shadow: Check::new(shadow_one_in),
            findings: Mutex::default(),
        }
    }

    /// A check came out wrong: what that was, and the values that were compared. Values are no
    /// matter of the log.
    pub fn found(&self, what: &str, values: &str) {
        log::error!("event=upstream-check-wrong what={what:?}");
        let mut findings = self.findings.lock();
        if FINDINGS_MAX <= findings.len() {
            findings.pop_front();
        }
        let finding = format!("{} {what}: {values}", clock::wall_us() / 1000);
        findings.push_back(finding.trim_end_matches(": ").to_owned());
    }

    /// The last that came out wrong, the newest first: when, in ms since 1970, and what.
    pub fn findings(&self) -> Vec<String> {
        self.findings.lock().iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::MemberId;
    use crate::resp::Protocol;

    fn sample() -> Sample {
        Sample {
            db: 0,
            request: Vec::new(),
            reply: Vec::new(),
            protocol: Protocol::Resp2,
            member: MemberId(1),
        }
    }

    #[test]
    fn one_in_so_many_is_taken_and_not_more_than_there_is_room_for() {
        let checks = Checks::new(10, 0);
        let taken = (0..1000).filter(|_| checks.audit.wants_next()).count();
        assert_eq!((taken, checks.shadow.wants_next()), (100, false));
        (0..WAITING_MAX + 3).for_each(|_| checks.audit.push(sample()));
        assert_eq!(checks.audit.passed_over.load(Relaxed), 3);
        assert_eq!(std::iter::from_fn(|| checks.audit.take()).count(), WAITING_MAX);
    }

    #[test]
    fn the_last_findings_are_kept() {
        let checks = Checks::new(1, 1);
        (0..FINDINGS_MAX + 5).for_each(|it| checks.found(&format!("number {it}"), "1 and 2"));
        checks.found("the last", "");
        let findings = checks.findings();
        assert_eq!(findings.len(), FINDINGS_MAX);
        assert!(findings[0].ends_with(" the last"), "{findings:?}");
        assert!(findings[1].ends_with(&format!("number {}: 1 and 2", FINDINGS_MAX + 4)));
    }
}
