//! Asks the master where its stream ends, for reads that may lack so many bytes of it, and writes a
//! heartbeat there, so that it is known how old what replicas have is: one connection for both.
//!
//! Where the master was told to stand was its place when it was asked, or a later one. So a replica
//! that has all of it is at most so old as the question.

use super::dispatch::{headed, unheaded};
use super::talk::{Talk, Words, other};
use crate::base::position::Position;
use crate::base::remote_address::RemoteAddress;
use crate::base::time::MonoUs;
use crate::config::{BeatTo, Config};
use crate::node::upstream::Report;
use crate::replication::ASK_MASTER_INFO;
use crate::route::Level;
use crate::runtime::{clock, tasks};
use crate::state::{HeadAsk, Server, Upstream};
use futures::future::select;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The least time between two heartbeats.
const BEAT_MIN: Duration = Duration::from_millis(5);
/// How long to rest when the master cannot be asked.
const REST: Duration = Duration::from_millis(20);
/// How long a key of heartbeats lives at least.
const KEPT_MS_MIN: u64 = 10_000;

/// Asks for all who wait, and writes heartbeats, until the process ends.
pub async fn attend(server: Arc<Server>, upstream: Arc<Upstream>) {
    let mut talk = None;
    let mut beat_at = MonoUs::default();
    loop {
        let news = upstream.head.news();
        let (asks, now) = (upstream.head.take(), clock::mono_now());
        let every = beats_every(&server, &upstream, now);
        let beat_due = every.map(|it| beat_at.plus(it));
        let beats = beat_due.is_some_and(|it| it <= now);
        if asks.is_empty() && !beats {
            match beat_due {
                Some(due) => drop(select(pin!(tasks::sleep(clock::until(due))), news).await),
                None => news.await,
            }
            continue;
        }
        if beats {
            beat_at = now;
        }
        let beat = every.filter(|_| beats);
        match round(&server, &upstream, &mut talk, beat).await {
            Ok(at) => asks.into_iter().for_each(|it| headed(&upstream, it, at)),
            Err(error) => {
                log::debug!("event=head-unknown why={error}");
                talk = None;
                asks.into_iter().for_each(|it: HeadAsk| unheaded(&upstream, it));
                tasks::sleep(REST).await;
            }
        }
    }
}

/// How often a heartbeat is to be written; `None` while nobody needs it.
fn beats_every(server: &Server, upstream: &Upstream, now: MonoUs) -> Option<Duration> {
    let heartbeat = &upstream.settings.tuning.heartbeat;
    let asked = upstream.head.age_wanted(now).into_iter().chain(least_bound_us(&server.settings()));
    let least = asked.min();
    if least.is_none() && !heartbeat.is_always {
        return None;
    }
    let most = upstream.settings.probe_every.max(BEAT_MIN);
    let needed = least.map_or(most, |it| Duration::from_micros(it / 4));
    Some(heartbeat.every.unwrap_or(needed.clamp(BEAT_MIN, most)))
}

/// The least bound in time that the configuration asks for, in µs.
fn least_bound_us(settings: &Config) -> Option<u64> {
    let bound = |level: Level| match level {
        Level::Bounded { ms: Some(ms), .. } => Some(ms.saturating_mul(1000)),
        _ => None,
    };
    let routes = settings.routes.in_force().filter_map(|it| it.1.level);
    let listeners = settings.listeners.iter().filter_map(|it| it.level);
    let all = routes.chain(listeners).chain([settings.routes.default_level()]);
    all.filter_map(bound).min()
}

/// Asks the master where it stands; writes a heartbeat ahead of that, if one is due.
async fn round(
    server: &Server,
    upstream: &Upstream,
    talk: &mut Option<(Talk, RemoteAddress)>,
    beat: Option<Duration>,
) -> io::Result<Position> {
    let master = upstream.view().master.ok_or_else(|| other("there is no master"))?;
    let settings = &upstream.settings;
    let member = upstream.member(master);
    let kept = talk.take().filter(|it| it.1 == member.address);
    let mut connection = match kept {
        Some((kept, _)) => kept,
        None => Talk::with(upstream, &member.address).await?,
    };
    let asked_at = clock::mono_now();
    let patience = settings.replica_timeout;
    let told = match beat {
        Some(every) => {
            let text = format!("{} {}", server.process_info.run_id, clock::wall_us() / 1000);
            let kept_ms = (every.as_millis() as u64).saturating_mul(10).max(KEPT_MS_MIN);
            let kept_ms = kept_ms.to_string();
            let words: Vec<&[u8]> = match &settings.tuning.heartbeat.to {
                BeatTo::Channel(name) => vec![b"PUBLISH", name.as_bytes(), text.as_bytes()],
                BeatTo::Key(name) => {
                    vec![b"SET", name.as_bytes(), text.as_bytes(), b"PX", kept_ms.as_bytes()]
                }
            };
            let both: [Words<'_>; 2] = [&words, &ASK_MASTER_INFO];
            let [written, told] = connection.ask_all(both, patience).await?;
            note_beat(upstream, &written);
            told
        }
        None => connection.ask(&ASK_MASTER_INFO, patience).await?,
    };
    let report = Report::read(&told).ok_or_else(|| other("it does not tell INFO replication"))?;
    let (is_master, at) = (report.is_master, report.at);
    upstream.reported(&member, report, asked_at);
    let history = upstream.view().history.as_ref().map(|it| it.replid);
    if !is_master || !upstream.is_master(&member) || history != Some(at.replid) {
        return Err(other("it is no master any more"));
    }
    *talk = Some((connection, member.address.clone()));
    Ok(at)
}

/// One who may not write it, or cannot now, tells its place all the same.
fn note_beat(upstream: &Upstream, reply: &[u8]) {
    let Some(text) = reply.strip_prefix(b"-") else {
        upstream.head.beats.fetch_add(1, Relaxed);
        *upstream.head.refused.lock() = None;
        return;
    };
    let why = String::from_utf8_lossy(text).trim_end().to_owned();
    let mut refused = upstream.head.refused.lock();
    if refused.as_ref() != Some(&why) {
        log::warn!("event=heartbeat-refused why={why}");
        *refused = Some(why);
    }
}
