//! What PROXY NODES tells of members that are real servers.

use super::node_field::Field;
use crate::base::time::MonoUs;
use crate::node::upstream::{MemberState, UpstreamView, ViewMember};
use crate::state::{Upstream, UpstreamMember};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Every member by name, each with what there is to know of it.
pub fn upstream_nodes(
    upstream: &Upstream,
    now: MonoUs,
) -> Vec<(String, Vec<(&'static str, Field)>)> {
    let (members, view) = (upstream.members(), upstream.view());
    let both = members.iter().zip(&view.members);
    both.map(|(member, stands)| {
        let name = member.described.name.clone();
        (name, fields(member, stands, &view, now))
    })
    .collect()
}

fn fields(
    member: &UpstreamMember,
    stands: &ViewMember,
    view: &UpstreamView,
    now: MonoUs,
) -> Vec<(&'static str, Field)> {
    let role = match stands.state {
        MemberState::Master => "master",
        MemberState::Replica => "replica",
        _ => "none",
    };
    let why = match &stands.state {
        MemberState::Unreachable(why) | MemberState::Refused(why) | MemberState::Garbage(why) => {
            why.clone()
        }
        _ => String::new(),
    };
    let head = view.master.and_then(|it| view.members[it.index()].at);
    let offset = stands.at.map_or(-1, |it| it.offset.bytes() as i64);
    let lag = head.zip(stands.at).filter(|(head, at)| head.replid == at.replid);
    let lag = lag.map_or(-1, |(head, at)| head.offset.since(at.offset) as i64);
    let lag_us = match stands.state {
        MemberState::Master => Some(0),
        _ => stands.fresh_at.map(|it| now.since(it)),
    };
    let counts = &member.counts;
    let count = |it: &AtomicU64| Field::Number(it.load(Relaxed) as i64);
    let described = &member.described;
    vec![
        ("role", Field::Word(role.into())),
        ("state", Field::Word(stands.state.as_str().into())),
        ("why", Field::Word(why)),
        ("address", Field::Word(member.address.to_string())),
        ("zone", Field::Word(described.zone.clone().unwrap_or_default())),
        ("replid", Field::Word(stands.at.map_or_else(String::new, |it| it.replid.to_string()))),
        ("offset", Field::Number(offset)),
        ("lag-bytes", Field::Number(lag)),
        ("lag-us", Field::Micros(lag_us)),
        ("in-flight", Field::Number(member.in_flight.load(Relaxed).into())),
        ("connects", count(&counts.connects)),
        ("faults", count(&counts.faults)),
        ("answered", count(&counts.answered)),
        ("reads-accepted", count(&counts.accepted)),
        ("reads-refused", count(&counts.refused)),
        ("writes-lost", count(&counts.lost)),
        ("in-service", Field::YesOrNo(role != "none")),
        ("tags", Field::Words(described.tags.clone())),
        ("dedicated", Field::YesOrNo(described.dedicated)),
    ]
}
