//! Holding clients back for a time: CLIENT PAUSE. What they ask for waits; nothing else changes.
//!
//! A failover needs no hold: it keeps writers out by the master's lock, for as long as it takes and
//! no longer. A hold is for operators, who need the whole set to stand still while they work.

use super::set::Set;
use crate::base::time::MonoUs;
use event_listener::{Event, EventListener};
use parking_lot::Mutex;

/// Who is held back; what holds more is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Hold {
    /// Nobody.
    #[default]
    Nobody,
    /// Who writes.
    Writers,
    /// Everybody.
    All,
}

/// The hold of a set: until when whom, and how to hear of its end.
#[derive(Default)]
pub struct Holding {
    now: Mutex<(Hold, MonoUs)>,
    over: Event,
}

impl Set {
    /// Holds clients back until `until`. Of two holds the later end counts, and the greater. On
    /// return no write is at work that began before.
    pub fn hold(&self, hold: Hold, until: MonoUs, now: MonoUs) {
        {
            let mut holding = self.holding.now.lock();
            *holding = match *holding {
                (_, end) if end <= now => (hold, until),
                (before, end) => (before.max(hold), end.max(until)),
            };
        }
        self.announce();
        drop(self.write(&self.roster()));
    }

    /// Lets everybody go on.
    pub fn let_go(&self) {
        *self.holding.now.lock() = (Hold::Nobody, MonoUs(0));
        self.announce();
        self.holding.over.notify(usize::MAX);
    }

    /// Who is held back at `now`, and until when.
    pub fn held(&self, now: MonoUs) -> Option<(Hold, MonoUs)> {
        let (hold, until) = *self.holding.now.lock();
        (hold != Hold::Nobody && now < until).then_some((hold, until))
    }

    /// Hears of [`Set::let_go`]; look at [`Set::held`] after asking for it.
    pub fn release(&self) -> EventListener {
        self.holding.over.listen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Thresholds;
    use crate::node::new_history;

    fn set() -> Set {
        Set::new(1, 7, new_history(), Thresholds::default(), 1 << 20, 1 << 20)
    }

    #[test]
    fn of_two_holds_the_later_end_and_the_greater_count() {
        let set = set();
        assert_eq!(set.held(MonoUs(0)), None);
        set.hold(Hold::All, MonoUs(50), MonoUs(0));
        set.hold(Hold::Writers, MonoUs(90), MonoUs(10));
        assert_eq!(set.held(MonoUs(20)), Some((Hold::All, MonoUs(90))));
        set.hold(Hold::All, MonoUs(30), MonoUs(20));
        assert_eq!(set.held(MonoUs(89)), Some((Hold::All, MonoUs(90))));
    }

    #[test]
    fn a_hold_ends_by_itself_and_is_forgotten_then() {
        let set = set();
        set.hold(Hold::All, MonoUs(50), MonoUs(0));
        assert_eq!(set.held(MonoUs(50)), None);
        set.hold(Hold::Writers, MonoUs(90), MonoUs(60));
        assert_eq!(set.held(MonoUs(60)), Some((Hold::Writers, MonoUs(90))));
        set.let_go();
        assert_eq!(set.held(MonoUs(60)), None);
    }

    #[test]
    fn whoever_is_at_work_hears_of_a_hold_and_of_its_end() {
        let set = set();
        let before = set.generation();
        set.hold(Hold::All, MonoUs(50), MonoUs(0));
        let held = set.generation();
        set.let_go();
        assert!(before < held && held < set.generation());
    }
}
