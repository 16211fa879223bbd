//! Waits for replicas of the master to acknowledge what clients have written: one connection for
//! all of them.

use super::talk::{Talk, other};
use crate::base::number::parse_u64;
use crate::base::position::Coverage;
use crate::base::time::MonoUs;
use crate::node::upstream::{AckRound, AckWaits, BARRIER, Report, UpstreamView};
use crate::replication::ASK_MASTER_INFO;
use crate::runtime::{clock, tasks};
use crate::server::master_wait::OTHER_HISTORY;
use crate::state::{AckAsk, Upstream};
use futures::future::select;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

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
    let member = upstream.member(master);
    let settings = &upstream.settings;
    let patience = settings.replica_timeout;
    let mut talk = Talk::with(upstream, &member.address).await?;
    // Its history is asked for behind each count: one who has come back at the same address, or was
    // a replica meanwhile, may have another, of which what was written is no part.
    let replid = history_of(&talk.ask(&ASK_MASTER_INFO, patience).await?)?.at.replid;
    let is_as_known = || {
        let history = upstream.view().history.as_ref().map(|it| it.replid);
        upstream.is_master(&member) && history == Some(replid)
    };
    // The last barrier was refused: there is nothing that WAIT could count.
    let mut is_refused = false;
    loop {
        take_new(upstream, waits);
        let Some(mut round) = waits.next_round(clock::mono_now()) else {
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
        if is_refused {
            // Who waits for more than there are has all of them asked what they have.
            round.replicas = REPLICAS_MAX;
        }
        let Counted { barrier, counted, told } = ask_round(&mut talk, round, patience).await?;
        if let Some(barrier) = barrier {
            let was_refused = std::mem::replace(&mut is_refused, barrier.starts_with(b"-"));
            if is_refused && !was_refused {
                let why = String::from_utf8_lossy(&barrier[1..]);
                log::warn!("event=upstream-barrier-refused why={:?}", why.trim_end());
            }
        }
        let acked = counted.strip_prefix(b":").and_then(|it| it.strip_suffix(b"\r\n"));
        let acked = acked.and_then(parse_u64);
        let acked = acked.ok_or_else(|| other(&String::from_utf8_lossy(&counted)))?;
        let acked = if is_refused { 0 } else { acked };
        let report = history_of(&told)?;
        if report.at.replid != replid {
            upstream.reported(&member, report, MonoUs::default());
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

/// More replicas than any master has.
const REPLICAS_MAX: usize = 1 << 20;
/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(60);

/// What a master tells of itself.
fn history_of(reply: &[u8]) -> io::Result<Report> {
    let report = Report::read(reply).filter(|it| it.is_master);
    report.ok_or_else(|| other("it does not say that it is a master"))
}

/// The replies of one round.
struct Counted {
    /// That of the barrier, if one was written.
    barrier: Option<Vec<u8>>,
    /// What WAIT counts: without a barrier on this connection all replicas, whatever they have.
    counted: Vec<u8>,
    /// What the master tells of itself then.
    told: Vec<u8>,
}

/// Writes a barrier if one is needed, and waits for it to be acknowledged.
async fn ask_round(talk: &mut Talk, round: AckRound, patience: Duration) -> io::Result<Counted> {
    let (replicas, timeout) = (round.replicas.to_string(), round.timeout_ms.to_string());
    let barrier: [&[u8]; 3] = [b"PUBLISH", BARRIER, b""];
    let wait: [&[u8]; 3] = [b"WAIT", replicas.as_bytes(), timeout.as_bytes()];
    let most = patience + Duration::from_millis(round.timeout_ms);
    match round.has_barrier {
        true => {
            let asked = talk.ask_all([&barrier, &wait, &ASK_MASTER_INFO], most).await?;
            let [barrier, counted, told] = asked;
            Ok(Counted { barrier: Some(barrier), counted, told })
        }
        false => {
            let [counted, told] = talk.ask_all([&wait, &ASK_MASTER_INFO], most).await?;
            Ok(Counted { barrier: None, counted, told })
        }
    }
}
