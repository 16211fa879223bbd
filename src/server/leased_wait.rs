//! A call that waits for keys at the remote master, over a connection of its own, until it is
//! served or CLIENT UNBLOCK ends it.
//!
//! The master is told to unblock that connection, and answers it: an element that somebody has
//! pushed at the same time is the client's, and not lost.

use super::forward::{lost_at, reply_of};
use super::master_connection::{Fault, MasterConnection};
use super::sent::{Sent, Took};
use crate::base::number::parse_i64;
use crate::node::FORCED;
use crate::resp::{Protocol, encode_command};
use crate::runtime::tasks;
use crate::state::{Forwarded, JobReply, Queued, Server, UNBLOCKED, UnblockAs};
use futures::channel::oneshot::{Receiver, channel};
use futures::future::{Either, select};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

/// How often the master is told before the connection is given up.
const TRIES: usize = 4;
/// How long the reply may take where there was nothing to unblock: it is on its way.
const REST: Duration = Duration::from_millis(50);
/// How long it may take behind the master's word that the call has ended.
const PATIENCE: Duration = Duration::from_secs(2);

/// Has the call made; CLIENT UNBLOCK comes by `unblocked`. Answers the connection, too, if the call
/// has come to its end there by itself.
pub async fn wait_for_keys(
    server: &Arc<Server>,
    connection: MasterConnection,
    forwarded: Forwarded,
    unblocked: Receiver<UnblockAs>,
) -> (JobReply, Option<MasterConnection>) {
    let protocol = forwarded.protocol;
    let remote = server.set.remote();
    let (answer, answered) = channel();
    let (mut sent, mut bytes) = (Sent::default(), Vec::new());
    encode_command(&mut bytes, [&b"CLIENT"[..], b"ID"].into_iter());
    sent.add(Queued { forwarded, answer }, &mut Some(0), &mut bytes);
    sent.close(connection.question(&server.set), &mut bytes);
    // What the master calls this connection; 0 before it has told.
    let id = AtomicI64::new(0);
    let mut is_by_itself = false;
    let ended = {
        let mut done = pin!(async {
            let mut replies = connection.replies();
            connection.send(&bytes).await?;
            id.store(number_in(&replies.next(&connection.link).await?).unwrap_or(0), Relaxed);
            while let Took::More = sent.take(&replies.next(&connection.link).await?)? {}
            Ok::<(), Fault>(())
        });
        // Nobody is served any more by one that another has taken the place of.
        let deposed = pin!(async {
            match &server.upstream {
                Some(upstream) => upstream.other_master(upstream.view().master).await,
                None => std::future::pending().await,
            }
        });
        let Either::Left((ended, _)) = select(select(done.as_mut(), unblocked), deposed).await
        else {
            let reply = Ok(format!("-{}\r\n", FORCED.text()).into_bytes());
            return (JobReply { reply, wrote: None }, None);
        };
        match ended {
            Either::Left((done, _)) => {
                is_by_itself = done.is_ok();
                Ok(done)
            }
            // Nobody can order it any more.
            Either::Right((Err(_), _)) => Ok(done.await),
            Either::Right((Ok(how), _)) => {
                let is_same = || match &remote {
                    Some(remote) => server.set.follows(remote),
                    None => false,
                };
                let ended = unblock(server, is_same, &id, how, done).await;
                ended.ok_or(how)
            }
        }
    };
    match ended {
        Ok(Err(fault)) if !sent.is_answered() => {
            log::warn!("event=forward-lost runs=1 why={fault}");
            sent.fail(&lost_at(server, &connection.of));
        }
        Ok(_) => {}
        // The connection ends here, and what waits there with it.
        Err(how) => return (JobReply { reply: Ok(told(how, protocol)), wrote: None }, None),
    }
    (reply_of(answered).await, is_by_itself.then_some(connection))
}

/// What the master answers to the call once it is unblocked; `None` when it does not do so.
async fn unblock(
    server: &Arc<Server>,
    is_same: impl Fn() -> bool,
    id: &AtomicI64,
    how: UnblockAs,
    mut done: Pin<&mut impl Future<Output = Result<(), Fault>>>,
) -> Option<Result<(), Fault>> {
    for _ in 0..TRIES {
        let id = id.load(Relaxed);
        // Another master knows others by these numbers.
        if id != 0 && is_same() && unblock_there(server, id, how).await.unwrap_or(false) {
            return tasks::within(PATIENCE, done.as_mut()).await;
        }
        if let Some(done) = tasks::within(REST, done.as_mut()).await {
            return Some(done);
        }
    }
    None
}

/// Tells the master. Answers whether there was something to unblock.
async fn unblock_there(server: &Arc<Server>, id: i64, how: UnblockAs) -> Result<bool, Fault> {
    let word: &[u8] = match how {
        UnblockAs::Timeout => b"TIMEOUT",
        UnblockAs::Error => b"ERROR",
    };
    let connection = MasterConnection::open(server, Protocol::Resp2).await?;
    let (number, mut bytes) = (id.to_string(), Vec::new());
    let words = [&b"CLIENT"[..], b"UNBLOCK", number.as_bytes(), word];
    encode_command(&mut bytes, words.into_iter());
    connection.send(&bytes).await?;
    let reply = connection.replies().next(&connection.link).await?;
    Ok(number_in(&reply) == Some(1))
}

/// The number that a reply is.
fn number_in(reply: &[u8]) -> Option<i64> {
    parse_i64(reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?)
}

/// What Redis answers to a call that was unblocked like this.
fn told(how: UnblockAs, protocol: Protocol) -> Vec<u8> {
    match (how, protocol) {
        (UnblockAs::Error, _) => format!("-{UNBLOCKED}\r\n").into_bytes(),
        (UnblockAs::Timeout, Protocol::Resp2) => b"*-1\r\n".to_vec(),
        (UnblockAs::Timeout, Protocol::Resp3) => b"_\r\n".to_vec(),
    }
}
