//! Listeners, connections, and the request path from a request to its reply.
//!
//! **Invariant:** knows no data types. Every lock is released before anything waits.

mod scratch;
mod connection;
mod timing;
mod dispatch;
mod reading;
mod writing;
mod once;
mod tag;
mod transaction;
mod execute;
mod acks;
mod parked;
mod failover;
mod reload;
mod overflow;
mod migrate_peer;
mod migrate;
mod connection_task;
mod listener;
mod cron;
mod drain;

pub use cron::{cron, start_feeds};
pub use drain::drain;
pub use listener::{Listener, listen};
