//! What operators and connections ask of the proxy itself: the server they look at, the table of all
//! commands, and the verbs that are not about data.

mod clients;
mod counters;
mod rates;
mod slowlog;
mod memory;
mod server;
pub mod version;
mod table;
mod migration;
mod context;
mod info;
mod stats;
mod read_requirements;
mod watch;
pub mod verbs;

pub use clients::{Client, ClientFlags, ClientNames, Clients};
pub use context::{
    CommandContext, Outcome, Park, SessionRow, SessionRun, SessionVerb, session_container,
    session_prefix, session_row,
};
pub use counters::Counters;
pub use info::info;
pub use memory::Memory;
pub use migration::{Credentials, Migration};
pub use rates::{Gains, Rates};
pub use read_requirements::{RequestContext, preferred_replica};
pub use server::{ProcessInfo, Server, Source};
pub use slowlog::{Slow, Slowlog, words as slow_words};
pub use stats::stats;
pub use table::{Command, Handler, Table, table};
pub use watch::{has_stale_watch, unwatch, unwatch_all, watch};
