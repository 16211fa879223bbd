//! What the log is told once a second, however often it has happened: steps that reads took down
//! their ladders, and replicas that lag.

use crate::base::time::MonoUs;
use crate::metrics::LADDER_STEPS_MAX;
use crate::node::{FollowerStatus, MemberFlags};
use crate::route::StepKind;
use crate::state::Server;

/// A replica that is this far behind lags.
const LAGGING_US: u64 = 1_000_000;

/// What the log has been told.
#[derive(Default)]
pub struct Notices {
    steps: [u64; LADDER_STEPS_MAX],
    lagging: Vec<String>,
    /// The number of the next slow command.
    slow: u64,
}

impl Notices {
    /// Tells what is new.
    pub fn tell(&mut self, server: &Server, now: MonoUs) {
        for (kind, reads) in self.new_steps(&server.metrics.tally().ladder) {
            let level = match kind {
                StepKind::Error | StepKind::Stale => log::Level::Warn,
                _ => log::Level::Info,
            };
            log::log!(level, "event=ladder step={} count={reads}", kind.as_str());
        }
        self.tell_slow(server);
        let followers = server.set.followers(now);
        let replicas = followers.iter().filter(|it| it.is_replica());
        let lagging: Vec<&FollowerStatus> = replicas.filter(|it| lags(it)).collect();
        let (begun, over) = self.changed(lagging.iter().map(|it| it.name.clone()).collect());
        if let Some(worst) = lagging.iter().max_by_key(|it| it.behind_us)
            && !begun.is_empty()
        {
            log::warn!(
                "event=lagging members={} count={} worst={} lag-ms={} lag-bytes={}",
                begun.join(","),
                begun.len(),
                worst.name,
                worst.behind_us / 1000,
                server.set.head().since(worst.acked),
            );
        }
        if !over.is_empty() {
            log::info!("event=lags-no-more members={} count={}", over.join(","), over.len());
        }
    }

    /// The slowest command of those that were slow since the last look. What it was about stands in
    /// the slow log alone: keys may be nobody else's business.
    fn tell_slow(&mut self, server: &Server) {
        let (count, slowest) = {
            let slowlog = server.slowlog.lock();
            let (count, slowest, next) = slowlog.since(self.slow);
            self.slow = next;
            (count, slowest.cloned())
        };
        let Some(slowest) = slowest else { return };
        let command = slowest.words.first().map(|it| it.to_ascii_lowercase()).unwrap_or_default();
        let (command, us) = (command.escape_ascii(), slowest.took_us);
        log::info!("event=slow-command {} command={command} us={us} count={count}", slowest.who);
    }

    /// Reads that have taken each step since the last look. Catching up is what replicas are for.
    fn new_steps(&mut self, taken: &[u64; LADDER_STEPS_MAX]) -> Vec<(StepKind, u64)> {
        let kinds = StepKind::ALL.iter().zip(taken.iter().zip(&self.steps));
        // CONFIG RESETSTAT begins anew.
        let gained =
            kinds.map(|(kind, (now, before))| (*kind, now.checked_sub(*before).unwrap_or(*now)));
        let new = gained.filter(|it| it.0 != StepKind::CatchUp && it.1 != 0).collect();
        self.steps = *taken;
        new
    }

    /// Who has begun to lag since the last look, and who lags no more.
    fn changed(&mut self, lagging: Vec<String>) -> (Vec<String>, Vec<String>) {
        let before = std::mem::replace(&mut self.lagging, lagging);
        let without = |all: &[String], others: &[String]| -> Vec<String> {
            all.iter().filter(|it| !others.contains(it)).cloned().collect()
        };
        (without(&self.lagging, &before), without(&before, &self.lagging))
    }
}

/// Whether it is far behind, and not by an operator's word.
fn lags(follower: &FollowerStatus) -> bool {
    let is_paused = follower.member.as_ref().is_some_and(|it| it.is(MemberFlags::PAUSED));
    !is_paused && (LAGGING_US..u64::MAX).contains(&follower.behind_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_steps_that_are_new_are_told_and_catching_up_is_not() {
        let mut notices = Notices::default();
        let taken = |steps: [u64; 6]| {
            let mut taken = [0; LADDER_STEPS_MAX];
            taken[..6].copy_from_slice(&steps);
            taken
        };
        assert_eq!(notices.new_steps(&taken([9, 0, 0, 0, 0, 0])), []);
        let new = notices.new_steps(&taken([9, 0, 3, 0, 1, 0]));
        assert_eq!(new, [(StepKind::Wait, 3), (StepKind::Error, 1)]);
        assert_eq!(notices.new_steps(&taken([10, 0, 3, 0, 1, 0])), []);
        // After CONFIG RESETSTAT.
        assert_eq!(notices.new_steps(&taken([0, 0, 2, 0, 0, 0])), [(StepKind::Wait, 2)]);
    }

    #[test]
    fn a_replica_that_lags_is_told_of_when_it_begins_and_when_it_ends() {
        let mut notices = Notices::default();
        let names = |of: &[&str]| of.iter().map(|it| it.to_string()).collect::<Vec<_>>();
        assert_eq!(notices.changed(names(&["n2"])), (names(&["n2"]), names(&[])));
        assert_eq!(notices.changed(names(&["n2"])), (names(&[]), names(&[])));
        assert_eq!(notices.changed(names(&["n3"])), (names(&["n3"]), names(&["n2"])));
    }
}
