//! PROXY NODES, NODE and FAILOVER: what operators see of the members, and do to them.

use crate::admin::{After, Park, Turn};
use crate::command::Fault;
use crate::node::{Duty, Member, Roster, Set, start_feed};
use crate::resp::Reply;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A map of members by name, each a map of what there is to know of it; flat arrays in RESP2.
/// `lag-us` is -1 where nobody can tell.
pub fn nodes(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let set = &turn.house.set;
    let roster = set.roster();
    turn.reply.map(roster.len());
    for member in roster.iter() {
        turn.reply.bulk(member.name.as_bytes());
        let lag_us = i64::try_from(set.behind_us(member, turn.now)).unwrap_or(-1);
        describe(turn.reply, set, member, lag_us);
    }
    Ok(After::Answered)
}

fn describe(reply: &mut Reply, set: &Set, member: &Member, lag_us: i64) {
    let is_master = member.index == set.master();
    let applied = member.applied();
    let words = [
        ("role", if is_master { "master" } else { "replica" }),
        ("state", &member.duties()),
        ("feed", if is_master { "source" } else { feed(member) }),
    ];
    let numbers = [
        ("offset", applied.bytes() as i64),
        ("lag-bytes", set.head().since(applied) as i64),
        ("lag-us", lag_us),
        ("full-syncs", member.full_syncs.load(Relaxed) as i64),
    ];
    reply.map(words.len() + numbers.len() + 1);
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
}

fn feed(member: &Member) -> &'static str {
    match () {
        () if !member.is_sound() => "cut",
        () if member.is(Duty::Paused) => "paused",
        () if member.is(Duty::Frozen) => "frozen",
        () => "streaming",
    }
}

/// `NODE ADD`, or `NODE <name> <order>`.
pub fn node(turn: &mut Turn<'_>) -> Result<After, Fault> {
    let set = &turn.house.set;
    let word = turn.args.next()?;
    if turn.args.left() == 0 && word.eq_ignore_ascii_case(b"add") {
        return add(turn);
    }
    let roster = set.roster();
    let member = named(&roster, word)?;
    let order = turn.args.next().unwrap_or_default().to_ascii_lowercase();
    turn.args.done()?;
    let done = match order.as_slice() {
        b"pause" => set.pause(member, turn.now),
        b"drain" => set.drain(member, turn.now),
        b"resume" => {
            set.resume(member);
            Ok(())
        }
        b"undrain" => {
            set.undrain(member);
            Ok(())
        }
        _ => return Err(Fault::Says("ERR an order is PAUSE, RESUME, DRAIN or UNDRAIN")),
    };
    done.map_err(|why| {
        Fault::Told(format!("ERR {} does not take that order: {why}", member.name))
    })?;
    turn.reply.ok();
    Ok(After::Answered)
}

/// Answers the new member's name. It serves once its first sync is done.
fn add(turn: &mut Turn<'_>) -> Result<After, Fault> {
    const FULL: Fault = Fault::Says("ERR the set has no room for another member");
    let set = &turn.house.set;
    let member = set.add_replica(turn.now).ok_or(FULL)?;
    start_feed(set, &member);
    turn.reply.bulk(member.name.as_bytes());
    Ok(After::Answered)
}

/// Answers OK, and for how long writes stood still. The heir catches up first, which may take long:
/// not here.
pub fn fail_over(turn: &mut Turn<'_>) -> Result<After, Fault> {
    if !turn.args.word("to") {
        return Err(Fault::Syntax);
    }
    let roster = turn.house.set.roster();
    let heir = named(&roster, turn.args.next()?)?.index;
    Ok(After::Park(Park::FailOver { heir }))
}

/// The member of this name.
pub fn named<'r>(roster: &'r Roster, name: &[u8]) -> Result<&'r Arc<Member>, Fault> {
    let found = roster.iter().find(|it| it.name.as_bytes().eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let names: Vec<&str> = roster.iter().map(|it| it.name.as_str()).collect();
        Fault::Told(format!("ERR no such member; there are {}", names.join(", ")))
    })
}
