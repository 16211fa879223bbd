//! Members that come and go while the set serves.
//!
//! A place belongs to a name for as long as the process lives, and so do its statistics: a member
//! that is removed leaves its place empty, and one of the same name takes it again.

use super::failover::Refused;
use super::member::Member;
use super::member_state::MemberFlags;
use super::replica_set::{MemberList, ReplicaSet};
use crate::base::places::Places;
use crate::base::time::MonoUs;
use crate::replication::DisconnectReason;
use crate::route::MemberConfig;
use crate::runtime::lazyfree;
use std::sync::Arc;

/// Those of a member list that have not been removed.
pub fn present(member_list: &MemberList) -> impl Iterator<Item = &Arc<Member>> {
    member_list.iter().filter(|it| !it.is(MemberFlags::REMOVED))
}

impl ReplicaSet {
    /// The members as an operator describes them, by place.
    pub fn described(&self) -> Vec<MemberConfig> {
        self.members().map(|it| it.described()).collect()
    }

    /// Adds a replica that nobody has described; `None` when there is no room for another.
    pub fn add_replica(&self, now: MonoUs) -> Option<Arc<Member>> {
        self.add_member(MemberConfig::unnamed, now).ok()
    }

    /// Adds a replica, which must be synced before it serves. `describe` says what it is called and
    /// the like, given its place. Answers it, or why there is none.
    pub fn add_member(
        &self,
        describe: impl FnOnce(usize) -> MemberConfig,
        now: MonoUs,
    ) -> Result<Arc<Member>, String> {
        let _alone = self.change();
        let count = self.places().count();
        // Without a name it is called by its place: the first that its own member has left.
        let is_left = |it: &&Arc<Member>| {
            it.is(MemberFlags::REMOVED) && it.name == MemberConfig::default_name(it.id.index())
        };
        let free = self.places().find(is_left).map_or(count, |it| it.id.index());
        let config = describe(free);
        let same_name = |it: &&Arc<Member>| it.name.eq_ignore_ascii_case(&config.name);
        let before = self.places().find(same_name).filter(|it| it.is(MemberFlags::REMOVED));
        let index = before.map_or(count, |it| it.id.index());
        if let Some(why) = config.clashes(index, self.members().map(|it| it.name.as_str())) {
            return Err(why);
        }
        let member = match before {
            Some(member) => {
                member.describe(config);
                member.enter(MemberFlags::UNSYNCED, now);
                member.leave(MemberFlags::all().difference(MemberFlags::UNSYNCED));
                member.clone()
            }
            None => self.new_member(config, now).ok_or_else(|| self.full())?,
        };
        member.make_follower(&mut self.log.lock());
        self.renew_member_list();
        Ok(member)
    }

    fn new_member(&self, config: MemberConfig, now: MonoUs) -> Option<Arc<Member>> {
        self.new_place(|id| {
            let member = Arc::new(Member::new(id, config, self.new_engine()));
            member.enter(MemberFlags::UNSYNCED, now);
            member
        })
    }

    fn full(&self) -> String {
        const FULL: &str = "the set has no room for another member";
        let left = self.places().filter(|it| it.is(MemberFlags::REMOVED));
        let names: Vec<&str> = left.map(|it| it.name.as_str()).collect();
        match names.is_empty() {
            true => FULL.to_owned(),
            false => format!("{FULL} but one of a name it had: {}", names.join(", ")),
        }
    }

    /// Takes a replica out of the set for good: its reads go elsewhere, who waits for it looks
    /// again, and its data is freed. Waits until those that are reading it have done so, and for a
    /// full resync: not for a worker that has clients to serve.
    pub fn remove_member(&self, member: &Member, now: MonoUs) -> Result<(), Refused> {
        let _alone = self.change();
        if member.id == self.master() {
            return Err(Refused::IsMaster);
        }
        if member.is(MemberFlags::REMOVED) {
            return Err(Refused::Unfit("removed".into()));
        }
        member.enter(MemberFlags::REMOVED, now);
        if let Some(id) = member.follower() {
            self.log.lock().disconnect(id, DisconnectReason::Removed);
        }
        // Whoever has planned to read there plans again: this is seen under the member's lock.
        self.renew_member_list();
        self.left_sync();
        let mut hosted = member.write_patiently();
        let removed = self.remove_data(member, &mut hosted);
        drop(hosted);
        lazyfree::free_async(removed);
        log::info!("event=removed member={}", member.name);
        Ok(())
    }

    /// Whether `member` is the last replica that serves the reads of everybody: without it they all
    /// go to the master.
    pub fn is_last_in_service(&self, member: &Member) -> bool {
        self.is_last(member, |it| !it.is_dedicated())
    }

    /// Whether `member` is the last replica in service among these.
    pub fn is_last_in_service_of(&self, places: Places, member: &Member) -> bool {
        self.is_last(member, |it| places.has(it.id))
    }

    fn is_last(&self, member: &Member, counts: impl Fn(&Member) -> bool) -> bool {
        let serves = |it: &Member| it.id != self.master() && it.in_service() && counts(it);
        serves(member) && !self.members().any(|it| it.id != member.id && serves(it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::MemberId;
    use crate::base::limits::REPLICAS_MAX;
    use crate::base::time::WallMs;
    use crate::engine::Thresholds;
    use crate::node::transaction::tests::write;
    use crate::node::{ApplyBudget, Synced, new_replid};

    fn set() -> ReplicaSet {
        ReplicaSet::new(2, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20)
    }

    fn names(set: &ReplicaSet) -> Vec<String> {
        set.described().into_iter().map(|it| it.name).collect()
    }

    #[test]
    fn a_member_that_was_removed_is_empty_and_is_added_again_at_its_place() {
        let set = set();
        write(&set, "SET k v", WallMs(1));
        let member = set.member(MemberId(1));
        set.apply(member, ApplyBudget::SHORT);
        set.remove_member(member, MonoUs(1)).unwrap();
        assert_eq!(set.read(member).engine().space(0).len(), 0);
        assert_eq!((names(&set), set.acked_by(set.head())), (vec!["n1".into(), "n3".into()], 0));
        assert!(!set.needs_sync(member) && !member.in_service() && !member.is_sound());
        assert!(set.remove_member(member, MonoUs(1)).is_err(), "it is gone already");
        let added = set.add_replica(MonoUs(2)).unwrap();
        assert_eq!((added.name.as_str(), added.id), ("n2", MemberId(1)));
        assert_eq!(set.sync(&added, MonoUs(3)), Synced::Done);
        assert_eq!(set.read(&added).engine().space(0).len(), 1);
        assert!(added.in_service() && added.applied() <= set.head());
        write(&set, "SET l v", WallMs(1));
        set.apply(&added, ApplyBudget::SHORT);
        assert_eq!(added.applied(), set.head());
    }

    #[test]
    fn a_name_comes_back_with_what_is_said_of_it_now() {
        let set = set();
        let config = |name: &str, tag: &str| MemberConfig {
            name: name.to_owned(),
            tags: vec![tag.to_owned()],
            ..MemberConfig::unnamed(0)
        };
        let first = set.add_member(|_| config("reports", "a"), MonoUs(1)).unwrap();
        set.remove_member(&first, MonoUs(1)).unwrap();
        let other = set.add_member(|_| config("other", "b"), MonoUs(1)).unwrap();
        assert_eq!(other.id, MemberId(4), "the place is that of its name");
        let again = set.add_member(|_| config("Reports", "c"), MonoUs(1)).unwrap();
        assert_eq!((again.id, again.described().tags), (first.id, vec!["c".to_owned()]));
        assert_eq!(names(&set), ["n1", "n2", "n3", "reports", "other"]);
    }

    #[test]
    fn names_are_remembered_and_bounded() {
        let set = set();
        let named = |name: String| move |_| MemberConfig { name, ..MemberConfig::unnamed(0) };
        for at in 2..REPLICAS_MAX {
            let member = set.add_member(named(format!("m{at}")), MonoUs(1)).unwrap();
            set.remove_member(&member, MonoUs(1)).unwrap();
        }
        let why = set.add_member(named("another".into()), MonoUs(1)).err().unwrap();
        assert!(why.starts_with("the set has no room for another member but one of a name"));
        assert!(set.add_member(named("m7".into()), MonoUs(1)).is_ok());
    }

    #[test]
    fn the_master_stays() {
        let set = set();
        let old = set.member(MemberId(0));
        assert_eq!(set.remove_member(old, MonoUs(1)), Err(Refused::IsMaster));
        set.fail_over(set.member(MemberId(1))).unwrap();
        assert_eq!(set.remove_member(old, MonoUs(1)), Ok(()));
        assert_eq!(names(&set), ["n2", "n3"]);
        write(&set, "SET k v", WallMs(1));
        set.apply(set.member(MemberId(2)), ApplyBudget::SHORT);
        assert_eq!(set.acked_by(set.head()), 1);
    }

    #[test]
    fn the_last_replica_that_serves_everybody_is_known() {
        let set = set();
        let (one, other) = (set.member(MemberId(1)), set.member(MemberId(2)));
        assert!(!set.is_last_in_service(one));
        set.drain(one, MonoUs(1)).unwrap();
        assert!(set.is_last_in_service(other) && !set.is_last_in_service(one));
        let both = Places::of([MemberId(0), MemberId(1)].into_iter());
        let is_last = |it| set.is_last_in_service_of(both, set.member(MemberId(it)));
        assert_eq!([0, 1, 2].map(is_last), [false; 3], "one is drained, the master is no replica");
        set.undrain(one);
        assert_eq!([0, 1, 2].map(is_last), [false, true, false]);
    }
}
