//! What an operator writes, checked once: TOML, flags and CONFIG SET into one tree of plain types.
//!
//! **Invariant:** what is in the tree cannot be wrong. Text and serde stay in this room.
//! **Invariant:** reads no file and no environment; text comes in, a tree or a refusal goes out.

mod disk;
mod memory;
mod alerts;
mod alert_rows;
mod engine_rows;
mod http;
mod logging;
mod user_table;
mod upstream_tuning;
mod upstream;
mod access;
mod tls;
mod observed_rows;
mod tls_rows;
mod daemon_rows;
mod listener;
mod listener_file;
mod tree;
mod follow;
mod slot;
mod param;
mod shown;
mod table;
mod fixed;
mod live;
mod place;
mod leaf;
mod upstream_file;
mod users;
mod upstream_misfit;
mod half_tls;
mod file;
mod overrides;
mod reload;
mod rewrite;
mod rewrite_users;
mod outside;
mod redis_names;
mod similar;
mod toml_error;
mod check;
mod locate;
mod reference;
mod print;

pub use access::AccessFrom;
pub use alerts::{Alerts, Webhook};
pub use check::Checked;
pub use disk::{Disk, Fsync, SavePoints};
pub use http::Http;
pub use listener::{Address, Listener, Proxies};
pub use logging::{Log, LogFormat, LogLevel};
pub use memory::{Memory, MemoryShare};
pub use outside::{KnownCommand, Outside};
pub use overrides::Overrides;
pub use print::print;
pub use reference::reference;
pub use rewrite::{REPLICAS, Rewrite, Rewritten};
pub use rewrite_users::USERS;
pub use tls::{Tls, UpstreamTls};
pub use tree::{Config, FollowWrites, OutputLimit, OutputLimits, ReplicaSet, Server};
pub use upstream::{Sentinels, Topology, Upstream};
pub use upstream_tuning::{BeatTo, Heartbeat, UpstreamTuning};
pub use user_table::UserTable;
