//! Holding clients back for a time: CLIENT PAUSE. What they ask for waits; nothing else changes.
//!
//! A failover needs no pause: it keeps writers out by the master's lock, for as long as it takes
//! and no longer. A pause is for operators, who need the whole set to stand still while they work.

use crate::base::time::MonoUs;
use parking_lot::Mutex;

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
    now: Mutex<(PauseMode, MonoUs)>,
}

impl Pause {
    /// Holds clients back until `until`. Of two pauses the later end counts, and the greater.
    pub fn extend(&self, mode: PauseMode, until: MonoUs, now: MonoUs) {
        let mut pause = self.now.lock();
        *pause = match *pause {
            (_, end) if end <= now => (mode, until),
            (before, end) => (before.max(mode), end.max(until)),
        };
    }

    /// Lets everybody go on.
    pub fn end(&self) {
        *self.now.lock() = (PauseMode::Nobody, MonoUs(0));
    }

    /// Who is held back at `now`, and until when.
    pub fn in_force(&self, now: MonoUs) -> Option<(PauseMode, MonoUs)> {
        let (mode, until) = *self.now.lock();
        (mode != PauseMode::Nobody && now < until).then_some((mode, until))
    }

    /// Whether a pause has begun and nobody has ended it; its time may be over.
    pub fn has_begun(&self) -> bool {
        self.now.lock().0 != PauseMode::Nobody
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
}
