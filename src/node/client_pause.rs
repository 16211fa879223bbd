//! CLIENT PAUSE of a whole set: who is held back, and how everybody hears of it.

use super::pause::PauseMode;
use super::replica_set::ReplicaSet;
use crate::base::time::MonoUs;

impl ReplicaSet {
    /// Holds clients back until `until`. Of two pauses the later end counts, and the greater. On
    /// return no write is at work that began before.
    pub fn pause_clients(&self, mode: PauseMode, until: MonoUs, now: MonoUs) {
        self.pause.extend(mode, until, now);
        self.wait_for_writers();
    }

    /// Holds writers back, whatever CLIENT PAUSE says. On return no write is at work that began
    /// before it.
    pub fn hold_writers(&self, now: MonoUs) {
        self.pause.set_ending(true, now);
        self.wait_for_writers();
    }

    /// Lets them go on.
    pub fn let_writers_go(&self, now: MonoUs) {
        self.pause.set_ending(false, now);
        self.announce();
        self.wake_waiters();
    }

    fn wait_for_writers(&self) {
        self.announce();
        drop(self.write(&self.member_list()));
        // Nor are words that enter the log without the master.
        drop(self.log.lock());
    }

    /// Lets everybody go on.
    pub fn unpause_clients(&self) {
        self.pause.end();
        self.announce();
        self.wake_waiters();
    }

    /// Who is held back at `now`, and until when.
    pub fn pause_in_force(&self, now: MonoUs) -> Option<(PauseMode, MonoUs)> {
        self.pause.in_force(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Thresholds;
    use crate::node::new_replid;

    fn set() -> ReplicaSet {
        ReplicaSet::new(1, 7, new_replid(), Thresholds::default(), 1 << 20, 1 << 20)
    }

    #[test]
    fn of_two_pauses_the_later_end_and_the_greater_mode_count() {
        let set = set();
        assert_eq!(set.pause_in_force(MonoUs(0)), None);
        set.pause_clients(PauseMode::All, MonoUs(50), MonoUs(0));
        set.pause_clients(PauseMode::Writers, MonoUs(90), MonoUs(10));
        assert_eq!(set.pause_in_force(MonoUs(20)), Some((PauseMode::All, MonoUs(90))));
        set.pause_clients(PauseMode::All, MonoUs(30), MonoUs(20));
        assert_eq!(set.pause_in_force(MonoUs(89)), Some((PauseMode::All, MonoUs(90))));
    }

    #[test]
    fn a_pause_ends_by_itself_and_is_forgotten_then() {
        let set = set();
        set.pause_clients(PauseMode::All, MonoUs(50), MonoUs(0));
        assert_eq!(set.pause_in_force(MonoUs(50)), None);
        set.pause_clients(PauseMode::Writers, MonoUs(90), MonoUs(60));
        assert_eq!(set.pause_in_force(MonoUs(60)), Some((PauseMode::Writers, MonoUs(90))));
        set.unpause_clients();
        assert_eq!(set.pause_in_force(MonoUs(60)), None);
    }

    #[test]
    fn whoever_is_at_work_hears_of_a_pause_and_of_its_end() {
        let set = set();
        let before = set.generation();
        set.pause_clients(PauseMode::All, MonoUs(50), MonoUs(0));
        let pause_in_force = set.generation();
        set.unpause_clients();
        assert!(before < pause_in_force && pause_in_force < set.generation());
    }
}
