//! Who looks after one member: a task for each connection to it, and one that asks how it stands.

use super::{lane, probe};
use crate::resp::Protocol;
use crate::runtime::tasks;
use crate::server::placement::{Place, Threads};
use crate::state::{Upstream, UpstreamMember};
use futures::future::select;
use std::pin::pin;
use std::sync::Arc;

/// Begins to look after one member, until it is none any more.
pub fn attend_member(upstream: &Arc<Upstream>, member: &Arc<UpstreamMember>, threads: &Threads) {
    for worker in 0..upstream.workers() {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let (upstream, member) = (upstream.clone(), member.clone());
            threads.spawn(Place::Worker(worker), move || {
                lane::attend(upstream, member, worker, protocol)
            });
        }
    }
    let (upstream, member) = (upstream.clone(), member.clone());
    tasks::spawn(async move {
        let ended = pin!(member.ended());
        select(pin!(probe::attend(upstream, member.clone())), ended).await;
    });
}
