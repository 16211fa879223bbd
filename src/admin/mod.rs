//! What operators and connections ask of the proxy itself: the house they look at, the table of all
//! commands, and the verbs that are not about data.

mod clients;
mod counters;
mod rates;
mod slowlog;
mod memory;
mod house;
pub mod version;
mod table;
mod migration;
mod turn;
mod info;
mod stats;
mod asking;
mod watching;
pub mod verbs;

pub use asking::{Origin, home_of};
pub use clients::{Client, ClientFlags, ClientNames, Clients};
pub use counters::Counters;
pub use house::{Birth, House, Source};
pub use info::info;
pub use memory::Memory;
pub use migration::{Deputy, Migration};
pub use rates::{Gains, Rates};
pub use slowlog::{Slow, Slowlog, words as slow_words};
pub use stats::stats;
pub use table::{Command, Handler, Table, table};
pub use turn::{
    After, Park, SessionRow, SessionRun, SessionVerb, Turn, session_container, session_prefix,
    session_row,
};
pub use watching::{has_stale_watch, unwatch, unwatch_all, watch};
