//! What a read does whose replica could not serve it: the next step of its ladder.

use super::run::ReadRun;
use super::view::UpstreamView;
use crate::base::ids::MemberId;
use crate::base::places::Places;
use crate::base::time::MonoUs;
use crate::route::Step;
use std::time::Duration;

/// How long a read that waits leaves its replica alone before it asks again.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// What a read does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextTry {
    /// It goes to this replica.
    Replica(MemberId),
    /// It goes to this replica, whatever that has.
    Stale(MemberId),
    /// It goes to this replica, once it is this late.
    Later(MemberId, MonoUs),
    /// Nobody can serve it now, and one of them may soon: it is looked again when it is this late.
    Again(MonoUs),
    /// It goes to the master.
    Master,
    /// It is answered that no replica has what it needs.
    Lagged,
}

/// Where reads go, which `by` could not serve if it has been tried. Notes in `read` how far they
/// have come. `random`
/// are 64 random bits.
pub fn next_try(
    read: &mut ReadRun,
    by: Option<MemberId>,
    view: &UpstreamView,
    now: MonoUs,
    random: u64,
) -> NextTry {
    read.tried = by.map_or(read.tried, |it| read.tried.with(it));
    while let Some(step) = read.ladder.steps().get(usize::from(read.step)).copied() {
        let found = match step {
            // Nobody can make a real server catch up.
            Step::CatchUp => None,
            Step::OtherReplica => {
                let is_new = |it: MemberId| !read.tried.has(it);
                view.replica(read.allowed, random, is_new).map(NextTry::Replica)
            }
            Step::Wait(at_most) => {
                let until = *read.waits_until.get_or_insert(now.plus(at_most));
                let replica = view.replica(read.allowed, random, |_| true);
                let again = now.plus(ASK_AGAIN).min(until);
                match replica {
                    _ if until <= now => None,
                    Some(replica) => Some(NextTry::Later(replica, again)),
                    None => view.is_any_doubtful(read.allowed).then_some(NextTry::Again(again)),
                }
            }
            Step::Master => view.master.map(|_| NextTry::Master),
            // Once each: one that refuses to show old data goes on doing so.
            Step::Stale => {
                let is_new = |it: MemberId| !read.tried.has(it);
                let fed = view.replica(read.allowed, random, is_new);
                fed.or_else(|| view.unfed_replica(read.allowed, is_new)).map(NextTry::Stale)
            }
            Step::Error => Some(NextTry::Lagged),
        };
        if let Some(found) = found {
            return found;
        }
        read.step += 1;
        read.waits_until = None;
        read.tried = Places::default();
    }
    // There is none now, and there may be one soon.
    let waits_for_master = read.ladder.steps().contains(&Step::Master);
    if waits_for_master { NextTry::Master } else { NextTry::Lagged }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::upstream::topology::tests::view_of;
    use crate::route::Ladder;

    fn read(steps: &[Step]) -> ReadRun {
        ReadRun {
            needs: None,
            allowed: None,
            ladder: Ladder::new(steps).unwrap(),
            step: 0,
            waits_until: None,
            tried: Places::default(),
        }
    }

    #[test]
    fn each_replica_is_tried_once_and_then_the_master() {
        let view = view_of(Some(0), 4);
        let mut read = read(&[Step::OtherReplica, Step::Master]);
        let (mut by, mut seen) = (MemberId(1), vec![MemberId(1)]);
        while let NextTry::Replica(next) = next_try(&mut read, Some(by), &view, MonoUs(1), 7) {
            assert!(!seen.contains(&next) && next != MemberId(0));
            seen.push(next);
            by = next;
        }
        assert_eq!(seen.len(), 3);
        assert_eq!(next_try(&mut read, Some(by), &view, MonoUs(1), 7), NextTry::Master);
    }

    #[test]
    fn a_ladder_that_ends_in_the_master_waits_for_one() {
        let view = view_of(None, 2);
        let mut read = read(&[Step::OtherReplica, Step::Master]);
        let tried =
            |read: &mut ReadRun, by| next_try(read, Some(MemberId(by)), &view, MonoUs(1), 7);
        assert_eq!(tried(&mut read, 0), NextTry::Replica(MemberId(1)));
        assert_eq!(tried(&mut read, 1), NextTry::Master);
    }

    #[test]
    fn a_wait_ends_and_without_a_master_the_ladder_goes_on() {
        let view = view_of(None, 3);
        let steps = [Step::Wait(Duration::from_millis(5)), Step::Master, Step::Stale];
        let mut read = read(&steps);
        let by = MemberId(1);
        let NextTry::Later(_, at) = next_try(&mut read, Some(by), &view, MonoUs(0), 7) else {
            panic!("it waits")
        };
        assert_eq!(at, MonoUs(1000));
        assert!(matches!(
            next_try(&mut read, Some(by), &view, MonoUs(4500), 7),
            NextTry::Later(_, MonoUs(5000))
        ));
        assert!(matches!(next_try(&mut read, Some(by), &view, MonoUs(5000), 7), NextTry::Stale(_)));
        let mut read = self::read(&[Step::Error]);
        assert_eq!(next_try(&mut read, Some(by), &view, MonoUs(0), 7), NextTry::Lagged);
        let mut read = self::read(&[]);
        assert_eq!(next_try(&mut read, Some(by), &view, MonoUs(0), 7), NextTry::Lagged);
    }

    #[test]
    fn what_is_old_is_asked_of_each_once() {
        let view = view_of(None, 3);
        let mut read = read(&[Step::OtherReplica, Step::Stale]);
        let (mut by, mut seen) = (MemberId(1), Vec::new());
        for _ in 0..2 {
            let NextTry::Replica(next) = next_try(&mut read, Some(by), &view, MonoUs(1), 7) else {
                panic!("there are others")
            };
            by = next;
        }
        while let NextTry::Stale(next) = next_try(&mut read, Some(by), &view, MonoUs(1), 7) {
            assert!(!seen.contains(&next), "{next:?} has refused");
            seen.push(next);
            by = next;
        }
        assert_eq!(seen.len(), 3);
        assert_eq!(next_try(&mut read, Some(by), &view, MonoUs(1), 7), NextTry::Lagged);
    }
}
