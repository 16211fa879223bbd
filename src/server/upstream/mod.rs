//! Sets whose members are real servers: the connections to them, and who looks after these. What
//! they decide is decided in `node::upstream`.
//!
//! ```text
//!   a connection's Job ──▶ dispatch ──▶ a lane ──▶ the server ──▶ answer ──▶ its slot
//!                             ▲  │                                  │
//!                             │  └──▶ waiting (a master, a time) ◀──┤ the next step of a ladder
//!                             └──────────────────────────────────────┘
//! ```

mod dispatch;
mod lane;
mod waiting;
mod hedge;
mod probe;
mod members;
mod talk;
mod acks;
mod audit;
mod shadow;
mod head;
mod sentinel;
mod candidate;
mod failover_abort;
mod switchover;
mod subscriber;
mod servers_config;

pub use dispatch::submit;
pub use servers_config::servers_config;
pub use switchover::switch_over;

use super::placement::{Place, Threads};
use crate::base::ids::SlotId;
use crate::commands::Job;
use crate::config::Topology;
use crate::runtime::tasks;
use crate::state::{Client, RunWaiter, Server};
use members::attend_member;
use std::sync::Arc;

/// Begins to look after the members, where they are real servers.
pub fn start_upstream(server: &Arc<Server>, threads: &Arc<Threads>) {
    let Some(upstream) = &server.upstream else { return };
    for worker in 0..upstream.workers() {
        let upstream = upstream.clone();
        let hedging = upstream.clone();
        threads.spawn(Place::Worker(worker), move || waiting::attend(upstream, worker));
        if !hedging.settings.tuning.hedge_after.is_zero() {
            threads.spawn(Place::Worker(worker), move || hedge::attend(hedging, worker));
        }
    }
    tasks::spawn(acks::attend(upstream.clone()));
    tasks::spawn(head::attend(server.clone(), upstream.clone()));
    tasks::spawn(subscriber::attend(server.clone(), upstream.clone()));
    if upstream.checks.audit.is_on() {
        tasks::spawn(audit::attend(upstream.clone()));
    }
    if let Some(address) = &upstream.settings.tuning.shadow {
        tasks::spawn(shadow::attend(upstream.clone(), address.clone()));
    }
    if let Topology::Sentinel(sentinels) = &upstream.settings.topology {
        sentinel::start(upstream, threads, sentinels);
    }
    for member in upstream.members().iter() {
        attend_member(upstream, member, threads);
    }
}

/// Has members that are real servers do a job, if it is for them; answers it if it is not.
pub fn at_members(job: Job, server: &Server, client: &Arc<Client>, slot: SlotId) -> Option<Job> {
    match (job, &server.upstream) {
        (Job::Upstream(aimed), Some(upstream)) => {
            submit(upstream, *aimed, RunWaiter::Slot(client.clone(), slot));
            None
        }
        (job, _) => Some(job),
    }
}
