//! Data that members hold: in their places, on its way to be freed, or being copied.
//!
//! Members share what they can, so what the master evicts is given back when the last of them lets
//! go. Whoever cannot go on without a full resync serves nothing, and is copied anew: it lets go at
//! once, and keeps its place in the stream alone.

use super::member::{ApplyState, DataMark, Hosted, Member};
use super::member_state::MemberFlags;
use super::replica_set::ReplicaSet;
use crate::engine::Engine;
use crate::runtime::lazyfree;

/// A member's data, to be dropped elsewhere, its mark last.
pub(super) type Removed = (Engine, ApplyState, Option<DataMark>);

impl ReplicaSet {
    /// Takes the data out of a member that is locked, and leaves none.
    pub(super) fn remove_data(&self, member: &Member, hosted: &mut Hosted) -> Removed {
        let mut empty = self.new_engine();
        // What it has counted as the master has happened all the same.
        empty.written_mut().expired = hosted.engine.written().expired;
        let engine = std::mem::replace(&mut hosted.engine, empty);
        let apply_state = std::mem::replace(&mut hosted.apply_state, ApplyState::new());
        member.set_applying_since(None);
        member.state.set_replaying(false);
        (engine, apply_state, hosted.mark.take())
    }

    /// A replica that cannot go on without a full resync lets go of what it has, paused or not;
    /// whoever holds it for long calls its feed afterwards, which does this.
    pub fn let_go_unsynced(&self, member: &Member) {
        if !member.is(MemberFlags::UNSYNCED) {
            return;
        }
        let Some(mut hosted) = member.write_unless_long() else { return };
        // Under the lock: it is put back in service, and made the master, with that.
        let is_over = !member.is(MemberFlags::UNSYNCED) || member.id == self.master();
        if is_over || hosted.mark.is_none() {
            return;
        }
        let removed = self.remove_data(member, &mut hosted);
        drop(hosted);
        // Who waits until it has repeated something long looks for another.
        self.wake_waiters();
        lazyfree::free_async(removed);
        log::info!("event=data-dropped member={} why=unsynced", member.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::MemberId;
    use crate::base::time::{MonoUs, WallMs};
    use crate::engine::Thresholds;
    use crate::node::transaction::tests::write;
    use crate::node::{ApplyBudget, new_replid};
    use crate::replication::DisconnectReason;

    #[test]
    fn who_must_be_copied_anew_lets_go_of_its_data_and_of_nothing_else() {
        let set = ReplicaSet::new(1, 1, new_replid(), Thresholds::default(), 1 << 20, 1 << 20);
        let [master, replica] = [0, 1].map(|it| set.member(MemberId(it)));
        write(&set, "SET k v", WallMs(1));
        set.apply(replica, ApplyBudget::ALL);
        let keys = |it| set.counts(it, WallMs(1)).keys();
        [master, replica].iter().for_each(|it| set.let_go_unsynced(it));
        assert_eq!((keys(master), keys(replica)), (1, 1), "both serve");
        set.pause(replica, MonoUs(1)).unwrap();
        set.disconnect(replica, DisconnectReason::FeedLimit);
        let at = replica.applied();
        assert!(replica.holds_data());
        set.let_go_unsynced(replica);
        assert_eq!((keys(replica), replica.applied()), (0, at), "its place stays");
        while replica.holds_data() {
            std::thread::yield_now();
        }
        set.let_go_unsynced(replica);
        set.resume(replica);
        set.sync(replica, MonoUs(2));
        assert!(replica.is_sound() && replica.holds_data());
        set.let_go_unsynced(replica);
        assert_eq!((keys(master), keys(replica)), (1, 1));
    }
}
