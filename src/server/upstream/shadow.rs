//! Compares what is answered with what a server of another set answers to the same reads: of a set
//! that is to take the place of this one.

use super::dispatch::answer_to;
use super::talk::{Talk, other};
use crate::base::remote_address::RemoteAddress;
use crate::node::upstream::{RunKind, Sample};
use crate::resp::Protocol;
use crate::runtime::{clock, tasks};
use crate::state::{Aim, CheckOutcome, Upstream};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How long the other set has to get what was written to this one, before it is asked again.
const SETTLES: Duration = Duration::from_millis(200);
/// How long to rest when it cannot be asked.
const REST: Duration = Duration::from_millis(100);

/// Compares what is sampled, until the process ends.
pub async fn attend(upstream: Arc<Upstream>, address: RemoteAddress) {
    let shadow = &upstream.checks.shadow;
    let mut talks = [None, None];
    loop {
        let news = shadow.news();
        let Some(sample) = shadow.take() else {
            news.await;
            continue;
        };
        let talk = &mut talks[usize::from(sample.protocol == Protocol::Resp3)];
        let outcome = match compare(&upstream, &address, talk, &sample).await {
            Ok(outcome) => outcome,
            Err(error) => {
                log::debug!("event=shadow-unchecked address={address} why={error}");
                *talk = None;
                tasks::sleep(REST).await;
                CheckOutcome::Unchecked
            }
        };
        shadow.count(outcome);
    }
}

async fn compare(
    upstream: &Arc<Upstream>,
    address: &RemoteAddress,
    talk: &mut Option<Talk>,
    sample: &Sample,
) -> io::Result<CheckOutcome> {
    let mut there = match talk.take() {
        Some(talk) => talk,
        None => open(upstream, address, sample.protocol).await?,
    };
    let first = ask(upstream, &mut there, sample).await?;
    if first == sample.reply {
        *talk = Some(there);
        return Ok(CheckOutcome::Agreed);
    }
    // The one or the other may have had less of what was written.
    tasks::sleep(SETTLES).await;
    let before = at_master(upstream, sample).await?;
    let again = ask(upstream, &mut there, sample).await?;
    let after = at_master(upstream, sample).await?;
    *talk = Some(there);
    let is_known = |it: &[u8]| !it.starts_with(b"-");
    if !is_known(&before) || !is_known(&after) {
        return Ok(CheckOutcome::Unchecked);
    }
    if again == before || again == after {
        return Ok(CheckOutcome::Agreed);
    }
    if before != after {
        return Ok(CheckOutcome::Moved);
    }
    let shown = |it: &[u8]| {
        let cut = &it[..it.len().min(60)];
        String::from_utf8_lossy(cut).escape_debug().to_string()
    };
    let what = format!("shadow {}: another answer at {address}", sample.told());
    let values = format!("here {}, there {}", shown(&after), shown(&again));
    upstream.checks.found(&what, &values);
    Ok(CheckOutcome::Wrong)
}

async fn open(
    upstream: &Upstream,
    address: &RemoteAddress,
    protocol: Protocol,
) -> io::Result<Talk> {
    let settings = &upstream.settings;
    let mut talk = Talk::with(upstream, address).await?;
    if protocol == Protocol::Resp3 {
        let reply = talk.ask(&[b"HELLO", b"3"], settings.replica_timeout).await?;
        if reply.starts_with(b"-") {
            return Err(other(String::from_utf8_lossy(&reply).trim_end()));
        }
    }
    Ok(talk)
}

async fn ask(upstream: &Upstream, talk: &mut Talk, sample: &Sample) -> io::Result<Vec<u8>> {
    let (db, words) = (sample.db.to_string(), sample.words());
    let both: [&[&[u8]]; 2] = [&[b"SELECT", db.as_bytes()], &words];
    let [selected, reply] = talk.ask_all(both, upstream.settings.replica_timeout).await?;
    if selected.starts_with(b"-") {
        return Err(other(String::from_utf8_lossy(&selected).trim_end()));
    }
    Ok(reply)
}

/// What the master of this set answers now.
async fn at_master(upstream: &Arc<Upstream>, sample: &Sample) -> io::Result<Vec<u8>> {
    let kind = RunKind::Master { written: 0, wants_place: false };
    let run = sample.again(sample.protocol, kind, clock::mono_now());
    let reply = answer_to(upstream, run, Aim::Master, upstream.settings.reply_timeout).await;
    reply.ok_or_else(|| other("the master does not answer"))
}
