//! Listeners, connections, and the request path from a request to its reply.
//!
//! **Invariant:** knows no data types. Every lock is released before anything waits.

pub mod connection;
mod file_info;
mod replica_link;
mod shell;
mod link_replies;
mod master_connection;
mod question;
mod sent;
mod forward;
mod upstream;
mod leased_wait;
mod master_wait;
mod leased_pool;
mod leased;
mod failover;
mod upgrade;
mod jobs;
mod asked;
mod migrate_peer;
mod migrate;
mod populate;
mod listener;
mod open;
mod service;
mod placement;
mod notices;
mod eviction;
mod alert_checks;
mod alert_delivery;
mod cron;
mod fresh;
mod follow;
mod drain;
mod disk;
mod end;
mod take_over;

pub use asked::ask;
pub use cron::{cron, start_feeds};
pub use disk::{AofRepair, Store, check_aof, start as keep_files};
pub use drain::drain;
pub use end::end;
pub use eviction::evict;
pub use follow::follow;
pub use fresh::ask_for_freshness;
pub use listener::{Listener, WayIn, listen};
pub use open::{Opened, open, open_for_upgrade, share, still_configured};
pub use placement::Threads;
pub use service::{ServiceManager, tell_manager};
pub use take_over::{Predecessor, take_files};
pub use upstream::start_upstream;
