//! Listeners, connections, and the corridor from a request to its reply.
//!
//! **Invariant:** knows no data types. Every lock is released before anything waits.

mod desk;
mod visitor;
mod timing;
mod dispatch;
mod reading;
mod writing;
mod once;
mod tag;
mod transaction;
mod execute;
mod wanted;
mod parked;
mod handover;
mod reload;
mod overflow;
mod peer;
mod migrate;
mod connection;
mod listener;
mod rounds;
mod drain;

pub use drain::drain;
pub use listener::{Listener, listen};
pub use rounds::{rounds, start_feeds};
