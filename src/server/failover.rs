//! FAILOVER: writers wait, a replica gets everything, and is asked to become the master, which this
//! set then follows. Redis' own way: `PSYNC <replid> <offset> FAILOVER`.
//!
//! ```text
//!               a replica has everything              it answers +CONTINUE
//!  WaitingForSync ───────────────────────▶ InProgress ────────────────────▶ a replica of it
//!        │ time is over, ABORT                  │ it refuses, ABORT
//!        └──────────────────▶ master as before ◀┘
//! ```

use crate::base::position::Offset;
use crate::base::remote_address::RemoteAddress;
use crate::base::time::MonoUs;
use crate::node::{FollowerStatus, PauseMode};
use crate::replication::{FollowerKind, REFUSALS};
use crate::runtime::{clock, process, tasks};
use crate::state::{FailoverOrder, FailoverPhase, Server};
use std::sync::Arc;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long writers wait at most, whatever happens: a pause that nobody ends must end.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// How long the replica may take to become the master.
const TAKE_OVER_MAX: Duration = Duration::from_secs(10);

/// Hands the role over. Ends with the set as a replica, of the address that it answers, or as the
/// master it was.
pub async fn fail_over_to_replica(
    server: Arc<Server>,
    order: FailoverOrder,
) -> Result<RemoteAddress, &'static str> {
    let paused = server.clone();
    tasks::apart(move || {
        let now = clock::mono_now();
        paused.set.pause_clients(PauseMode::Writers, now.plus(PAUSE_MAX), now);
    })
    .await;
    let done = match find_candidate(&server, &order).await {
        Ok(address) => become_replica_of(&server, address, &order).await,
        Err(why) => Err(why),
    };
    server.failovers.end(|| server.set.unpause_clients());
    match &done {
        Ok(address) => log::info!("event=failover-to-replica to={address}"),
        Err(why) => log::warn!("event=failover-to-replica-failed why={why}"),
    }
    done
}

/// Waits until none is under way.
pub async fn until_no_failover(server: &Server) {
    while server.failovers.phase() != FailoverPhase::None {
        tasks::sleep(LOOK_EVERY).await;
    }
}

/// Waits until a replica has everything.
async fn find_candidate(
    server: &Arc<Server>,
    order: &FailoverOrder,
) -> Result<RemoteAddress, &'static str> {
    let until = order.timeout.map(|it| clock::mono_now().plus(it));
    let mut asked_at = None;
    loop {
        let now = clock::mono_now();
        if server.failovers.is_aborted() {
            return Err("aborted");
        }
        if has_gone(server, order) {
            return Err(GONE);
        }
        let replicas = online(server, order, now);
        let is_meant = |it: &&FollowerStatus| match &order.to {
            Some((host, port)) => it.name == format!("{host}:{port}"),
            None => true,
        };
        let head = server.set.head();
        let has_all = |it: &&FollowerStatus| is_meant(it) && it.acked == head;
        if let Some(candidate) = replicas.iter().find(has_all) {
            return address_of(candidate, order).ok_or("the replica has not said where it listens");
        }
        if until.is_some_and(|it| it <= now) {
            let forced = order.is_forced.then(|| replicas.iter().find(is_meant)).flatten();
            let address = forced.and_then(|it| address_of(it, order));
            return address.ok_or("no replica has got everything in time");
        }
        ask_once(server, head, &mut asked_at, now);
        tasks::sleep(LOOK_EVERY).await;
    }
}

/// Asks what replicas have: once for each place at which the stream ends, for the question is a
/// part of the stream.
fn ask_once(server: &Server, head: Offset, asked_at: &mut Option<Offset>, now: MonoUs) {
    if *asked_at != Some(head) {
        server.set.ask_wire_every(Duration::ZERO, now);
        *asked_at = Some(server.set.head());
    }
}

/// Who may take over: a replica, or the other process of an upgrade where the order is for one.
fn online(server: &Server, order: &FailoverOrder, now: MonoUs) -> Vec<FollowerStatus> {
    let kind = match order.is_upgrade {
        true => FollowerKind::Upgrade,
        false => FollowerKind::Wire,
    };
    let mut all = server.set.followers(now);
    all.retain(|it| it.kind == kind && it.state.is_online());
    all
}

fn address_of(replica: &FollowerStatus, order: &FailoverOrder) -> Option<RemoteAddress> {
    let (host, port) = replica.address();
    let port = port.parse().ok().filter(|it| *it != 0 || order.is_upgrade)?;
    Some(RemoteAddress { host: host.to_owned(), port })
}

const GONE: &str = "the other process has ended";

/// Whether it is an upgrade whose other process has ended.
fn has_gone(server: &Server, order: &FailoverOrder) -> bool {
    order.is_upgrade && server.upgrade.claimed_by().is_none_or(process::has_ended)
}

async fn become_replica_of(
    server: &Arc<Server>,
    address: RemoteAddress,
    order: &FailoverOrder,
) -> Result<RemoteAddress, &'static str> {
    server.failovers.enter(FailoverPhase::InProgress);
    let (to, follower) = (address.clone(), server.clone());
    tasks::apart(move || follower.follow_candidate(to)).await;
    let until = clock::mono_now().plus(TAKE_OVER_MAX);
    loop {
        let Some(remote) = server.set.remote() else { return Err("somebody has said otherwise") };
        if remote.is_connected() {
            return Ok(address);
        }
        let has_refused = remote.status().fault.is_some_and(|it| REFUSALS.contains(&it.0));
        let is_over = server.failovers.is_aborted() || until <= clock::mono_now();
        if has_refused || is_over || has_gone(server, order) {
            let again = server.clone();
            let _ = tasks::apart(move || again.follow(None)).await;
            return Err(match has_refused {
                true => "the replica has refused",
                false => "the replica did not become the master",
            });
        }
        tasks::sleep(LOOK_EVERY).await;
    }
}
