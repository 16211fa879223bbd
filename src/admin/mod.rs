//! What operators and connections ask of the proxy itself: the house they look at, the table of all
//! commands, and the verbs that are not about data.

mod clients;
mod house;
mod table;
mod turn;
mod asking;
pub mod version;
mod watching;
pub mod verbs;

pub use asking::{Origin, home_of};
pub use clients::{Client, ClientFlags, ClientNames, Clients};
pub use house::{Counters, House, OutputLimit, Settings};
pub use table::{Command, Handler, Table, table};
pub use turn::{After, Park, SessionRow, SessionVerb, Turn, session_container, session_row};
pub use watching::{has_stale_watch, unwatch, unwatch_all, watch};
