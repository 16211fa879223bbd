//! CONFIG of what is the servers' own.
//!
//! The master is asked, and told. Who hears of what happens to keys hears it of the master, so all
//! who may become that are told to tell it, too.

use super::dispatch::answer_to;
use super::talk::{Talk, other};
use crate::base::glob::is_literal;
use crate::base::ids::MemberId;
use crate::command::codes;
use crate::commands::ServersConfig;
use crate::config::is_of_servers;
use crate::node::upstream::{MemberState, Run, RunKind, maps};
use crate::resp::{Protocol, Reply, encode_command};
use crate::runtime::clock;
use crate::state::{Aim, Upstream, UpstreamMember};
use futures::future::join_all;
use std::io;

/// What members are all told, not the master alone.
const OF_ALL: &str = "notify-keyspace-events";

/// Answers the reply, or the text of an error.
pub async fn servers_config(upstream: &Upstream, asked: ServersConfig) -> Result<Vec<u8>, String> {
    match asked {
        ServersConfig::Get { own, patterns, protocol } => {
            get(upstream, own, &patterns, protocol).await
        }
        ServersConfig::Set(words) => set(upstream, &words).await,
    }
}

async fn get(
    upstream: &Upstream,
    own: Vec<(String, String)>,
    patterns: &[Vec<u8>],
    protocol: Protocol,
) -> Result<Vec<u8>, String> {
    let told = ask_master(upstream, b"GET", patterns, 0).await;
    let theirs = match &told {
        Ok(told) => maps(told).ok_or("ERR the master's answer to CONFIG GET is none")?.concat(),
        // Who asks for whatever there is gets what is this process' own.
        Err(_) if !patterns.iter().any(|it| is_literal(it)) => Vec::new(),
        Err(why) => return Err(why.clone()),
    };
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    let theirs = theirs.into_iter().map(|it| (text(it.0), it.1.to_vec()));
    let own = own.into_iter().map(|it| (it.0, it.1.into_bytes()));
    let all: Vec<_> = own.chain(theirs.filter(|it| is_of_servers(&it.0))).collect();
    let mut reply = Reply::new(protocol);
    reply.map(all.len());
    for (name, value) in all {
        reply.bulk(name.as_bytes());
        reply.bulk(&value);
    }
    Ok(reply.into_bytes())
}

async fn set(upstream: &Upstream, words: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    let before = upstream.view().master;
    let reply = ask_master(upstream, b"SET", words, 1).await?;
    let is_of_all = |it: &&[Vec<u8>]| it[0].eq_ignore_ascii_case(OF_ALL.as_bytes());
    if let Some(pair) = words.chunks_exact(2).find(is_of_all) {
        let (members, view) = (upstream.members(), upstream.view());
        // Where the master has changed meanwhile, either may have been told.
        let is_told = |it: MemberId| view.master == before && before == Some(it);
        let others = members.iter().filter_map(|it| {
            let state = &view.members.get(it.id.index())?.state;
            (!is_told(it.id) && !state.is_of_others()).then_some((it, state))
        });
        join_all(others.map(|(it, state)| tell(upstream, it, state, &pair[1]))).await;
    }
    Ok(reply)
}

/// Tells one that is not the master. The answer is the master's: what is wrong here is told by the
/// log.
async fn tell(upstream: &Upstream, member: &UpstreamMember, state: &MemberState, events: &[u8]) {
    let told = match state.is_down() {
        true => Err(other(&state.to_string())),
        false => set_at(upstream, member, events).await,
    };
    if let Err(why) = told {
        let (name, address) = (&member.described.name, &member.address);
        log::warn!(
            "event=upstream-config-failed name={name} address={address} setting={OF_ALL} why={why}"
        );
    }
}

async fn set_at(upstream: &Upstream, member: &UpstreamMember, events: &[u8]) -> io::Result<()> {
    let mut talk = Talk::with(upstream, &member.address).await?;
    let words: [&[u8]; 4] = [b"CONFIG", b"SET", OF_ALL.as_bytes(), events];
    let reply = talk.ask(&words, upstream.settings.replica_timeout).await?;
    match reply.strip_prefix(b"-") {
        Some(text) => Err(other(String::from_utf8_lossy(text).trim_end())),
        None => Ok(()),
    }
}

/// What the master answers to CONFIG, with `written` 1 where it is not to be asked twice; the text
/// of an error.
async fn ask_master(
    upstream: &Upstream,
    order: &[u8],
    words: &[Vec<u8>],
    written: usize,
) -> Result<Vec<u8>, String> {
    let (settings, mut bytes) = (&upstream.settings, Vec::new());
    let all = [&b"CONFIG"[..], order].into_iter().chain(words.iter().map(Vec::as_slice));
    encode_command(&mut bytes, all.collect::<Vec<_>>().into_iter());
    let kind = RunKind::Master { written, wants_place: false };
    let run = Run {
        unsent_until: clock::mono_now().plus(settings.buffer_for),
        ..Run::one(kind, Protocol::Resp2, bytes)
    };
    let patience = settings.buffer_for + settings.connect_timeout + settings.reply_timeout;
    let reply = answer_to(upstream, run, Aim::Master, patience).await;
    let reply = reply.ok_or_else(|| match written {
        0 => "ERR the master has not answered in time".to_owned(),
        _ => codes::lost_at("the master").to_string(),
    })?;
    match reply.strip_prefix(b"-") {
        Some(text) => Err(refused(String::from_utf8_lossy(text).trim_end())),
        None => Ok(reply),
    }
}

/// What a client is told that has rights the proxy itself lacks.
fn refused(text: &str) -> String {
    match text.strip_prefix("NOPERM ") {
        Some(why) => format!("NOPERM the master lets the user of this proxy not do that: {why}"),
        None => text.to_owned(),
    }
}
