//! Which consistency checks there are, by name.

use std::fmt;

/// Which checks are switched on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Checks {
    /// A client sees its own acknowledged writes.
    pub read_your_writes: bool,
    /// A client never sees a version older than one it has seen.
    pub monotonic_reads: bool,
    /// Who has seen a write of a client sees the writes that this client had made before.
    pub monotonic_writes: bool,
    /// Who has seen a write of a client sees what this client had read before it wrote.
    pub writes_follow_reads: bool,
    /// What was acknowledged is seen by every read that begins later, and is there at the end.
    pub no_lost_write: bool,
    /// The same for writes that WAIT has confirmed.
    pub no_lost_confirmed_write: bool,
    /// Who was given a token sees what its client had written and read.
    pub tokens: bool,
    /// Each key behaves as one copy that does one thing at a time.
    pub linearizable: bool,
    /// How old what reads see is; nothing of it is a violation.
    pub staleness: bool,
}

impl Checks {
    /// Reads a list such as `read-your-writes,monotonic-reads`, or `all`, or `none`.
    pub fn parse(text: &str) -> Result<Checks, String> {
        let mut checks = Checks::default();
        for name in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            if name == "none" {
                continue;
            }
            let mut switches = checks.switches();
            if name == "all" {
                switches.iter_mut().for_each(|(_, on)| **on = true);
                continue;
            }
            if let Some((_, on)) = switches.iter_mut().find(|(it, _)| *it == name) {
                **on = true;
                continue;
            }
            let names: Vec<&str> = switches.iter().map(|(it, _)| *it).collect();
            return Err(format!(
                "unknown check {name:?}; the checks are {}, all, none",
                names.join(", ")
            ));
        }
        Ok(checks)
    }

    /// Whether nothing is checked.
    pub fn is_none(&self) -> bool {
        *self == Checks::default()
    }

    /// Whether violations of this kind are looked for. Values that nobody wrote are looked for as
    /// soon as anything is.
    pub fn has(&self, name: CheckName) -> bool {
        match name {
            CheckName::ReadYourWrites => self.read_your_writes,
            CheckName::MonotonicReads => self.monotonic_reads,
            CheckName::MonotonicWrites => self.monotonic_writes,
            CheckName::WritesFollowReads => self.writes_follow_reads,
            CheckName::NoLostWrite => self.no_lost_write,
            CheckName::NoLostConfirmedWrite => self.no_lost_confirmed_write,
            CheckName::Tokens => self.tokens,
            CheckName::Linearizable => self.linearizable,
            CheckName::WrittenValues => !self.is_none(),
        }
    }

    fn switches(&mut self) -> [(&'static str, &mut bool); 9] {
        [
            (CheckName::ReadYourWrites.name(), &mut self.read_your_writes),
            (CheckName::MonotonicReads.name(), &mut self.monotonic_reads),
            (CheckName::MonotonicWrites.name(), &mut self.monotonic_writes),
            (CheckName::WritesFollowReads.name(), &mut self.writes_follow_reads),
            (CheckName::NoLostWrite.name(), &mut self.no_lost_write),
            (CheckName::NoLostConfirmedWrite.name(), &mut self.no_lost_confirmed_write),
            (CheckName::Tokens.name(), &mut self.tokens),
            (CheckName::Linearizable.name(), &mut self.linearizable),
            ("staleness", &mut self.staleness),
        ]
    }
}

/// A check that can be violated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CheckName {
    /// See [`Checks::read_your_writes`].
    ReadYourWrites,
    /// See [`Checks::monotonic_reads`].
    MonotonicReads,
    /// See [`Checks::monotonic_writes`].
    MonotonicWrites,
    /// See [`Checks::writes_follow_reads`].
    WritesFollowReads,
    /// See [`Checks::no_lost_write`].
    NoLostWrite,
    /// See [`Checks::no_lost_confirmed_write`].
    NoLostConfirmedWrite,
    /// See [`Checks::tokens`].
    Tokens,
    /// See [`Checks::linearizable`].
    Linearizable,
    /// Nobody sees a value that nobody wrote.
    WrittenValues,
}

impl CheckName {
    /// Every check, in the order in which they are reported.
    pub const ALL: [CheckName; 9] = [
        CheckName::ReadYourWrites,
        CheckName::MonotonicReads,
        CheckName::MonotonicWrites,
        CheckName::WritesFollowReads,
        CheckName::NoLostWrite,
        CheckName::NoLostConfirmedWrite,
        CheckName::Tokens,
        CheckName::Linearizable,
        CheckName::WrittenValues,
    ];

    /// As it is written in scenarios and reports.
    pub fn name(self) -> &'static str {
        match self {
            CheckName::ReadYourWrites => "read-your-writes",
            CheckName::MonotonicReads => "monotonic-reads",
            CheckName::MonotonicWrites => "monotonic-writes",
            CheckName::WritesFollowReads => "writes-follow-reads",
            CheckName::NoLostWrite => "no-lost-write",
            CheckName::NoLostConfirmedWrite => "no-lost-confirmed-write",
            CheckName::Tokens => "tokens",
            CheckName::Linearizable => "linearizable",
            CheckName::WrittenValues => "written-values",
        }
    }

    /// What a violation of it is, in one clause.
    pub fn violation(self) -> &'static str {
        match self {
            CheckName::ReadYourWrites => "a client did not see its own write",
            CheckName::MonotonicReads => "a client saw an older version than before",
            CheckName::MonotonicWrites => "a client's later write was seen without its earlier one",
            CheckName::WritesFollowReads => {
                "a write was seen without what its client had read before"
            }
            CheckName::NoLostWrite => "an acknowledged write was lost",
            CheckName::NoLostConfirmedWrite => "a confirmed write was lost",
            CheckName::Tokens => "a token was handed in and what it stands for was not seen",
            CheckName::Linearizable => "no order of these events explains what was read",
            CheckName::WrittenValues => "a value that nobody wrote",
        }
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_read_by_name() {
        let two = Checks::parse("read-your-writes, staleness").unwrap();
        assert_eq!(two, Checks { read_your_writes: true, staleness: true, ..Checks::default() });
        assert!(Checks::parse("none").unwrap().is_none());
        let all = Checks::parse("all").unwrap();
        assert!(CheckName::ALL.iter().all(|it| all.has(*it)) && all.staleness);
        assert!(Checks::parse("read-my-mind").unwrap_err().contains("monotonic-reads"));
    }

    #[test]
    fn every_check_is_switched_by_its_own_name() {
        for name in CheckName::ALL.iter().filter(|it| **it != CheckName::WrittenValues) {
            let checks = Checks::parse(name.name()).unwrap();
            let on: Vec<CheckName> =
                CheckName::ALL.into_iter().filter(|it| checks.has(*it)).collect();
            assert_eq!(on, [*name, CheckName::WrittenValues]);
        }
    }
}
