//! Holding clients back for a time: CLIENT PAUSE. What they ask for waits; nothing else changes.
//!
//! A failover needs no pause: it keeps writers out by the master's lock, for as long as it takes
//! and no longer. A pause is for operators, who need the whole set to stand still while they work,
//! and for the end of the server, whose last snapshot has to hold every write that is answered.

use crate::base::time::MonoUs;
use parking_lot::Mutex;
use std::time::Duration;

/// When those look again whom the end of the server holds back: it may have been called off.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Which clients CLIENT PAUSE holds back; what holds more is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum PauseMode {
    /// Nobody.
    #[default]
    Nobody,
    /// Who writes.
    Writers,
    /// Everybody.
    All,
}

/// The pause of a set: whom it holds back, and until when.
#[derive(Default)]
pub struct Pause {
    now: Mutex<Held>,
}

/// Who is held back.
#[derive(Clone, Copy, Default)]
struct Held {
    /// By CLIENT PAUSE, until `until`.
    mode: PauseMode,
    until: MonoUs,
    /// Whether the server is about to end: no writer goes on.
    is_ending: bool,
}

impl Pause {
    /// Holds clients back until `until`. Of two pauses the later end counts, and the greater.
    pub fn extend(&self, mode: PauseMode, until: MonoUs, now: MonoUs) {
        let mut held = self.now.lock();
        (held.mode, held.until) = match (held.mode, held.until) {
            (_, end) if end <= now => (mode, until),
            (before, end) => (before.max(mode), end.max(until)),
        };
    }

    /// Lets everybody go on whom CLIENT PAUSE holds back.
    pub fn end(&self) {
        let mut held = self.now.lock();
        (held.mode, held.until) = (PauseMode::Nobody, MonoUs(0));
    }

    /// Whether writers are held back because the server is about to end. A pause whose time is over
    /// is over then, too.
    pub fn set_ending(&self, is_ending: bool, now: MonoUs) {
        let mut held = self.now.lock();
        held.is_ending = is_ending;
        if held.until <= now {
            held.mode = PauseMode::Nobody;
        }
    }

    /// Who is held back at `now`, and until when.
    pub fn in_force(&self, now: MonoUs) -> Option<(PauseMode, MonoUs)> {
        let held = *self.now.lock();
        let by_client = held.mode != PauseMode::Nobody && now < held.until;
        match (by_client, held.is_ending) {
            (false, false) => None,
            (true, false) => Some((held.mode, held.until)),
            (false, true) => Some((PauseMode::Writers, now.plus(LOOK_AGAIN))),
            (true, true) => Some((held.mode.max(PauseMode::Writers), held.until)),
        }
    }

    /// Whether a pause has begun and nobody has ended it; its time may be over.
    pub fn has_begun(&self) -> bool {
        let held = *self.now.lock();
        held.mode != PauseMode::Nobody || held.is_ending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_holds_until_its_time_is_over_and_has_begun_until_somebody_ends_it() {
        let pause = Pause::default();
        assert!(!pause.has_begun() && pause.in_force(MonoUs(1)).is_none());
        pause.extend(PauseMode::Writers, MonoUs(10), MonoUs(1));
        pause.extend(PauseMode::All, MonoUs(5), MonoUs(2));
        assert_eq!(pause.in_force(MonoUs(9)), Some((PauseMode::All, MonoUs(10))), "the greater");
        assert!(pause.has_begun() && pause.in_force(MonoUs(10)).is_none());
        pause.extend(PauseMode::Writers, MonoUs(30), MonoUs(10));
        assert_eq!(pause.in_force(MonoUs(11)), Some((PauseMode::Writers, MonoUs(30))), "another");
        pause.end();
        assert!(!pause.has_begun() && pause.in_force(MonoUs(11)).is_none());
    }

    #[test]
    fn the_end_of_the_server_holds_writers_whatever_clients_say() {
        let pause = Pause::default();
        let mode = |now| pause.in_force(MonoUs(now)).map(|it| it.0);
        pause.set_ending(true, MonoUs(1));
        assert!(pause.has_begun() && mode(1) == Some(PauseMode::Writers));
        pause.extend(PauseMode::All, MonoUs(10), MonoUs(1));
        assert_eq!((mode(9), mode(10)), (Some(PauseMode::All), Some(PauseMode::Writers)));
        pause.end();
        assert!(pause.has_begun() && mode(11) == Some(PauseMode::Writers), "not by UNPAUSE");
        pause.set_ending(false, MonoUs(11));
        assert!(!pause.has_begun() && mode(11).is_none());
        pause.extend(PauseMode::Writers, MonoUs(20), MonoUs(12));
        pause.set_ending(true, MonoUs(13));
        pause.set_ending(false, MonoUs(20));
        assert!(!pause.has_begun(), "nobody has ended it, but its time is over");
    }
}
