//! The upgrade, as the process does it whose place is taken. Who takes it is in `take_over.rs`, and
//! the way of it in `state/upgrade.rs`.

use super::end::end;
use super::failover::fail_over_to_replica;
use crate::base::remote_address::RemoteAddress;
use crate::node::FollowerStatus;
use crate::runtime::passed_sockets::send_sockets;
use crate::runtime::{clock, process, tasks};
use crate::state::{EndOrder, FailoverOrder, JobReply, Server, UpgradeStep};
use futures::channel::oneshot::channel;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the other process has to get what it still lacks, while writers wait.
const ROLE_WITHIN: Duration = Duration::from_secs(10);
/// How often who is not the master any more looks whether there is one.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// PROXY UPGRADE: does what is asked for, and answers OK, or why not.
pub async fn upgrade(server: &Arc<Server>, step: UpgradeStep) -> JobReply {
    let done = match step {
        UpgradeStep::Sockets(path) => sockets(server, path).await,
        UpgradeStep::Role(path) => role(server, path).await,
        UpgradeStep::End(pid) => leave(server, pid),
    };
    let refused = |why| format!("ERR {why}");
    JobReply { reply: done.map(|()| JobReply::line("OK")).map_err(refused), wrote: None }
}

async fn sockets(server: &Arc<Server>, path: String) -> Result<(), String> {
    let server = server.clone();
    let send = move || server.upgrade.with_sockets(|it| send_sockets(Path::new(&path), it));
    tasks::apart(send).await.map_err(|why| format!("the sockets cannot be sent: {why}"))
}

/// The other process becomes the master. What has begun comes to its end, whoever goes.
async fn role(server: &Arc<Server>, path: String) -> Result<(), String> {
    if server.set.is_following() {
        return Err("this process is a replica itself".to_owned());
    }
    let is_it = |it: &FollowerStatus| it.address().0 == path && it.state.is_online();
    if !server.set.followers(clock::mono_now()).iter().any(is_it) {
        return Err("it does not follow this process".to_owned());
    }
    if !server.failovers.begin() {
        return Err("FAILOVER already in progress.".to_owned());
    }
    let to = Some((path, 0));
    let order = FailoverOrder { to, timeout: Some(ROLE_WITHIN), is_forced: false };
    let (answer, answered) = channel();
    let server = server.clone();
    tasks::spawn(async move {
        let done = fail_over_to_replica(server.clone(), order).await;
        let told = done.as_ref().map(drop).map_err(|why| (*why).to_owned());
        let _ = answer.send(told);
        if let Ok(address) = done {
            watch_successor(&server, &address).await;
        }
    });
    answered.await.unwrap_or_else(|_| Err("nobody knows why".to_owned()))
}

/// Until we end, looks whether the other process lives. Where it has ended first, we are what we
/// were: nobody else can be the master.
async fn watch_successor(server: &Arc<Server>, address: &RemoteAddress) {
    let follows = || server.set.remote().filter(|it| it.address == *address);
    while let Some(remote) = follows()
        && !server.is_closing()
    {
        if !remote.is_connected() && !process::listens(Path::new(&address.host)) {
            log::error!("event=upgrade-failed why=the other process has ended");
            let again = server.clone();
            let _ = tasks::apart(move || again.follow(None)).await;
            return;
        }
        tasks::sleep(LOOK_EVERY).await;
    }
}

/// The other process accepts clients from here on, and we end.
fn leave(server: &Arc<Server>, pid: u32) -> Result<(), String> {
    if pid == 0 || pid == process::id() {
        return Err("that is no other process".to_owned());
    }
    log::info!("event=upgrade-ends successor={pid}");
    server.upgrade.taken_by(pid);
    let ending = server.clone();
    // The other process has all there is, and keeps it from here on.
    let order = EndOrder { saves: Some(false), is_forced: true };
    let begun = tasks::thread("entourage-end", move || _ = end(&ending, order));
    begun.map_err(|why| format!("no thread: {why}"))
}
