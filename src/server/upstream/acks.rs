//! Waits for replicas of the master to acknowledge what clients have written: one connection for
//! all of them.

use super::talk::{Talk, other};
use crate::base::number::parse_u64;
use crate::base::position::Coverage;
use crate::base::time::MonoUs;
use crate::node::upstream::{AckRound, AckWaits, Report, UpstreamView};
use crate::replication::ASK_MASTER_INFO;
use crate::runtime::{clock, tasks};
use crate::server::master_wait::OTHER_HISTORY;
use crate::state::{AckAsk, Upstream};
use futures::future::select;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Where barriers are published: nobody listens there.
const BARRIER: &[u8] = b"__entourage:barrier";
/// How long to rest when the master cannot be asked.
const REST: Duration = Duration::from_millis(20);

/// Asks for all who wait, until the process ends.
pub async fn attend(upstream: Arc<Upstream>) {
    let mut waits = AckWaits::default();
    loop {
        let news = upstream.acks.news();
        take_new(&upstream, &mut waits);
        if waits.is_empty() {
            news.await;
            continue;
        }
        // Whatever ends it, the next connection is another's.
        if let Err(error) = ask(&upstream, &mut waits).await {
            log::debug!("event=ack-connection-ended why={error}");
        }
        waits.take_if(AckAsk::has_gone);
        let over = waits.interrupted(clock::mono_now());
        over.into_iter().for_each(tell);
        let view = upstream.view();
        let lost = waits.take_if(|it| !is_covered(it, &view));
        lost.into_iter().for_each(|it| it.0.settle(Err(OTHER_HISTORY)));
        if !waits.is_empty() {
            tasks::sleep(REST).await;
        }
    }
}

fn tell((ask, acked): (AckAsk, usize)) {
    ask.settle(Ok(acked));
}

/// Takes those who have come. What they have written must be a part of the master's stream.
fn take_new(upstream: &Upstream, waits: &mut AckWaits<AckAsk>) {
    let view = upstream.view();
    for ask in upstream.acks.take() {
        let (replicas, until) = (ask.replicas, ask.until);
        match is_covered(&ask, &view) {
            true => waits.add(ask, replicas, until),
            false => ask.settle(Err(OTHER_HISTORY)),
        }
    }
}

/// Whether what was written is a part of the master's stream, as far as that is known.
fn is_covered(ask: &AckAsk, view: &UpstreamView) -> bool {
    let covered = view.history.as_ref().map(|it| it.cover(ask.written));
    matches!(covered, Some(Coverage::To(_)))
}

/// Asks the master until nobody waits, or it is none any more.
async fn ask(upstream: &Upstream, waits: &mut AckWaits<AckAsk>) -> io::Result<()> {
    let view = upstream.view();
    let master = view.master.ok_or_else(|| other("there is no master"))?;
    let address = upstream.member(master).address.clone();
    let settings = &upstream.settings;
    let patience = settings.replica_timeout;
    let login = settings.login();
    let mut talk =
        Talk::open(&address, login, settings.connect_timeout, upstream.tls.upstream()).await?;
    // Its history is asked for behind each count: one who has come back at the same address, or was
    // a replica meanwhile, may have another, of which what was written is no part.
    let replid = history_of(&talk.ask(&ASK_MASTER_INFO, patience).await?)?.at.replid;
    let is_as_known = || {
        let view = upstream.view();
        view.master == Some(master) && view.history.as_ref().is_some_and(|it| it.replid == replid)
    };
    loop {
        take_new(upstream, waits);
        let Some(round) = waits.next_round(clock::mono_now()) else {
            let news = upstream.acks.news();
            if upstream.acks.is_empty() {
                // The connection is kept for a while.
                select(pin!(tasks::sleep(IDLE)), news).await;
                if upstream.acks.is_empty() {
                    return Ok(());
                }
            }
            continue;
        };
        if !is_as_known() {
            return Err(other("it is another's history"));
        }
        let [counted, told] = ask_round(&mut talk, round, patience).await?;
        let acked = counted.strip_prefix(b":").and_then(|it| it.strip_suffix(b"\r\n"));
        let acked = acked.and_then(parse_u64);
        let acked = acked.ok_or_else(|| other(&String::from_utf8_lossy(&counted)))?;
        let report = history_of(&told)?;
        if report.at.replid != replid {
            upstream.reported(master, report, MonoUs::default());
            return Err(other("it has another history now"));
        }
        if !is_as_known() {
            return Err(other("it is another's history"));
        }
        waits.take_if(AckAsk::has_gone);
        // What replicas have acknowledged that are far away may be enough though WAIT has given up.
        let has =
            |ask: &AckAsk| report.acked.iter().filter(|it| ask.written.offset <= **it).count();
        waits.answered(acked as usize, has, clock::mono_now()).into_iter().for_each(tell);
    }
}

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(60);

/// What a master tells of itself.
fn history_of(reply: &[u8]) -> io::Result<Report> {
    let report = Report::read(reply).filter(|it| it.is_master);
    report.ok_or_else(|| other("it does not say that it is a master"))
}

/// Writes a barrier if one is needed, and waits for it to be acknowledged. Answers what WAIT
/// counts, and what the master tells of itself then.
async fn ask_round(
    talk: &mut Talk,
    round: AckRound,
    patience: Duration,
) -> io::Result<[Vec<u8>; 2]> {
    let (replicas, timeout) = (round.replicas.to_string(), round.timeout_ms.to_string());
    let barrier: [&[u8]; 3] = [b"PUBLISH", BARRIER, b""];
    let wait: [&[u8]; 3] = [b"WAIT", replicas.as_bytes(), timeout.as_bytes()];
    let most = patience + Duration::from_millis(round.timeout_ms);
    match round.has_barrier {
        true => {
            let asked = talk.ask_all([&barrier, &wait, &ASK_MASTER_INFO], most).await?;
            let [_, counted, told] = asked;
            Ok([counted, told])
        }
        false => talk.ask_all([&wait, &ASK_MASTER_INFO], most).await,
    }
}
