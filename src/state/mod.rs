//! What all connections share: the settings in force, the members, who is connected, and what is
//! counted.
//!
//! **Invariant:** decides nothing; commands and connections read it and change it.

mod accounts;
mod alerts;
mod idle_links;
mod forwarding;
mod ack_asks;
mod run_waiter;
mod known_scripts;
mod upstream_subscriptions;
mod switchover;
mod checks;
mod hedges;
mod head_asks;
mod upstream_member;
mod waiting_runs;
mod upstream;
mod failover;
mod upgrade;
mod mailbox;
mod told_elsewhere;
mod monitors;
mod clients;
mod config_file;
mod counters;
mod rates;
mod slowlog;
mod log_limits;
mod recent_events;
mod logging;
mod long_queue;
mod memory;
mod scripting;
mod last_script;
mod handshakes;
mod proxied;
mod tls;
mod told_events;
mod tracking;
mod server;
mod user_changes;
mod user_sources;
mod follow;
mod persistence;
mod files;
pub mod version;
#[cfg(test)]
mod test_run;

pub use accounts::Accounts;
pub use ack_asks::{AckAsk, AckAsks, AckWaiter, Acked};
pub use alerts::{Alert, AlertKind, Alerts, Changed, Ending, Reading, Subject};
pub use checks::{Check, Checks, Outcome as CheckOutcome};
pub use clients::{Client, ClientFlags, ClientNames, Clients, NO_FLOOR, Subscribed, Waiting};
pub use config_file::{ReadText, Source};
pub use counters::Counters;
pub use failover::{FailoverOrder, FailoverPhase, Failovers};
pub use forwarding::{Forwarded, Forwarding, Lane, Lease, PRIVATE_MAX, PrivatePlace, Queued};
pub use handshakes::{HandshakePlace, Handshakes};
pub use head_asks::{HeadAsk, HeadAsks};
pub use hedges::{Hedge, Hedges, shared};
pub use idle_links::{IdleLink, IdleLinks};
pub use last_script::LastScript;
pub use log_limits::LogLimits;
pub use logging::Logging;
pub use long_queue::{LongPlace, LongQueue};
pub use mailbox::{
    JobReply, Mailbox, MailboxOverflow, Message, ToldChange, UNBLOCKED, UnblockAs, Wrote,
};
pub use memory::Memory;
pub use monitors::Monitors;
pub use persistence::{
    AofStatus, Background, DiskStatus, EndOrder, FileWriter, LastSnapshot, LoadStatus, Orders,
    Persistence, SaveProgress, SaveStatus,
};
pub use proxied::Proxied;
pub use rates::{Gains, Rates};
pub use recent_events::{EVENTS_KEPT_MAX, KEPT, RecentEvent, RecentEvents};
pub use run_waiter::RunWaiter;
pub use scripting::{Interpreters, Killed, Running, Scripting};
pub use server::{ProcessInfo, Server, clamp_maxclients, clients_allowed, log_warnings};
pub use slowlog::{Slow, Slowlog};
pub use switchover::Switchover;
pub use tls::Tls;
pub use tracking::Tracking;
pub use upgrade::{UPGRADE_LISTENER, UPGRADE_NOT_YET, Upgrade, UpgradeStep};
pub use upstream::Upstream;
pub use upstream_member::{Aim, AimedRun, UpstreamLane, UpstreamMember, WaitingRun};
pub use upstream_subscriptions::{SubscribedName, SubscribedNames, UpstreamSubscriptions};
pub use user_sources::read_users;
pub use waiting_runs::WaitingRuns;
