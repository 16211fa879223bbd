//! How long a string or a field is to live, as the options of SET, GETEX and their like say it.

use crate::base::number;
use crate::base::time::WallMs;
use crate::command::{Args, Fault};

/// What a request says of a key's time to live. The number is checked after the whole grammar.
#[derive(Clone, Copy)]
pub(in crate::engine::verbs) enum Lifetime<'a> {
    /// Nothing.
    Unsaid,
    /// As it was: KEEPTTL.
    Keep,
    /// No end: PERSIST.
    Endless,
    /// This number on this clock.
    Until(Clock, &'a [u8]),
}

/// What the number of an expiry counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::verbs) enum Clock {
    /// EX
    Seconds,
    /// PX
    Milliseconds,
    /// EXAT
    UnixSeconds,
    /// PXAT
    UnixMilliseconds,
}

impl Clock {
    fn named(word: &[u8]) -> Option<Clock> {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        match word.len() {
            2 if is("EX") => Some(Clock::Seconds),
            2 if is("PX") => Some(Clock::Milliseconds),
            4 if is("EXAT") => Some(Clock::UnixSeconds),
            4 if is("PXAT") => Some(Clock::UnixMilliseconds),
            _ => None,
        }
    }

    /// Whether it begins in 1970, not now.
    pub(super) fn is_absolute(self) -> bool {
        matches!(self, Clock::UnixSeconds | Clock::UnixMilliseconds)
    }

    /// The moment that `number` stands for in this command.
    pub(super) fn moment(
        self,
        number: &[u8],
        now: WallMs,
        command: &'static str,
    ) -> Result<WallMs, Fault> {
        let number = number::parse_i64(number).ok_or(Fault::NotInteger)?;
        let invalid = Fault::InvalidExpire(command);
        if number <= 0 {
            return Err(invalid);
        }
        let ms = self.unix_ms(number, now).ok_or(invalid)?;
        Ok(WallMs(ms.unsigned_abs()))
    }

    /// Milliseconds from 1970 to the moment that `number` stands for, if that fits 64 bits.
    pub(in crate::engine::verbs) fn unix_ms(self, number: i64, now: WallMs) -> Option<i64> {
        let ms = match self {
            Clock::Seconds | Clock::UnixSeconds => number.checked_mul(1000)?,
            Clock::Milliseconds | Clock::UnixMilliseconds => number,
        };
        match self.is_absolute() {
            true => Some(ms),
            false => ms.checked_add_unsigned(now.0),
        }
    }
}

impl<'a> Lifetime<'a> {
    /// Another way to say a lifetime may not follow; the same one may, and the last one counts.
    pub(in crate::engine::verbs) fn keep(self) -> Result<Lifetime<'a>, Fault> {
        match self {
            Lifetime::Unsaid | Lifetime::Keep => Ok(Lifetime::Keep),
            _ => Err(Fault::Syntax),
        }
    }

    /// As [`Lifetime::keep`], for PERSIST.
    pub(in crate::engine::verbs) fn endless(self) -> Result<Lifetime<'a>, Fault> {
        match self {
            Lifetime::Unsaid | Lifetime::Endless => Ok(Lifetime::Endless),
            _ => Err(Fault::Syntax),
        }
    }

    /// As [`Lifetime::keep`], for a clock's word and the number behind it.
    pub(in crate::engine::verbs) fn until(
        self,
        word: &[u8],
        args: &mut Args<'a>,
    ) -> Result<Lifetime<'a>, Fault> {
        let clock = Clock::named(word).ok_or(Fault::Syntax)?;
        match self {
            Lifetime::Unsaid => {}
            Lifetime::Until(body, _) if body == clock => {}
            _ => return Err(Fault::Syntax),
        }
        Ok(Lifetime::Until(clock, args.next()?))
    }

    /// The moment it names, if it names one.
    pub(in crate::engine::verbs) fn moment(
        self,
        now: WallMs,
        command: &'static str,
    ) -> Result<Option<WallMs>, Fault> {
        match self {
            Lifetime::Until(clock, number) => clock.moment(number, now, command).map(Some),
            _ => Ok(None),
        }
    }
}
