//! WATCH at the master: beginning it, asking whether it still holds, and letting go.

use super::House;
use crate::base::time::{MonoUs, WallMs};
use crate::command::Fault;
use crate::engine::Effects;
use crate::node::{Duty, Set, Writing};
use crate::session::{Session, Watch};

/// Watches `keys` of the session's database. A key whose time has come is deleted first, so that its
/// late deletion is no change.
pub fn watch<'k>(
    house: &House,
    session: &mut Session,
    keys: impl Iterator<Item = &'k [u8]>,
    wall: WallMs,
    now: MonoUs,
) -> Result<(), Fault> {
    let roster = house.set.roster();
    let mut writing = house.set.write(&roster);
    if writing.member().is(Duty::Quarantined) {
        return Err(Fault::MasterDown);
    }
    let position = house.set.position();
    let mut effects = Effects::default();
    for key in keys {
        if session.watches.iter().any(|it| it.db == session.db && *it.key == *key) {
            continue;
        }
        writing.expire_key(session.db, key, wall, &mut effects, now);
        let version = writing.engine().space_mut(session.db).watch(key);
        let history = position.history;
        session.watches.push(Watch { db: session.db, key: key.into(), version, history });
    }
    // What the session reads from here on must not be older than what it watches.
    session.saw(house.set.position());
    Ok(())
}

/// Whether a watched key has changed, has outlived its deadline, or is watched at a member that is no
/// longer the master.
pub fn has_stale_watch(
    set: &Set,
    writing: &mut Writing<'_>,
    watches: &[Watch],
    now: WallMs,
) -> bool {
    if watches.is_empty() {
        return false;
    }
    let history = set.lineage().history;
    watches.iter().any(|it| {
        let space = writing.engine().space(it.db);
        let is_as_seen = it.history == history && space.version(&it.key) == Some(it.version);
        !is_as_seen || writing.engine().has_outlived(it.db, now, &it.key)
    })
}

/// Ends all watches of a session.
pub fn unwatch_all(set: &Set, session: &mut Session) {
    if session.watches.is_empty() {
        return;
    }
    let watches = std::mem::take(&mut session.watches);
    let roster = set.roster();
    let mut writing = set.write(&roster);
    unwatch(set, &mut writing, watches);
}

/// Ends these watches. Those of another history went with the failover that ended it.
pub fn unwatch(set: &Set, writing: &mut Writing<'_>, watches: Vec<Watch>) {
    let history = set.lineage().history;
    for watch in watches.iter().filter(|it| it.history == history) {
        writing.engine().space_mut(watch.db).unwatch(&watch.key);
    }
}
