//! WAIT where writes are forwarded: the remote master is asked which of its replicas have them.
//!
//! It is asked what they have acknowledged, and not told WAIT: that counts what its own connection
//! has written, and would hold up all who share one. Replicas acknowledge once a second if nobody
//! asks them to do it sooner.

use super::master_connection::{Fault, MasterConnection};
use crate::command::codes;
use crate::commands::AckWait;
use crate::resp::{Protocol, Reply};
use crate::runtime::tasks;
use crate::state::{JobReply, Server, UNBLOCKED, UnblockAs};
use futures::future::{Either, select};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// How long until the master is asked again, at first and at most.
const ASK_MS_MIN: u64 = 2;
const ASK_MS_MAX: u64 = 50;

/// What WAIT answers whose writes are no part of the master's stream.
pub const OTHER_HISTORY: &str = "ERR the remote master's history does not hold this connection's \
                                 last write: no replica of it can have acknowledged that";

/// Answers how many replicas of the master have the write, once they are enough or time is up.
pub async fn wait_at_master(server: &Arc<Server>, mut wait: AckWait) -> JobReply {
    let (unblocked, timeout) = (wait.unblocked.take(), wait.timeout);
    let acked = AtomicUsize::new(0);
    let enough = pin!(async {
        let enough = ask_until_enough(server, &wait, &acked);
        match timeout {
            Some(timeout) => tasks::within(timeout, enough).await.unwrap_or(Ok(())),
            None => enough.await,
        }
    });
    let order = pin!(async {
        match unblocked {
            Some(unblocked) => unblocked.await.ok(),
            None => None,
        }
    });
    let ended = match select(enough, order).await {
        Either::Left((ended, _)) => ended,
        Either::Right((None, enough)) => enough.await,
        Either::Right((Some(UnblockAs::Timeout), _)) => Ok(()),
        Either::Right((Some(UnblockAs::Error), _)) => Err(UNBLOCKED.to_owned()),
    };
    let count = || {
        let mut reply = Reply::new(Protocol::Resp2);
        reply.count(acked.load(Relaxed));
        reply.into_bytes()
    };
    JobReply { reply: ended.map(|()| count()), wrote: None }
}

/// `acked` is what the master has told last.
async fn ask_until_enough(
    server: &Arc<Server>,
    wait: &AckWait,
    acked: &AtomicUsize,
) -> Result<(), String> {
    let unreachable = |fault: Fault| codes::master_unreachable(&fault).to_string();
    let connection = MasterConnection::open(server, Protocol::Resp2).await.map_err(unreachable)?;
    let (mut replies, mut rest_ms) = (connection.replies(), ASK_MS_MIN);
    loop {
        let told = connection.info(&mut replies).await.map_err(unreachable)?;
        let count = told.acked_by(wait.written).ok_or(OTHER_HISTORY)?;
        acked.store(count, Relaxed);
        if wait.replicas <= count {
            return Ok(());
        }
        tasks::sleep(Duration::from_millis(rest_ms)).await;
        rest_ms = (rest_ms * 2).min(ASK_MS_MAX);
    }
}
