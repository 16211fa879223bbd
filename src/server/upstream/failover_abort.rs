//! A master that was told to hand its role over, and is to give that up: nobody knows what it does
//! before it has said so.

use super::talk::Talk;
use crate::base::ids::MemberId;
use crate::node::upstream::Report;
use crate::replication::ASK_MASTER_INFO;
use crate::runtime::tasks;
use crate::state::Upstream;
use std::io::ErrorKind;
use std::time::Duration;

/// How often it is asked whether it has.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// What has become of the order to hand over.
pub enum Ordered {
    /// The master has begun.
    Begun,
    /// It has not answered yet: the answer comes over this connection.
    Unanswered(Talk),
}

/// Comes back once the master is not handing its role over any more, and does not begin to.
pub async fn give_up(upstream: &Upstream, master: MemberId, ordered: Ordered) {
    if let Ordered::Unanswered(mut talk) = ordered {
        // Until it has read the order it has nothing to give up. Where the connection ends, it
        // has read it, or never will.
        match talk.next().await {
            Ok(reply) if reply.starts_with(b"-") => return,
            Ok(_) | Err(_) => {}
        }
    }
    while !has_given_up(upstream, master).await.unwrap_or(false) {
        tasks::sleep(ASK_EVERY).await;
    }
}

/// Tells it to, over a connection of its own; one over which an answer is late tells nothing.
/// `None` when it does not say how it stands.
async fn has_given_up(upstream: &Upstream, master: MemberId) -> Option<bool> {
    let (settings, member) = (&upstream.settings, upstream.member(master));
    let mut talk = match Talk::with(upstream, &member.address).await {
        Ok(talk) => talk,
        // Its process has ended, and with it what it was told.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Some(true),
        Err(_) => return None,
    };
    let both = talk.ask_all([&[b"FAILOVER", b"ABORT"], &ASK_MASTER_INFO], settings.replica_timeout);
    let [aborted, told] = both.await.ok()?;
    let report = Report::read(&told)?;
    let told = String::from_utf8_lossy(&told);
    let is_over = !report.is_master || told.contains("master_failover_state:no-failover");
    if is_over {
        let reply = String::from_utf8_lossy(&aborted);
        log::warn!(
            "event=upstream-switchover-aborted master={} is_master={} reply={:?}",
            member.described.name,
            report.is_master,
            reply.trim_end()
        );
    }
    Some(is_over)
}
