//! The upgrade, as the process does it whose place is taken. Who takes it is in `take_over.rs`, and
//! the way of it in `state/upgrade.rs`.

use super::end::end;
use super::failover::fail_over_to_replica;
use crate::base::remote_address::RemoteAddress;
use crate::node::FollowerStatus;
use crate::replication::FollowerKind;
use crate::runtime::sent_sockets::send_sockets;
use crate::runtime::{clock, process, tasks};
use crate::state::{
    Background, EndOrder, FailoverOrder, JobReply, Server, UPGRADE_NOT_YET as NOT_YET, UpgradeStep,
};
use futures::channel::oneshot::channel;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the other process has to get what it still lacks, while writers wait.
const ROLE_WITHIN: Duration = Duration::from_secs(10);
/// How often who is not the master any more looks whether there is one.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// PROXY UPGRADE: does what is asked for, and answers OK, at the end with where the stream ends
/// here, or why not.
pub async fn upgrade(server: &Arc<Server>, step: UpgradeStep) -> JobReply {
    let done = match step {
        UpgradeStep::Sockets(path) => sockets(server, path).await,
        UpgradeStep::Role { pid, path, master } => role(server, pid, path, &master).await,
        UpgradeStep::End(pid) => {
            let left = leave(server, pid).await;
            return told(left.map(|()| format!("OK {}", server.set.head())));
        }
    };
    told(done.map(|()| "OK".to_owned()))
}

fn told(done: Result<String, String>) -> JobReply {
    let refused = |why| format!("ERR {why}");
    JobReply { reply: done.map(|it| JobReply::line(&it)).map_err(refused), wrote: None }
}

async fn sockets(server: &Arc<Server>, path: String) -> Result<(), String> {
    let server = server.clone();
    let send = move || server.upgrade.with_sockets(|it| send_sockets(Path::new(&path), it));
    tasks::apart(send).await.map_err(|why| format!("the sockets cannot be sent: {why}"))
}

/// Our place is the other process' alone from here on; it becomes the master, if we are one. What
/// has begun comes to its end, whoever goes.
async fn role(server: &Arc<Server>, pid: u32, path: String, master: &str) -> Result<(), String> {
    if server.is_ending() {
        return Err("this process ends".to_owned());
    }
    let follows = server.set.remote().map(|it| it.address.to_string()).unwrap_or_default();
    if follows != master {
        return Err(format!("this process follows {follows:?} now"));
    }
    if !server.upgrade.claim(pid) {
        return Err("another process takes over".to_owned());
    }
    // Nothing else writes in the directory from here on: it is handed over as it is.
    let now = clock::mono_now();
    if server.disk().is_some() && !server.persistence.begin(Background::Save, now) {
        server.upgrade.unclaim();
        return Err(format!("{NOT_YET} a snapshot or a rewrite is being made"));
    }
    let given = give_role(server, &path).await;
    match given {
        Ok(()) => tasks::spawn(watch_successor(server.clone(), path)),
        Err(_) => take_back(server),
    }
    given
}

async fn give_role(server: &Arc<Server>, path: &str) -> Result<(), String> {
    if server.set.is_following() || server.upstream.is_some() {
        return Ok(());
    }
    let is_it = |it: &FollowerStatus| it.kind == FollowerKind::Upgrade && it.state.is_online();
    let all = server.set.followers(clock::mono_now());
    if !all.iter().any(|it| is_it(it) && it.address().0 == path) {
        return Err(format!("{NOT_YET} it does not follow this process"));
    }
    if !server.failovers.begin() {
        return Err("FAILOVER already in progress.".to_owned());
    }
    let order = FailoverOrder {
        to: Some((path.to_owned(), 0)),
        timeout: Some(ROLE_WITHIN),
        is_forced: false,
        is_upgrade: true,
    };
    let (answer, answered) = channel();
    let server = server.clone();
    tasks::spawn(async move {
        let done = fail_over_to_replica(server.clone(), order).await;
        let _ = answer.send(done.map(drop).map_err(str::to_owned));
    });
    answered.await.unwrap_or_else(|_| Err("nobody knows why".to_owned()))
}

/// Our place is ours again, and we write in the directory.
fn take_back(server: &Server) {
    if server.disk().is_some() {
        server.persistence.status().background = None;
    }
    server.upgrade.unclaim();
}

/// Until we end, looks whether the process lives that our place is promised to, and that is reached
/// at this path. Where it has ended first, we are what we were: nobody else can be the master.
async fn watch_successor(server: Arc<Server>, path: String) {
    while !server.is_closing() {
        if server.upgrade.claimed_by().is_none_or(process::has_ended) {
            log::error!("event=upgrade-failed why=the other process has ended");
            let address = RemoteAddress::at_path(&path);
            if server.set.remote().is_some_and(|it| it.address == address) {
                let again = server.clone();
                let _ = tasks::apart(move || again.follow(None)).await;
            }
            process::remove_socket(Path::new(&path));
            return take_back(&server);
        }
        tasks::sleep(LOOK_EVERY).await;
    }
}

/// The other process accepts clients from here on, and we end.
async fn leave(server: &Arc<Server>, pid: u32) -> Result<(), String> {
    if server.upgrade.claimed_by() != Some(pid) {
        return Err("this process' place is not that one's".to_owned());
    }
    let is_master = server.upstream.is_none() && !server.set.is_following();
    if is_master {
        return Err("this process is a master again".to_owned());
    }
    log::info!("event=upgrade-ends successor={pid}");
    server.upgrade.take();
    // The other process has all there is, and keeps it from here on.
    let order = EndOrder { saves: Some(false), is_forced: true };
    let ending = server.clone();
    tasks::apart(move || end(&ending, order)).await
}
