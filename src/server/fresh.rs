//! Asks the master that a set follows where its stream stands, while reads want to know how old the
//! data here is: those at level `bounded` with a time.

use super::master_connection::{Fault, MasterConnection};
use crate::node::RemoteMaster;
use crate::resp::Protocol;
use crate::runtime::{clock, tasks};
use crate::state::Server;
use futures::future::select;
use std::sync::Arc;
use std::time::Duration;

const ASK_EVERY: Duration = Duration::from_millis(100);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks whenever somebody wants to know, until the proxy shuts down.
pub async fn ask_for_freshness(server: Arc<Server>) {
    while !server.is_closing() {
        let changes = server.set.remote_changes();
        let Some(remote) = server.set.remote() else {
            changes.await;
            continue;
        };
        let wanted = remote.freshness.wanted();
        if !remote.freshness.is_wanted(clock::mono_now()) {
            select(wanted, changes).await;
            continue;
        }
        // Whoever cannot be asked is tried again; reads go to the master meanwhile.
        let _ = ask_while_wanted(&server, &remote).await;
        tasks::sleep(ASK_EVERY).await;
    }
}

async fn ask_while_wanted(server: &Arc<Server>, remote: &Arc<RemoteMaster>) -> Result<(), Fault> {
    let connection = MasterConnection::open(server, Protocol::Resp2).await?;
    let mut replies = connection.replies();
    while server.set.follows(remote) && remote.freshness.is_wanted(clock::mono_now()) {
        let asked_at = clock::mono_now();
        let answer = tasks::within(PATIENCE, connection.info(&mut replies)).await;
        let info = answer.unwrap_or(Err(Fault::TimedOut))?;
        // Of another history it says nothing of what is here.
        if remote.is_connected() && info.at.replid == server.set.history().replid {
            remote.freshness.note(asked_at, info.at.offset);
        }
        tasks::sleep(ASK_EVERY).await;
    }
    Ok(())
}
