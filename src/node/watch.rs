//! WATCH at the master: beginning it, asking whether it still holds, and letting go.

use crate::base::limits::{WATCHED_BYTES_MAX, WATCHED_KEYS_MAX};
use crate::base::planted::{Planted, is_planted};
use crate::base::position::ReplId;
use crate::base::time::{MonoUs, WallMs};
use crate::command::Fault;
use crate::command::codes::WATCH_LIMIT;
use crate::engine::Effects;
use crate::node::{MasterGuard, MemberFlags, ReplicaSet};
use crate::session::{Session, Watch, Watches};

/// Watches `keys` of the session's database. A key whose time has come is deleted first, so that
/// its late deletion is no change.
pub fn watch<'k>(
    set: &ReplicaSet,
    writing: &mut MasterGuard<'_>,
    session: &mut Session,
    keys: impl Iterator<Item = &'k [u8]>,
    wall: WallMs,
    now: MonoUs,
) -> Result<(), Fault> {
    if writing.member().is(MemberFlags::QUARANTINED) {
        return Err(Fault::MasterDown);
    }
    let position = set.position();
    let mut effects = Effects::default();
    // While writers are held back nothing may change; EXEC finds such a key outlived.
    let is_paused = set.pause_in_force(now).is_some() || set.is_following();
    let (db, mut may_watch) = (session.db, true);
    for key in keys {
        may_watch &= session.watches.add(db, key, position.replid, || {
            if !is_paused {
                writing.begin(&mut effects, now).expire(db, key, wall);
            }
            writing.engine().space_mut(db).watch(key)
        });
    }
    // What the session reads from here on must not be older than what it watches.
    session.saw_all(set.position());
    if may_watch { Ok(()) } else { Err(WATCH_LIMIT) }
}

/// Of watches that never hold: no history has this name.
const NO_HISTORY: ReplId = ReplId::new([0; 20]);

/// Watches `keys` while a script keeps everybody from the master: nobody can say what it has
/// changed, so the next EXEC finds that they have.
pub fn watch_in_vain<'k>(
    session: &mut Session,
    keys: impl Iterator<Item = &'k [u8]>,
) -> Result<(), Fault> {
    let (db, mut may_watch) = (session.db, true);
    for key in keys {
        may_watch &= session.watches.add(db, key, NO_HISTORY, || 0);
    }
    if may_watch { Ok(()) } else { Err(WATCH_LIMIT) }
}

const _: () = assert!(WATCHED_KEYS_MAX == 65536 && WATCHED_BYTES_MAX == 64 << 20);

/// Whether a watched key has changed, has outlived its deadline, or is watched at a member that is
/// no longer the master.
pub fn has_stale_watch(
    set: &ReplicaSet,
    writing: &mut MasterGuard<'_>,
    watches: &Watches,
    now: WallMs,
) -> bool {
    if watches.is_empty() || is_planted(Planted::WatchIgnored) {
        return false;
    }
    watches.iter().any(|it| is_stale(set, writing, it, now))
}

/// The same of one watch.
pub fn is_stale(
    set: &ReplicaSet,
    writing: &mut MasterGuard<'_>,
    watch: &Watch,
    now: WallMs,
) -> bool {
    let engine = writing.engine();
    let is_as_seen = watch.replid == set.history().replid
        && engine.space(watch.db).version(&watch.key) == Some(watch.version);
    !is_as_seen || engine.has_outlived(watch.db, now, &watch.key)
}

/// Ends all watches of a session.
pub fn unwatch_all(set: &ReplicaSet, session: &mut Session) {
    if session.watches.is_empty() {
        return;
    }
    set.outlived_watches.lock().push(std::mem::take(&mut session.watches));
    set.end_outlived_watches();
}

impl ReplicaSet {
    /// Ends the watches whose sessions have ended them, unless somebody holds the master for long:
    /// then that one does when it lets go, and no worker waits for it.
    pub(super) fn end_outlived_watches(&self) {
        let member_list = self.member_list();
        while !self.outlived_watches.lock().is_empty() {
            let Some(mut writing) = self.write_unless_long(&member_list) else { return };
            let outlived = std::mem::take(&mut *self.outlived_watches.lock());
            outlived.iter().for_each(|it| unwatch(self, &mut writing, it));
        }
    }
}

/// Ends these watches. Those of another history went with the failover that ended it.
pub fn unwatch(set: &ReplicaSet, writing: &mut MasterGuard<'_>, watches: &Watches) {
    let replid = set.history().replid;
    for watch in watches.iter().filter(|it| it.replid == replid) {
        writing.engine().space_mut(watch.db).unwatch(&watch.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Thresholds;
    use crate::node::new_replid;
    use crate::node::transaction::tests::write;

    const NOW: WallMs = WallMs(1_000_000);

    fn set() -> ReplicaSet {
        ReplicaSet::new(1, 7, new_replid(), Thresholds::default(), 1 << 20, 1 << 20)
    }

    fn watching(set: &ReplicaSet, keys: &[&str]) -> Session {
        let mut session = Session::default();
        let keys = keys.iter().map(|it| it.as_bytes());
        let member_list = set.member_list();
        let mut writing = set.write(&member_list);
        watch(set, &mut writing, &mut session, keys, NOW, MonoUs(0)).unwrap();
        session
    }

    fn is_any_stale(set: &ReplicaSet, session: &Session, now: WallMs) -> bool {
        let member_list = set.member_list();
        has_stale_watch(set, &mut set.write(&member_list), &session.watches, now)
    }

    fn is_watched(set: &ReplicaSet, key: &str) -> bool {
        let member_list = set.member_list();
        set.write(&member_list).engine().space(0).version(key.as_bytes()).is_some()
    }

    #[test]
    fn a_watch_is_stale_once_its_key_has_changed() {
        let set = set();
        let session = watching(&set, &["a", "b", "a"]);
        assert_eq!(session.watches.len(), 2);
        write(&set, "SET c 1", NOW);
        assert!(!is_any_stale(&set, &session, NOW));
        write(&set, "SET b 1", NOW);
        assert!(is_any_stale(&set, &session, NOW));
    }

    #[test]
    fn what_is_watched_in_vain_never_holds_and_leaves_nothing_behind() {
        let set = set();
        let mut session = watching(&set, &["a"]);
        watch_in_vain(&mut session, [&b"a"[..], b"b"].into_iter()).unwrap();
        assert_eq!(session.watches.len(), 2);
        assert!(is_any_stale(&set, &session, NOW) && !is_watched(&set, "b"));
        let other = watching(&set, &["b"]);
        unwatch_all(&set, &mut session);
        assert!(is_watched(&set, "b") && !is_watched(&set, "a"));
        assert!(!is_any_stale(&set, &other, NOW));
    }

    #[test]
    fn a_key_whose_time_comes_after_watch_has_changed() {
        let set = set();
        write(&set, "SET a 1 PX 100", NOW);
        let session = watching(&set, &["a"]);
        assert!(!is_any_stale(&set, &session, WallMs(NOW.0 + 100)));
        assert!(is_any_stale(&set, &session, WallMs(NOW.0 + 101)));
    }

    #[test]
    fn a_key_whose_time_came_before_watch_is_not_there() {
        let set = set();
        write(&set, "SET a 1 PX 100", WallMs(NOW.0 - 200));
        let session = watching(&set, &["a"]);
        assert!(!is_any_stale(&set, &session, NOW));
        write(&set, "GETDEL a", NOW);
        assert!(!is_any_stale(&set, &session, NOW));
    }

    #[test]
    fn a_client_that_watches_too_much_is_told_and_leaves_none_behind() {
        let set = set();
        let keys: Vec<String> = (0..WATCHED_KEYS_MAX + 2).map(|it| format!("k{it}")).collect();
        let mut session = Session::default();
        let all = keys.iter().map(String::as_bytes);
        let member_list = set.member_list();
        let mut writing = set.write(&member_list);
        let outcome = watch(&set, &mut writing, &mut session, all, NOW, MonoUs(0));
        drop(writing);
        assert_eq!(outcome, Err(WATCH_LIMIT));
        assert_eq!(session.watches.len(), WATCHED_KEYS_MAX);
        assert!(is_watched(&set, "k0") && !is_watched(&set, keys.last().unwrap()));
        unwatch_all(&set, &mut session);
        assert!(keys.iter().all(|it| !is_watched(&set, it)));
    }

    #[test]
    fn flushing_changes_only_keys_that_were_there() {
        let set = set();
        write(&set, "SET a 1", NOW);
        let (there, not_there) = (watching(&set, &["a"]), watching(&set, &["b"]));
        write(&set, "FLUSHALL", NOW);
        assert!(is_any_stale(&set, &there, NOW));
        assert!(!is_any_stale(&set, &not_there, NOW));
    }

    #[test]
    fn a_failover_makes_every_watch_stale_and_leaves_none_behind() {
        let set = set();
        write(&set, "SET a 1", NOW);
        let mut session = watching(&set, &["a"]);
        set.fail_over(&set.member_list()[1]).unwrap();
        assert!(is_any_stale(&set, &session, NOW));
        unwatch_all(&set, &mut session);
        set.fail_over(&set.member_list()[0]).unwrap();
        assert!(!is_watched(&set, "a"));
    }

    #[test]
    fn a_key_is_watched_as_long_as_any_session_watches_it() {
        let set = set();
        let (mut one, mut other) = (watching(&set, &["a"]), watching(&set, &["a"]));
        unwatch_all(&set, &mut one);
        write(&set, "SET a 1", NOW);
        assert!(is_any_stale(&set, &other, NOW));
        unwatch_all(&set, &mut other);
        assert!(!is_watched(&set, "a"));
    }

    #[test]
    fn while_nothing_may_change_a_watch_deletes_no_key_whose_time_has_come() {
        use crate::base::remote_address::RemoteAddress;
        use crate::node::{PauseMode, RemoteMaster};
        type Pauses = fn(&ReplicaSet);
        let pauses: [(Pauses, bool); 3] = [
            (|_| {}, true),
            (|it| it.pause_clients(PauseMode::Writers, MonoUs(50), MonoUs(0)), false),
            (
                |it| {
                    let address = RemoteAddress { host: "there".into(), port: 1 };
                    it.follow(RemoteMaster::new(address, MonoUs(0)));
                },
                false,
            ),
        ];
        for (pause, deletes) in pauses {
            let set = set();
            write(&set, "SET a 1 PX 100", WallMs(NOW.0 - 200));
            pause(&set);
            let before = set.head();
            watching(&set, &["a"]);
            assert_eq!(before < set.head(), deletes);
        }
    }
}
