//! The one table of all commands, and the verbs that are answered by the proxy itself: CLIENT,
//! CONFIG, INFO, PROXY and the like. The engine's verbs stand beside their data types.

mod table;
mod outcome;
mod context;
mod row;
mod read_requirements;
mod remote_read;
mod migration;
mod slow_words;
mod info;
mod stats;
mod unserved;
mod catalogue;
mod reference;
pub mod verbs;
mod key_places;
mod client_line;
mod acl_catalogue;
mod all;
mod known;
mod rights;

pub use acl_catalogue::catalogue;
pub use all::table;
pub use catalogue::{metrics, prometheus};
pub use client_line::line as client_line;
pub use context::{
    Command, CommandContext, Handler, ScriptBy, ScriptRun, SessionVerb, Table, categories,
    class_name,
};
pub use info::info;
pub use key_places::{key_places, narrowed, sort_options};
pub use known::known;
pub use migration::{Credentials, Migration};
pub use outcome::{
    AckWait, Block, BlockOn, Job, Leased, Outcome, Populate, ReadRetry, Resume, ServersConfig,
};
pub use read_requirements::{RequestContext, preferred_replica};
pub use reference::command_reference;
pub use remote_read::{RemoteAsk, RemoteRead};
pub use rights::{check, denial, may_on_every_key};
pub use row::{
    SessionRow, SessionRun, session_container, session_prefix, session_row, session_script,
};
pub use slow_words::{slow_words, without_secrets};
pub use stats::{observed, stats, stats_json};
pub use table::Entry;
pub use unserved::unserved;
pub use verbs::members::{NodeFields, all_nodes};
