//! PROXY NODES, NODE and FAILOVER: what operators see of the members, and do to them.

use crate::base::position::Offset;
use crate::command::{Args, Fault, codes};
use crate::commands::{CommandContext, Job, Outcome};
use crate::node::{FollowerStatus, Member, MemberFlags, MemberList, Refused, present, start_feed};
use crate::resp::Reply;
use crate::route::MemberConfig;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A map of members by name, each a map of what there is to know of it; flat arrays in RESP2.
/// `lag-us` is -1 where nobody can tell.
pub fn nodes(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
    let set = &context.server.set;
    let (member_list, followers) = (set.member_list(), set.followers(context.now));
    context.reply.map(present(&member_list).count());
    for member in present(&member_list) {
        context.reply.bulk(member.name.as_bytes());
        let is_it = |it: &&FollowerStatus| it.member.as_ref().is_some_and(|it| it.id == member.id);
        describe(context.reply, set.head(), member, followers.iter().find(is_it));
    }
    Ok(Outcome::Answered)
}

/// The master is the one that follows nobody.
fn describe(reply: &mut Reply, head: Offset, member: &Member, follower: Option<&FollowerStatus>) {
    let offset = follower.map_or(head, |it| it.acked);
    let MemberConfig { tags, zone, dedicated, .. } = member.described();
    let words = [
        ("role", follower.map_or("master", |_| "replica")),
        ("state", &member.flags()),
        ("feed", &follower.map_or_else(|| "source".into(), |it| feed(member, it))),
        ("zone", zone.as_deref().unwrap_or_default()),
    ];
    let numbers = [
        ("offset", offset.bytes() as i64),
        ("lag-bytes", head.since(offset) as i64),
        ("lag-us", follower.map_or(0, |it| i64::try_from(it.behind_us).unwrap_or(-1))),
        ("full-resyncs", member.full_resyncs.load(Relaxed) as i64),
    ];
    reply.map(words.len() + numbers.len() + 3);
    for (name, word) in words {
        reply.bulk(name.as_bytes());
        reply.bulk(word.as_bytes());
    }
    for (name, number) in numbers {
        reply.bulk(name.as_bytes());
        reply.int(number);
    }
    reply.bulk(b"in-service");
    reply.boolean(member.in_service());
    reply.bulk(b"tags");
    reply.array(tags.len());
    tags.iter().for_each(|it| reply.bulk(it.as_bytes()));
    reply.bulk(b"dedicated");
    reply.boolean(dedicated);
}

/// The follower's state, unless its member keeps it from being fed.
fn feed(member: &Member, follower: &FollowerStatus) -> String {
    let is_online = follower.state.is_online();
    if is_online && member.is(MemberFlags::PAUSED) {
        return "paused".into();
    }
    if is_online && member.is(MemberFlags::FROZEN) {
        return "frozen".into();
    }
    follower.state.to_string()
}

/// `NODE ADD …`, or `NODE <name> <order>`.
pub fn node(context: &mut CommandContext<'_>) -> Result<Outcome, Fault> {
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
    if takes_away(&order) && set.is_last_in_service(member) {
        if !is_forced {
            return Err(last(&member.name, &order));
        }
        log::warn!(
            "event=no-replica-in-service last={} why=all reads go to the master",
            member.name
        );
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

/// Whether after this order the member serves nobody.
fn takes_away(order: &[u8]) -> bool {
    order == b"drain" || order == b"remove"
}

fn last(name: &str, order: &[u8]) -> Fault {
    let order = String::from_utf8_lossy(order).to_uppercase();
    Fault::Message(format!(
        "ERR {name} is the last replica in service: without it all reads go to the master; write \
         {order} FORCE if that is meant"
    ))
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
        MemberConfig { name, tags, zone, dedicated }
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
    if !context.args.word("to") {
        return Err(Fault::Syntax);
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
