//! One violation, with the events that contradict each other.

use super::checks::CheckName;
use super::event::{Event, TokenEvent};
#[cfg(test)]
use super::event::{ReadEvent, WriteEvent};
use std::fmt;

/// What a key held when all writes had ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FinalValue {
    /// Which key.
    pub key: u64,
    /// Its version; `None` if it had no value.
    pub version: Option<u64>,
}

/// A contradiction and nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// What is violated.
    pub check: CheckName,
    /// The events that contradict each other, in the order in which they began. A write that lies
    /// too far back to be remembered is left out.
    pub events: Vec<Event>,
    /// The token that was handed in, where that is what was to be seen.
    pub token: Option<TokenEvent>,
    /// What the key held at the end, where that is what contradicts the events.
    pub final_value: Option<FinalValue>,
}

impl Violation {
    /// A violation by these events, in any order.
    pub(super) fn new(
        check: CheckName,
        mut events: Vec<Event>,
        final_value: Option<FinalValue>,
    ) -> Violation {
        events.sort_by_key(|it| (it.began(), it.place()));
        events.dedup();
        Violation { check, events, token: None, final_value }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.check.violation())?;
        for event in &self.events {
            write!(f, "\n  {}", Line(event))?;
        }
        if let Some(it) = self.token {
            let (taken, given) = (Ms(it.taken), Ms(it.given));
            write!(f, "\n  {taken:>12} – {given:>12} ms  client {:<5} gave its token ", it.from)?;
            write!(f, "to client {}", it.to)?;
        }
        if let Some(it) = self.final_value {
            write!(f, "\n  {:>27}  at the end     key {} holds ", "", it.key)?;
            version(f, it.version)?;
        }
        Ok(())
    }
}

/// One event on one line.
struct Line<'e>(&'e Event);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let began = Ms(self.0.began());
        match self.0 {
            Event::Write(it) => {
                match it.ended {
                    Some(ended) => write!(f, "{began:>12} – {:>12} ms", Ms(ended))?,
                    None => write!(f, "{began:>12} – {:>12}   ", "no answer")?,
                }
                write!(f, "  client {:<5} wrote key {} version {}", it.client, it.key, it.version)?;
                if it.is_confirmed {
                    f.write_str(", confirmed")?;
                }
                Ok(())
            }
            Event::Read(it) => {
                write!(f, "{began:>12} – {:>12} ms", Ms(it.ended))?;
                write!(f, "  client {:<5} read  key {} ", it.client, it.key)?;
                version(f, it.version)?;
                write!(f, " at target {}", it.target)
            }
        }
    }
}

fn version(f: &mut fmt::Formatter<'_>, version: Option<u64>) -> fmt::Result {
    match version {
        Some(it) => write!(f, "version {it}"),
        None => f.write_str("no value"),
    }
}

/// Nanoseconds shown as milliseconds with three digits.
struct Ms(u64);

impl fmt::Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0 / 1_000;
        f.pad(&format!("{}.{:03}", us / 1_000, us % 1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_reads_as_a_history() {
        let wrote = |version, began, ended| {
            let write =
                WriteEvent { client: 3, key: 17, version, began, ended, is_confirmed: true };
            Event::Write(write)
        };
        let read = ReadEvent {
            client: 12,
            key: 17,
            version: Some(4),
            began: 3_500_000,
            ended: 3_612_000,
            target: 1,
        };
        let events = vec![
            Event::Read(read),
            wrote(5, 1_000_000, Some(2_000_500)),
            wrote(6, 2_100_000, None),
        ];
        let end = Some(FinalValue { key: 17, version: None });
        let text = Violation::new(CheckName::NoLostWrite, events, end).to_string();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "no-lost-write: an acknowledged write was lost",
                "1.000 –        2.000 ms  client 3     wrote key 17 version 5, confirmed",
                "2.100 –    no answer     client 3     wrote key 17 version 6, confirmed",
                "3.500 –        3.612 ms  client 12    read  key 17 version 4 at target 1",
                "at the end     key 17 holds no value",
            ]
        );
    }
}
