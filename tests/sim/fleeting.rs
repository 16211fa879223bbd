//! What expires, and what members have of what was written by some time.

use super::finding::Checker;
use super::members;
use super::peer::{is_in_sight, place_at};
use super::world::{Before, World};
use entourage::base::time::Clock;
use entourage::node::Member;

impl World {
    /// Somebody has been shown what this request has written.
    pub fn fleeting_fits(&mut self, number: u64, before: &Before) {
        if before.is_apart {
            // The wall's clock may have jumped since it was read.
            return;
        }
        let wall = self.clock.wall_now().0;
        let deadline = self.ledger.deadlines.get(&number).copied();
        if deadline.is_none_or(|it| it < wall) {
            let what = format!("at {wall} ms what request {number} has written until {deadline:?}");
            self.find(Checker::Expired, what);
        }
        self.count("fleeting reads");
    }

    /// Whether a member has every write up to this one; `true` when nobody can look.
    pub fn has_all_before(&self, member: &Member, place: u64) -> bool {
        let set = self.set();
        !is_in_sight(set, member)
            || members::keys().all(|(db, key, _)| {
                let key = (db, key);
                self.ledger.latest(key, place) <= place_at(set, &self.ledger, member, key)
            })
    }
}
