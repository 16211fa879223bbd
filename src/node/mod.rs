//! The members of a set: hosted engines that execute in place, fed from one log.
//!
//! **Invariant:** lock order: an engine, then the log. No lock is held across an await; only
//! [`failover`] ever holds two engines. Nobody is woken under the log's lock: who is woken may ask
//! the log.
//! **Invariant:** a master's keys change only through a [`Transaction`], which leaves all it did in
//! the log.

mod member;
mod replica_set;
mod read_guard;
mod master_guard;
mod transaction;
mod propagate;
mod memory_limit;
mod eviction;
mod notify;
mod changes;
mod tell_changes;
mod apply_budget;
mod feed;
mod member_state;
mod long_hold;
mod turn;
mod snapshot;
mod held_data;
mod sync;
mod wire;
mod disk_state;
mod on_disk;
mod wire_state;
mod failover;
mod freshness;
mod remote_master;
mod follow;
mod reload;
mod told;
mod repeat;
mod followers;
mod flags;
mod membership;
mod counts;
mod pause;
mod acks;
mod waiters;
mod wait;
mod key_waiters;
mod serve;
mod client_pause;
mod view;
mod awaited;
mod selected;
mod upstream_set;
pub mod upstream;
mod allowed_members;
mod watch;

pub use acks::{Confirmed, Wanted};
pub use allowed_members::AllowedMembers;
pub use apply_budget::ApplyBudget;
pub use awaited::{Answering, Awaited, NOSCRIPT_REPLIES};
pub use changes::{BroadcastKeys, ChangeSink, KeyChanges, TransactionReads};
pub use counts::{MemberCounts, SpaceCounts};
pub use disk_state::DiskTrouble;
pub use eviction::Room;
pub use failover::{FORCED, Refused, new_replid};
pub use feed::{Applied, CaughtUp, start_feed};
pub use follow::{NotFollowed, Writes};
pub use followers::FollowerStatus;
pub use key_waiters::{BlockedCall, BlockedClient, KeyWait, KeyWaiters};
pub use master_guard::MasterGuard;
pub use member::Member;
pub use member_state::MemberFlags;
pub use membership::present;
pub use memory_limit::Eviction;
pub use notify::{Behind, EventSink, KeyspaceEvents};
pub use on_disk::Restored;
pub use pause::PauseMode;
pub use propagate::HeldBack;
pub use read_guard::{PANICKED, ReadGuard, VerbResult};
pub use reload::Reloaded;
pub use remote_master::{LinkPhase, LinkStatus, RemoteMaster};
pub use repeat::{Repeat, RepeatEnd, is_message};
pub use replica_set::{MemberList, ReplicaSet};
pub use selected::Selected;
pub use snapshot::{Overtaken, Piece, Snapshot, SnapshotReader};
pub use sync::Synced;
pub use told::{FoundMaster, Told};
pub use transaction::{Transaction, Verb};
pub use turn::TurnApplier;
pub use view::View;
pub use wait::Wait;
pub use waiters::{Condition, Wake};
pub use watch::{has_stale_watch, is_stale, unwatch, unwatch_all, watch, watch_in_vain};
pub use wire::Next;
pub use wire_state::Wire;
