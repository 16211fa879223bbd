//! PROXY NODES, NODE and FAILOVER: what operators see of the members, and do to them.

use super::node_field::{Field, block};
use super::upstream_nodes::{order_upstream, switch_over_upstream, upstream_nodes};
use crate::base::ids::RouteId;
use crate::base::position::Offset;
use crate::base::time::MonoUs;
use crate::command::{Args, Fault, codes};
use crate::commands::{CommandContext, Job, Outcome};
use crate::node::{FollowerStatus, Member, MemberList, Refused, present, start_feed};
use crate::route::{MemberConfig, Route};
use crate::state::Server;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A map of members and of replicas on the wire by name, each a map of what there is to know of it;
/// flat arrays in RESP2. With TEXT, the same for a terminal. `lag-us` is -1, and `unknown` in the
/// text, where nobody can tell.
pub fn nodes(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let is_text = context.args.word("TEXT");
    context.args.done()?;
    let all = all_nodes(context.server, context.now);
    Ok(tell(&all, is_text, context))
}

/// What there is to know of a member, field by field.
pub type NodeFields = Vec<(&'static str, Field)>;

/// Members and replicas on the wire by name, each with what there is to know of it.
pub fn all_nodes(server: &Server, now: MonoUs) -> Vec<(String, NodeFields)> {
    if let Some(upstream) = &server.upstream {
        return upstream_nodes(upstream, now);
    }
    let set = &server.set;
    let (member_list, followers) = (set.member_list(), set.followers(now));
    let fields = |member: &Member| {
        let is_it = |it: &&FollowerStatus| it.member.as_ref().is_some_and(|it| it.id == member.id);
        let lacks_us = set.lacks_us(member, now);
        fields(set.head(), member, followers.iter().find(is_it), lacks_us)
    };
    let mut all: Vec<_> = present(&member_list).map(|it| (it.name.clone(), fields(it))).collect();
    let on_wire = followers.iter().filter(|it| it.is_on_wire());
    all.extend(on_wire.map(|it| (it.name.clone(), wire_fields(set.head(), it))));
    all
}

fn tell(all: &[(String, NodeFields)], is_text: bool, context: &mut CommandContext<'_>) -> Outcome {
    if is_text {
        let text: Vec<String> = all.iter().map(|(name, fields)| block(name, fields)).collect();
        context.reply.verbatim(&text.join("\n"));
        return Outcome::Answered;
    }
    context.reply.map(all.len());
    for (name, fields) in all {
        context.reply.bulk(name.as_bytes());
        context.reply.map(fields.len());
        for (name, value) in fields {
            context.reply.bulk(name.as_bytes());
            value.answer(context.reply);
        }
    }
    Outcome::Answered
}

/// The master is the one that follows nobody.
fn fields(
    head: Offset,
    member: &Member,
    follower: Option<&FollowerStatus>,
    lacks_us: Option<u64>,
) -> Vec<(&'static str, Field)> {
    let offset = follower.map_or(head, |it| it.acked);
    let MemberConfig { tags, zone, dedicated, .. } = member.described();
    vec![
        ("role", Field::Word(follower.map_or("master", |_| "replica").into())),
        ("state", Field::Word(member.flags())),
        ("feed", Field::Word(follower.map_or_else(|| "source".into(), feed))),
        ("zone", Field::Word(zone.unwrap_or_default())),
        ("offset", Field::Number(offset.bytes() as i64)),
        ("lag-bytes", Field::Number(head.since(offset) as i64)),
        ("lag-us", Field::Micros(lacks_us)),
        ("full-resyncs", Field::Number(member.full_resyncs.load(Relaxed) as i64)),
        ("in-service", Field::YesOrNo(member.in_service())),
        ("tags", Field::Words(tags)),
        ("dedicated", Field::YesOrNo(dedicated)),
    ]
}

/// A replica on the wire is no member: it serves no reads here.
fn wire_fields(head: Offset, follower: &FollowerStatus) -> Vec<(&'static str, Field)> {
    let behind_us = Some(follower.behind_us).filter(|it| *it != u64::MAX);
    vec![
        ("role", Field::Word("wire-replica".into())),
        ("feed", Field::Word(follower.state.to_string())),
        ("offset", Field::Number(follower.acked.bytes() as i64)),
        ("lag-bytes", Field::Number(head.since(follower.acked) as i64)),
        ("lag-us", Field::Micros(behind_us)),
        ("silent-us", Field::Number(follower.silent_us as i64)),
    ]
}

/// The follower's state, unless its member keeps it from being fed.
fn feed(follower: &FollowerStatus) -> String {
    follower.held_back().map_or_else(|| follower.state.to_string(), str::to_owned)
}

/// `NODE ADD …`, or `NODE <name> <order>`.
pub fn node(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    if let Some(upstream) = &context.server.upstream {
        return order_upstream(upstream, context);
    }
    let set = &context.server.set;
    let word = context.args.next()?;
    if word.eq_ignore_ascii_case(b"add") {
        return add(context);
    }
    let member_list = set.member_list();
    let member = named(&member_list, word)?;
    let order = context.args.next().unwrap_or_default().to_ascii_lowercase();
    let is_forced = takes_away(&order) && context.args.word("FORCE");
    context.args.done()?;
    if takes_away(&order) {
        spare_the_last(context.server, &member_list, member, &order, is_forced)?;
    }
    let done = match order.as_slice() {
        b"pause" => set.pause(member, context.now),
        b"drain" => set.drain(member, context.now),
        b"remove" if member.id != set.master() => {
            return Ok(Outcome::apart(Job::Remove { member: member.id }, context.kept_request()));
        }
        b"remove" => Err(Refused::IsMaster),
        b"resume" => {
            set.resume(member);
            Ok(())
        }
        b"undrain" => {
            set.undrain(member);
            Ok(())
        }
        _ => return Err(Fault::Static("ERR an order is PAUSE, RESUME, DRAIN, UNDRAIN or REMOVE")),
    };
    done.map_err(|why| codes::refused_order(&member.name, why))?;
    context.reply.ok();
    Ok(Outcome::Answered)
}

/// The last replica that serves everybody, or all reads of a route, is taken away only on a second
/// word, and not in silence.
fn spare_the_last(
    server: &Server,
    member_list: &MemberList,
    member: &Member,
    order: &[u8],
    is_forced: bool,
) -> Result<(), Fault> {
    let (name, order) = (&member.name, String::from_utf8_lossy(order).to_uppercase());
    if server.set.is_last_in_service(member) {
        if !is_forced {
            return Err(codes::last_in_service(name, &order));
        }
        log::warn!("event=no-replica-in-service last={name} why=all reads go to the master");
    }
    let settings = server.settings();
    let Some(allowed) = server.allowed_members(&settings, member_list) else { return Ok(()) };
    let names_members = |it: &(RouteId, &Route)| !it.1.members.is_empty();
    for (id, route) in settings.routes.in_force().filter(names_members) {
        let Some(places) = allowed.on(id).map(|it| it.places) else { continue };
        if !server.set.is_last_in_service_of(places, member) {
            continue;
        }
        if !is_forced {
            return Err(codes::last_of_route(name, &route.name, route.ladder, &order));
        }
        log::warn!("event=route-without-member route={} last={name}", route.name);
    }
    Ok(())
}

/// Whether after this order the member serves nobody.
fn takes_away(order: &[u8]) -> bool {
    order == b"drain" || order == b"remove"
}

/// Answers the new member's name. It serves once its first sync is done.
fn add(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let (mut name, mut tags, mut zone, mut dedicated) = (None, Vec::new(), None, false);
    let args = &mut context.args;
    while args.left() != 0 {
        if args.word("NAME") {
            name = Some(member_word(args)?);
        } else if args.word("TAG") {
            tags.push(member_word(args)?);
        } else if args.word("ZONE") {
            zone = Some(member_word(args)?);
        } else if args.word("DEDICATED") {
            dedicated = true;
        } else {
            return Err(Fault::Syntax);
        }
    }
    let describe = |index| {
        let name = name.unwrap_or_else(|| MemberConfig::default_name(index));
        MemberConfig { name, tags, zone, dedicated, weight: 1, address: None }
    };
    let set = &context.server.set;
    let added = set.add_member(describe, context.now);
    let member = added.map_err(codes::not_added)?;
    start_feed(set, &member);
    context.reply.bulk(member.name.as_bytes());
    Ok(Outcome::Answered)
}

fn member_word(args: &mut Args<'_>) -> Result<String, Fault> {
    let word = std::str::from_utf8(args.next()?).unwrap_or_default();
    if MemberConfig::is_word(word) {
        return Ok(word.to_owned());
    }
    let accepted = MemberConfig::WORD_ACCEPTED;
    Err(Fault::Message(format!("ERR a name, a tag or a zone is {accepted}")))
}

/// Answers OK, and for how long writes stood still. The candidate catches up first, which may take
/// long: not here.
pub fn fail_over(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    const USAGE: Fault = Fault::Static("ERR write PROXY FAILOVER TO and a name, like n2");
    if let Some(upstream) = &context.server.upstream {
        return switch_over_upstream(upstream, context);
    }
    if !context.args.word("to") || context.args.left() != 1 {
        return Err(USAGE);
    }
    let member_list = context.server.set.member_list();
    let candidate = named(&member_list, context.args.next()?)?.id;
    Ok(Outcome::apart(Job::FailOver { candidate }, context.kept_request()))
}

/// The member of this name.
pub fn named<'r>(member_list: &'r MemberList, name: &[u8]) -> Result<&'r Arc<Member>, Fault> {
    let found = present(member_list).find(|it| it.name.as_bytes().eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let names: Vec<&str> = present(member_list).map(|it| it.name.as_str()).collect();
        codes::no_such_member(&names)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_one_block_whose_empty_fields_are_left_out() {
        let fields = [
            ("role", Field::Word("replica".into())),
            ("zone", Field::Word(String::new())),
            ("lag-us", Field::Micros(None)),
            ("in-service", Field::YesOrNo(true)),
            ("tags", Field::Words(vec!["a".into(), "b".into()])),
        ];
        let lines = [
            "n2",
            "  role          replica",
            "  lag-us        unknown",
            "  in-service    yes",
            "  tags          a, b",
        ];
        assert_eq!(block("n2", &fields).lines().collect::<Vec<_>>(), lines);
    }
}
