//! What PROXY NODES tells of members that are real servers.

use super::node_field::Field;
use crate::base::time::MonoUs;
use crate::command::{Fault, codes};
use crate::commands::{CommandContext, Job, Outcome};
use crate::node::upstream::{Availability, MemberState, UpstreamView, ViewMember};
use crate::state::{Upstream, UpstreamMember};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Every member by name, each with what there is to know of it.
pub fn upstream_nodes(
    upstream: &Upstream,
    now: MonoUs,
) -> Vec<(String, Vec<(&'static str, Field)>)> {
    let (members, view) = (upstream.members(), upstream.view());
    let both = view.there(&members);
    both.map(|(member, stands)| {
        let name = member.described.name.clone();
        (name, fields(member, stands, &view, now))
    })
    .collect()
}

/// `NODE <name> DRAIN|UNDRAIN`: whether readers are sent to a member. `MAINTENANCE|RESUME`: whether
/// it is there at all.
pub fn order_upstream(
    upstream: &Upstream,
    context: &mut CommandContext<'_>,
) -> Result<Outcome, Fault> {
    let word = context.args.next()?;
    let members = upstream.members();
    let found = find(&members, word);
    let order = context.args.next().unwrap_or_default().to_ascii_lowercase();
    let availability = match order.as_slice() {
        b"drain" => Availability::Drained,
        b"maintenance" => Availability::Maintenance,
        b"undrain" | b"resume" => Availability::Full,
        _ => {
            return Err(Fault::Static(
                "ERR of a real server an order is DRAIN, MAINTENANCE, UNDRAIN or RESUME",
            ));
        }
    };
    let takes_away = availability != Availability::Full;
    let is_forced = takes_away && context.args.word("FORCE");
    context.args.done()?;
    let member = found.ok_or_else(|| unknown(&members))?;
    let (name, view) = (&member.described.name, upstream.view());
    let serves = |at: usize| view.serves_reads(at);
    let is_last =
        serves(member.id.index()) && (0..members.len()).filter(|it| serves(*it)).count() == 1;
    if availability == Availability::Maintenance && view.master == Some(member.id) && !is_forced {
        return Err(codes::master_in_service(name));
    }
    let stands = &view.members[member.id.index()].state;
    if *stands == MemberState::Maintenance && matches!(order.as_slice(), b"drain" | b"undrain") {
        return Err(codes::refused_order(name, "it is in maintenance: RESUME gives it back first"));
    }
    if takes_away && is_last {
        if !is_forced {
            let order = String::from_utf8_lossy(&order).to_uppercase();
            return Err(codes::last_in_service(name, &order));
        }
        log::warn!("event=no-replica-in-service last={name} why=all reads go to the master");
    }
    upstream.leave(member.id, availability);
    context.reply.ok();
    Ok(Outcome::Answered)
}

/// The member of this name.
fn find<'m>(members: &'m [Arc<UpstreamMember>], name: &[u8]) -> Option<&'m Arc<UpstreamMember>> {
    let is_called =
        |it: &&Arc<UpstreamMember>| it.described.name.as_bytes().eq_ignore_ascii_case(name);
    members.iter().filter(|it| !it.is_gone()).find(is_called)
}

fn unknown(members: &[Arc<UpstreamMember>]) -> Fault {
    let there = members.iter().filter(|it| !it.is_gone());
    let names: Vec<&str> = there.map(|it| it.described.name.as_str()).collect();
    codes::no_such_member(&names)
}

/// How long the master may take to hand its role over where nothing is said of that.
const SWITCH_OVER_MAX: Duration = Duration::from_secs(5);

/// `FAILOVER TO name [TIMEOUT milliseconds]`: answers OK, and for how long what is the master's
/// waited.
pub fn switch_over_upstream(
    upstream: &Upstream,
    context: &mut CommandContext<'_>,
) -> Result<Outcome, Fault> {
    if !context.args.word("TO") || context.args.left() == 0 {
        return Err(Fault::Static(
            "ERR write PROXY FAILOVER TO and a name, like n2, and TIMEOUT with milliseconds if \
             that is meant",
        ));
    }
    let word = context.args.next()?;
    let members = upstream.members();
    let found = find(&members, word);
    let to = found.ok_or_else(|| unknown(&members))?.id;
    let mut timeout = SWITCH_OVER_MAX;
    if context.args.word("TIMEOUT") {
        let ms = u64::try_from(context.args.int()?).ok().filter(|it| *it != 0);
        let ms = ms.ok_or(Fault::Static("ERR FAILOVER timeout must be greater than 0"))?;
        timeout = Duration::from_millis(ms);
    }
    context.args.done()?;
    Ok(Outcome::apart(Job::SwitchOver { to, timeout }, context.kept_request()))
}

fn fields(
    member: &UpstreamMember,
    stands: &ViewMember,
    view: &UpstreamView,
    now: MonoUs,
) -> Vec<(&'static str, Field)> {
    let role = match stands.state {
        MemberState::Master => "master",
        MemberState::Replica | MemberState::Drained => "replica",
        _ => "none",
    };
    let head = view.master.and_then(|it| view.members[it.index()].at);
    let offset = stands.at.map_or(-1, |it| it.offset.bytes() as i64);
    let lag = head.zip(stands.at).filter(|(head, at)| head.replid == at.replid);
    let lag = lag.map_or(-1, |(head, at)| head.offset.since(at.offset) as i64);
    let lag_us = match stands.state {
        MemberState::Master => Some(0),
        _ => stands.fresh_at.map(|it| now.since(it)),
    };
    let serves = matches!(stands.state, MemberState::Master | MemberState::Replica);
    let counts = &member.counts;
    let count = |it: &AtomicU64| Field::Number(it.load(Relaxed) as i64);
    let described = &member.described;
    vec![
        ("role", Field::Word(role.into())),
        ("state", Field::Word(stands.state.as_str().into())),
        ("why", Field::Word(stands.state.why().to_owned())),
        ("address", Field::Word(member.address.to_string())),
        ("zone", Field::Word(described.zone.clone().unwrap_or_default())),
        ("replid", Field::Word(stands.at.map_or_else(String::new, |it| it.replid.to_string()))),
        ("offset", Field::Number(offset)),
        ("lag-bytes", Field::Number(lag)),
        ("lag-us", Field::Micros(lag_us)),
        ("in-flight", Field::Number(member.load.in_flight().into())),
        ("rtt-us", Field::Number(member.load.took_us().into())),
        ("ejected", Field::YesOrNo(stands.is_ejected)),
        ("ejections", Field::Number(stands.ejections as i64)),
        ("weight", Field::Number(described.weight.into())),
        ("connects", count(&counts.connects)),
        ("faults", count(&counts.faults)),
        ("answered", count(&counts.answered)),
        ("reads-accepted", count(&counts.accepted)),
        ("reads-refused", count(&counts.refused)),
        ("writes-lost", count(&counts.lost)),
        ("in-service", Field::YesOrNo(serves)),
        ("tags", Field::Words(described.tags.clone())),
        ("dedicated", Field::YesOrNo(described.dedicated)),
    ]
}
