//! What is tried, in order, when the replica a read would go to is behind.

use crate::base::size::{format_duration, parse_duration};
use std::fmt;
use std::time::Duration;

/// One step of a ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The replica applies what it is missing, right there, then reads. If that takes longer than
    /// [`CATCH_UP_US_MAX`](crate::base::limits::CATCH_UP_US_MAX), the next step is tried.
    CatchUp,
    /// Another replica that is fresh enough.
    OtherReplica,
    /// Wait until the replica is fresh enough, at most this long.
    Wait(Duration),
    /// Read at the master.
    Master,
    /// Answer `-LAGGED`.
    Error,
    /// Read what a replica has, knowing that it is behind.
    Stale,
}

/// A step without its time: the metrics label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum StepKind {
    /// [`Step::CatchUp`].
    CatchUp,
    /// [`Step::OtherReplica`].
    OtherReplica,
    /// [`Step::Wait`].
    Wait,
    /// [`Step::Master`].
    Master,
    /// [`Step::Error`].
    Error,
    /// [`Step::Stale`].
    Stale,
}

impl StepKind {
    /// All of them; a kind's place is its number.
    pub const ALL: &[StepKind] = &[
        StepKind::CatchUp,
        StepKind::OtherReplica,
        StepKind::Wait,
        StepKind::Master,
        StepKind::Error,
        StepKind::Stale,
    ];

    /// The label.
    pub const fn as_str(self) -> &'static str {
        match self {
            StepKind::CatchUp => "catch-up",
            StepKind::OtherReplica => "other-replica",
            StepKind::Wait => "wait",
            StepKind::Master => "master",
            StepKind::Error => "error",
            StepKind::Stale => "stale",
        }
    }
}

/// The kinds of steps that a read has taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StepsTaken(u8);

impl StepsTaken {
    /// None.
    pub const NONE: StepsTaken = StepsTaken(0);

    /// With this one.
    pub fn and(self, step: StepKind) -> StepsTaken {
        StepsTaken(self.0 | 1 << step as u8)
    }
}

/// In the order in which ladders usually stand.
impl fmt::Display for StepsTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let taken = StepKind::ALL.iter().filter(|it| self.0 & 1 << **it as u8 != 0);
        for (at, step) in taken.enumerate() {
            write!(f, "{}{}", if at == 0 { "" } else { ", " }, step.as_str())?;
        }
        Ok(())
    }
}

impl Step {
    /// What [`Step::parse`] takes, for error texts.
    pub const ACCEPTED: &str =
        "catch-up, other-replica, wait with a time (\"wait 20ms\"), master, error, stale";

    /// Reads a step in any case.
    pub fn parse(text: &str) -> Option<Step> {
        let mut words = text.split_whitespace();
        let step = match words.next()?.to_ascii_lowercase().as_str() {
            "catch-up" => Step::CatchUp,
            "other-replica" => Step::OtherReplica,
            "wait" => Step::Wait(parse_duration(words.next()?.as_bytes(), None)?),
            "master" => Step::Master,
            "error" => Step::Error,
            "stale" => Step::Stale,
            _ => return None,
        };
        words.next().is_none().then_some(step)
    }

    /// Its kind.
    pub const fn kind(self) -> StepKind {
        match self {
            Step::CatchUp => StepKind::CatchUp,
            Step::OtherReplica => StepKind::OtherReplica,
            Step::Wait(_) => StepKind::Wait,
            Step::Master => StepKind::Master,
            Step::Error => StepKind::Error,
            Step::Stale => StepKind::Stale,
        }
    }

    /// Whether nothing behind this step is ever reached.
    fn is_last(self) -> bool {
        self == Step::Error
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().as_str())?;
        match self {
            Step::Wait(time) => write!(f, " {}", format_duration(*time)),
            _ => Ok(()),
        }
    }
}

/// Steps in the order they are tried. One that runs out ends as if `error` stood last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ladder {
    steps: [Step; Ladder::STEPS_MAX],
    len: u8,
}

impl Ladder {
    /// There are six steps, and none makes sense twice but a wait.
    pub const STEPS_MAX: usize = 8;

    /// A ladder of these steps, or what is wrong with them.
    pub fn new(steps: &[Step]) -> Result<Ladder, String> {
        if Ladder::STEPS_MAX < steps.len() {
            return Err(format!("at most {} steps", Ladder::STEPS_MAX));
        }
        for (at, step) in steps.iter().enumerate() {
            if !matches!(step, Step::Wait(_)) && steps[..at].contains(step) {
                return Err(format!("{step} only once"));
            }
            if steps[..at].last().is_some_and(|it| it.is_last()) {
                return Err(format!("nothing behind error; {step} would never be tried"));
            }
        }
        let mut ladder = Ladder { steps: [Step::Error; Ladder::STEPS_MAX], len: steps.len() as u8 };
        ladder.steps[..steps.len()].copy_from_slice(steps);
        Ok(ladder)
    }

    /// The steps, first to last.
    pub fn steps(&self) -> &[Step] {
        &self.steps[..usize::from(self.len)]
    }
}

impl Default for Ladder {
    /// Catch-up, then master. A hosted replica can nearly always catch up where it stands, which
    /// costs the missing entries and nobody's time; when it cannot, because it is paused, the
    /// master has everything. Both keep every promise, and neither makes a client wait.
    fn default() -> Ladder {
        let mut steps = [Step::Error; Ladder::STEPS_MAX];
        (steps[0], steps[1]) = (Step::CatchUp, Step::Master);
        Ladder { steps, len: 2 }
    }
}

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps().iter().enumerate() {
            write!(f, "{}{step}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(text: &str) -> Result<Ladder, String> {
        Ladder::new(&text.split(", ").map(|it| Step::parse(it).unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn a_ladder_survives_its_text() {
        let all = "catch-up, other-replica, wait 20ms, master, stale, error";
        assert_eq!(ladder(all).unwrap().to_string(), all);
        assert_eq!(ladder("wait 1ms, other-replica, wait 2s").unwrap().steps().len(), 3);
        assert_eq!(Ladder::default(), ladder("catch-up, master").unwrap());
        assert_eq!(Ladder::new(&[]).unwrap().to_string(), "");
    }

    #[test]
    fn steps_that_were_taken_are_told_once_each() {
        let taken = StepsTaken::NONE.and(StepKind::Wait).and(StepKind::CatchUp);
        assert_eq!(taken.and(StepKind::Wait).to_string(), "catch-up, wait");
        assert_eq!(StepsTaken::NONE.to_string(), "");
        let all = StepKind::ALL.iter().fold(StepsTaken::NONE, |all, it| all.and(*it));
        assert!(all.to_string().ends_with("error, stale"));
    }

    #[test]
    fn steps_that_could_never_help_are_refused() {
        assert_eq!(ladder("master, master").unwrap_err(), "master only once");
        assert!(ladder("error, master").unwrap_err().starts_with("nothing behind error"));
        for bad in ["", "wait", "wait 20", "wait 1ms 2ms", "catchup", "master now"] {
            assert_eq!(Step::parse(bad), None, "{bad}");
        }
    }
}
