//! The stream: what the master did, byte for byte as a Redis replica would receive it, and the
//! followers that are sent it.
//!
//! **Invariant:** knows bytes and positions, not keys: what hosted replicas share is opaque here.
//! **Invariant:** no clock, no socket, no task. Time comes in as an argument.
//! **Invariant:** offsets may start anywhere, and all of one log are of its history; a position of
//! another comes in by the rule of `replid2` only.

mod peer_fault;
mod followers;
mod backlog;
mod window;
mod log;
mod psync;
mod master_info;

pub use followers::{DisconnectReason, Follower, FollowerId, FollowerKind, FollowerState};
pub use log::{Log, Repeated, WriteTime};
pub use master_info::{ASK_MASTER_INFO, MasterInfo};
pub use peer_fault::PeerFault;
pub use psync::*;
pub use window::{PendingRecord, Record, What};
