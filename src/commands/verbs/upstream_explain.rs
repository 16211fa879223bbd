//! What PROXY EXPLAIN tells of a request to members that are real servers.

use crate::base::ids::MemberId;
use crate::base::position::ReplicationHistory;
use crate::command::Class;
use crate::commands::CommandContext;
use crate::config::BeatTo;
use crate::node::upstream::UpstreamView;
use crate::route::{Allowed, Among, Floor, Level, ReadRequirements, Reason, Route, Where, plan};
use crate::state::Upstream;
use std::sync::atomic::Ordering::Relaxed;

/// Where the request would go, line by line.
pub fn upstream_explained(
    context: &CommandContext<'_>,
    upstream: &Upstream,
    route: &Route,
    mut ask: ReadRequirements<'_>,
    history: &ReplicationHistory,
) -> Vec<String> {
    let (view, members) = (upstream.view(), upstream.members());
    let allowed = upstream.allowed(route).filter(|_| ask.class == Class::Read);
    if ask.level == Level::Global {
        ask.floor = ask.floor.and(context.server.set.told_floor());
    }
    let mut lines = vec![
        format!("route {}", route.told()),
        format!("level {}", ask.level),
        format!("floor {} of {}", ask.floor, history.replid),
        format!("on-lag {}", ask.ladder),
    ];
    let mut young = true;
    if let (Class::Read, Level::Bounded { ms, bytes }) = (ask.class, ask.level) {
        young = bounds_told(context, upstream, (ms, bytes), &mut lines);
    }
    for (member, stands) in view.there(&members) {
        let at = stands.at.map_or_else(|| "unknown".to_owned(), |it| it.offset.to_string());
        let may = allowed.is_none_or(|it| it.places.has(member.id));
        let note = if may { "" } else { ", not for this route" };
        lines.push(format!(
            "member {} at {}: {}, offset {at} when it last told{note}",
            member.described.name, member.address, stands.state
        ));
    }
    let name = |it: MemberId| members[it.index()].described.name.clone();
    let (chosen, because) = match chosen(&ask, &view, allowed, context.session.watches_remote) {
        (_, Reason::FreshOther) if !young => (view.master, Reason::MasterOnLag),
        _ if ask.class == Class::Read && route.prefers_master && view.master.is_some() => {
            (view.master, Reason::PrefersMaster)
        }
        plan => plan,
    };
    let chosen = chosen.map_or_else(|| "nobody, until there is a master".to_owned(), name);
    lines.push(format!("chosen {chosen}"));
    lines.push(format!("because {}: {}", because.as_str(), because.sentence()));
    let is_proved = ask.class == Class::Read
        && matches!(because, Reason::FreshOther)
        && ask.level != Level::Eventual;
    if is_proved {
        lines.push("proved by ROLE ahead of it, when it is read: else on-lag goes on".to_owned());
    }
    let gate = context.server.settings().set.gate().filter(|_| ask.class == Class::Write);
    let lag_us = |it: std::time::Duration| u64::try_from(it.as_micros()).unwrap_or(u64::MAX);
    let good = |age| view.fresh_replicas(age, context.now);
    if gate.is_some_and(|it| good(lag_us(it.max_lag)) < it.replicas) {
        lines.push("refused -NOREPLICAS: too few replicas are near enough to the master".into());
    }
    lines
}

/// What bounds ask of a replica. Answers whether it is known what is young enough.
fn bounds_told(
    context: &CommandContext<'_>,
    upstream: &Upstream,
    (ms, bytes): (Option<u64>, Option<u64>),
    lines: &mut Vec<String>,
) -> bool {
    let now = context.now;
    let young = ms.map(|ms| upstream.look_for_age(ms.saturating_mul(1000), now));
    match young {
        Some(Some((needs, at))) => lines.push(format!(
            "age a replica must have {}, where the master stood {} us ago",
            needs.offset,
            now.since(at)
        )),
        Some(None) => lines.push(
            "age nobody has asked the master within that time: it serves the read".to_owned(),
        ),
        None => {}
    }
    if ms.is_some() {
        let to = match &upstream.settings.tuning.heartbeat.to {
            BeatTo::Channel(name) => format!("PUBLISH {name}"),
            BeatTo::Key(name) => format!("SET {name}"),
        };
        let written = upstream.head.beats.load(Relaxed);
        let refused = upstream.head.refused.lock().clone();
        let refused = refused.map_or_else(String::new, |it| format!(", refused: {it}"));
        lines.push(format!("heartbeat {to}, {written} written{refused}"));
    }
    if let Some(bytes) = bytes {
        lines.push(format!(
            "bytes the master tells where it stands when the read comes; a replica may lack \
             {bytes} bytes of that"
        ));
    }
    young != Some(None)
}

fn chosen(
    ask: &ReadRequirements<'_>,
    view: &UpstreamView,
    allowed: Option<Allowed>,
    watches: bool,
) -> (Option<MemberId>, Reason) {
    let reason = match (ask.class, ask.level) {
        (Class::Write | Class::Session, _) => Some(Reason::Write),
        _ if watches => Some(Reason::Watching),
        (_, Level::Linearizable) => Some(Reason::Linearizable),
        _ => None,
    };
    if let Some(reason) = reason {
        return (view.master, reason);
    }
    let plan = match allowed {
        None => plan(ask, view),
        Some(allowed) => plan(ask, &Among { members: view, allowed }),
    };
    let member = match plan.to {
        Where::Member(member) => Some(member),
        _ => None,
    };
    let is_foreign = matches!(ask.floor, Floor::Foreign);
    (member, if is_foreign { Reason::ForeignHistory } else { plan.because })
}
