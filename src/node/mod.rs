//! The members of a set: hosted engines that execute in place, fed from one log.
//!
//! **Invariant:** lock order: an engine, then the log. No lock is held across an await; only
//! [`failover`] ever holds two engines.

mod member;
mod set;
mod stint;
mod feed;
mod sync;
mod failover;
mod duties;
mod hold;
mod view;

pub use failover::{Refused, new_history};
pub use feed::{Applied, CaughtUp, start_feed};
pub use hold::Hold;
pub use member::{Duty, Member};
pub use set::{Gathered, Outcome, PANICKED, Reading, Roster, Set, Writing};
pub use stint::Stint;
pub use sync::Synced;
pub use view::View;
