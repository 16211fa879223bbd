//! Which states a run has come to.

use super::coverage::{member_states, name_of_follower};
use super::world::World;
use entourage::base::time::Clock;

/// Steps between two looks at what states everything is in.
const STATES_EVERY: u64 = 16;

impl World {
    /// Counts the states that members and followers are in, from time to time.
    pub fn look_at_states(&mut self) {
        if !self.steps.is_multiple_of(STATES_EVERY) {
            return;
        }
        let set = self.set().clone();
        for member in set.member_list().iter() {
            let is_in = member_states().filter(|it| member.is(it.0));
            is_in.for_each(|it| self.count(it.1));
        }
        for follower in set.followers(self.clock.mono_now()) {
            self.count(name_of_follower(follower.state));
        }
    }

    /// What the product has noted is counted with the rest.
    pub fn count_reached(&mut self) {
        let reached = std::mem::take(&mut *self.reached.lock());
        for (what, count) in reached {
            *self.counts.entry(what.into()).or_default() += count;
        }
    }
}
