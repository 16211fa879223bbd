//! Asks a member how it stands, again and again, over a connection for that alone.

use crate::node::upstream::{Backoff, ConnectionFault, MemberState, Patience, Pipeline};
use crate::resp::Protocol;
use crate::runtime::link::{Exchange, Link};
use crate::runtime::{clock, tasks};
use crate::state::{Upstream, UpstreamMember};
use futures::future::select;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

const READ_BYTES: usize = 16 << 10;

/// Asks for as long as it is run.
pub async fn attend(upstream: Arc<Upstream>, member: Arc<UpstreamMember>) {
    let mut backoff = Backoff::new(clock::entropy());
    loop {
        let (fault, has_answered) = ask_until_it_ends(&upstream, &member).await;
        if has_answered {
            backoff.succeeded();
        }
        upstream.failed(&member, state_of(fault));
        rest(&upstream, backoff.failed().min(upstream.settings.probe_every)).await;
    }
}

fn state_of(fault: ConnectionFault) -> MemberState {
    match fault {
        ConnectionFault::Io(why) => MemberState::Unreachable(why),
        ConnectionFault::TimedOut | ConnectionFault::Overtaken => MemberState::Silent,
        ConnectionFault::Refused(why) => MemberState::Refused(why),
        ConnectionFault::Broken | ConnectionFault::Unasked => {
            MemberState::Garbage(fault.to_string())
        }
    }
}

/// Waits for this time, or until somebody doubts what is known.
async fn rest(upstream: &Upstream, time: Duration) {
    let doubts = upstream.doubts();
    select(pin!(tasks::sleep(time)), doubts).await;
}

/// Answers what has ended the connection, and whether anything was answered before.
async fn ask_until_it_ends(
    upstream: &Upstream,
    member: &UpstreamMember,
) -> (ConnectionFault, bool) {
    let settings = &upstream.settings;
    let address = &member.address;
    let tls = upstream.tls.upstream();
    let connect = Link::connect_as(&address.host, address.port, tls.as_ref());
    let link = match tasks::within(settings.connect_timeout, connect).await {
        None => return (ConnectionFault::TimedOut, false),
        Some(Err(error)) => return (ConnectionFault::Io(error.to_string()), false),
        Some(Ok(link)) => link,
    };
    let patience = Patience { replica: settings.replica_timeout, master: settings.replica_timeout };
    let (epoch, now) = (upstream.epoch(), clock::mono_now());
    let mut pipeline = Pipeline::open(settings.login(), Protocol::Resp2, patience, epoch, now);
    let mut has_answered = false;
    loop {
        // Before it is asked: what it tells is no older.
        let doubts = upstream.doubts();
        let asked_at = clock::mono_now();
        pipeline.probe(upstream.epoch(), asked_at);
        let exchange = exchange(&link, &mut pipeline);
        let answered = tasks::within(settings.replica_timeout, exchange).await;
        match answered {
            None => return (ConnectionFault::TimedOut, has_answered),
            Some(Err(fault)) => return (fault, has_answered),
            Some(Ok(())) => {
                has_answered = true;
                member.load.answered(asked_at, clock::mono_now());
            }
        }
        match pipeline.take_reports().pop() {
            _ if pipeline.is_loading() => upstream.failed(member, MemberState::Loading),
            Some(report) => upstream.reported(member, report, asked_at),
            // It is there, and tells no more: what is believed of it stays.
            None if pipeline.is_busy() => {}
            None => {
                let why = "it does not tell INFO replication".to_owned();
                upstream.failed(member, MemberState::Garbage(why));
            }
        }
        select(pin!(tasks::sleep(settings.probe_every)), doubts).await;
    }
}

/// Sends what is to be sent, and reads until all of it is answered.
async fn exchange(link: &Link, pipeline: &mut Pipeline<()>) -> Result<(), ConnectionFault> {
    let of_io = |error: std::io::Error| ConnectionFault::Io(error.to_string());
    let bytes = pipeline.to_send().to_vec();
    link.send(&bytes).await.map_err(of_io)?;
    pipeline.sent(bytes.len());
    let mut buffer = vec![0; READ_BYTES];
    let mut done = Vec::new();
    while pipeline.deadline().is_some() {
        let count = link.read(&mut buffer).await.map_err(of_io)?;
        pipeline.room().extend_from_slice(&buffer[..count]);
        pipeline.handle(&mut done)?;
    }
    Ok(())
}
