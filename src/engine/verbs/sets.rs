//! Sets: members without order.

pub mod algebra;
#[cfg(test)]
mod tests;

use super::named::{self, Named};
use super::shown::Shown;
use super::{chance, changes, counted, length, scan};
use crate::base::random::Random;
use crate::base::time::WallMs;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Access, Args, Event, Fault, Flags, Group, KeySpec, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::packed::Element;
use crate::engine::{Effects, Engine, EngineShared, Row, Set, Value, row};
use crate::resp::Reply;
use std::iter;

const FAST: Flags = Flags::FAST;
const ADDED: Event = Event::set("sadd");
const POPPED: Event = Event::set("spop");
const FAST_DENYOOM: Flags = FAST.union(Flags::DENYOOM);
const NO_ORDER: &[&str] = &["nondeterministic_output_order"];
const BY_CHANCE: &[&str] = &["nondeterministic_output"];
const MOVED: Keys = Keys(&[KeySpec::one(1, Access::TAKE), KeySpec::one(2, Access::INSERT)]);

/// The family's rows.
pub const ROWS: &[Row] = &[
    row("SADD", AtLeast(3), FAST_DENYOOM, Keys::INSERT, Write(sadd)).says(
        Group::Set,
        "1.0.0",
        "O(1) for each element added, so O(N) to add N elements when the command is \
         called with multiple arguments.",
        "Puts members in and answers how many of them are new.",
        "key member [member ...]",
    ),
    row("SREM", AtLeast(3), FAST, Keys::DELETE, Write(named::remove::<Set>)).says(
        Group::Set,
        "1.0.0",
        "O(N) where N is the number of members to be removed.",
        "Takes members out, and removes the key with the last one.",
        "key member [member ...]",
    ),
    row("SISMEMBER", Exactly(3), FAST, Keys::PEEK, Read(sismember)).says(
        Group::Set,
        "1.0.0",
        "O(1)",
        "Answers whether a member is there.",
        "key member",
    ),
    row("SMISMEMBER", AtLeast(3), FAST, Keys::READ, Read(smismember)).says(
        Group::Set,
        "6.2.0",
        "O(N) where N is the number of elements being checked for membership",
        "Answers for several members whether each is there.",
        "key member [member ...]",
    ),
    row("SCARD", Exactly(2), FAST, Keys::PEEK, Read(length::of::<Set>)).says(
        Group::Set,
        "1.0.0",
        "O(1)",
        "Answers how many members there are.",
        "key",
    ),
    row("SMEMBERS", Exactly(2), Flags::NONE, Keys::READ, Read(smembers))
        .says(
            Group::Set,
            "1.0.0",
            "O(N) where N is the set cardinality.",
            "Answers all members.",
            "key",
        )
        .tips(NO_ORDER),
    row("SPOP", AtLeast(2), FAST, Keys::TAKE, Write(spop))
        .says(
            Group::Set,
            "1.0.0",
            "Without the count argument O(1), otherwise O(N) where N is the value of the \
             passed count.",
            "Takes out members chosen by chance and answers them.",
            "key [count]",
        )
        .tips(BY_CHANCE),
    row("SRANDMEMBER", AtLeast(2), Flags::NONE, Keys::READ, Read(srandmember))
        .says(
            Group::Set,
            "1.0.0",
            "Without the count argument O(1), otherwise O(N) where N is the absolute value of \
              the passed count.",
            "Answers members chosen by chance.",
            "key [count]",
        )
        .tips(BY_CHANCE),
    row("SMOVE", Exactly(4), FAST, MOVED, Write(smove)).says(
        Group::Set,
        "1.0.0",
        "O(1)",
        "Moves a member from one set to another.",
        "source destination member",
    ),
    row("SSCAN", AtLeast(3), Flags::NONE, Keys::READ, Read(scan::entries::<Set>))
        .says(
            Group::Set,
            "2.8.0",
            scan::COMPLEXITY,
            "Answers some of the members, and where to go on.",
            "key cursor [MATCH pattern] [COUNT count]",
        )
        .tips(BY_CHANCE),
];

impl Named for Set {
    type Entry<'c> = Element<'c>;

    const REMOVE: &'static [u8] = b"SREM";
    const REMOVED: Event = Event::set("srem");

    fn name<'c>(&'c self, member: Element<'c>) -> Element<'c> {
        member
    }

    fn show(member: Element<'_>, _: Shown, reply: &mut Reply) {
        member.answer(reply);
    }

    fn show_met(&self, member: Element<'_>, _: Shown, reply: &mut Reply) -> usize {
        member.answer(reply);
        1
    }

    fn remove(&mut self, name: &[u8], shared: &EngineShared, _: WallMs) -> bool {
        Set::remove(self, Element::Text(name), shared)
    }

    fn scan<'c>(
        &'c self,
        from: Option<u32>,
        at_least: usize,
        _: WallMs,
        visit: impl FnMut(Element<'c>),
    ) -> Option<u32> {
        Set::scan(self, from, at_least, visit)
    }

    fn random(&self, random: &mut Random, _: WallMs) -> Option<Element<'_>> {
        Set::random(self, random)
    }

    fn sample<'c>(
        &'c self,
        count: usize,
        random: &mut Random,
        _: WallMs,
        visit: impl FnMut(Element<'c>),
    ) {
        Set::sample(self, count, random, visit);
    }
}

fn sadd(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    let members = args.rest();

    let added = engine.db_mut(&args).change_or_create(key, ADDED, |set: &mut Set, shared| {
        let added = set.add_all(members, shared);
        Ok((added, added))
    })?;
    changes::answer(added, effects, reply);
    Ok(())
}

fn smove(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (source, target, member) = (args.next()?, args.next()?, args.next()?);
    args.done()?;

    let moved = move_member(engine, &args, [source, target], member)?;
    if moved && source != target {
        effects.as_sent();
    }
    reply.count(usize::from(moved));
    Ok(())
}

/// Answers whether `member` was at the first key, and is now at the second.
fn move_member(
    engine: &mut Engine,
    args: &Args<'_>,
    [source, target]: [&[u8]; 2],
    member: &[u8],
) -> Result<bool, Fault> {
    let mut db = engine.db_mut(args);
    let Some(from) = db.get(source) else { return Ok(false) };
    let from = from.as_collection::<Set>()?;
    db.get(target).map(|it| it.as_collection::<Set>()).transpose()?;
    if source == target {
        return Ok(from.has(Element::Text(member), db.shared()));
    }
    let removed = db.change(source, Set::REMOVED, |set: &mut Set, shared| {
        let removed = set.remove(Element::Text(member), shared);
        Ok((removed, usize::from(removed)))
    })?;
    if removed != Some(true) {
        return Ok(false);
    }
    db.change_or_create(target, ADDED, |set: &mut Set, shared| {
        Ok(((), set.add_all(iter::once(member), shared)))
    })?;
    Ok(true)
}

fn spop(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    if args.left() != 0 {
        only_count(&args)?;
        let count = counted::pops(&mut args)?;
        return pop_many(engine, &args, key, count, effects, reply);
    }

    let mut random = args.env.random();
    let popped = engine.db_mut(&args).change(key, POPPED, |set: &mut Set, _| {
        let popped = set.pop(&mut random, |it| take(key, it, effects, reply));
        Ok((popped, popped.iter().count()))
    })?;
    if popped.flatten().is_none() {
        reply.null();
    }
    Ok(())
}

/// Refuses what would stand behind a count, before the count itself is looked at.
fn only_count(args: &Args<'_>) -> Result<(), Fault> {
    if args.left() <= 1 { Ok(()) } else { Err(Fault::Syntax) }
}

fn take(key: &[u8], member: Element<'_>, effects: &mut Effects, reply: &mut Reply) {
    member.with_text(|it| {
        effects.propagate(&[b"SREM", key, it]);
        reply.bulk(it);
    });
}

fn pop_many(
    engine: &mut Engine,
    args: &Args<'_>,
    key: &[u8],
    count: usize,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let mut db = engine.db_mut(args);
    let len = db.as_db().collection::<Set>(key)?.map_or(0, Set::len);
    if len == 0 || len <= count {
        return pop_all(engine, args, key, effects, reply);
    }
    reply.set(count);
    if count == 0 {
        return Ok(());
    }
    let (mut random, mut removals) = (args.env.random(), Removals::default());
    let done = db.change(key, POPPED, |set: &mut Set, shared| {
        let before = set.encoding();
        let left = set.pop_many(count, &mut random, shared, |it| {
            it.with_text(|it| {
                removals.push(it, args.db, key, effects);
                reply.bulk(it);
            });
        });
        removals.propagate(args.db, key, effects);
        Ok(((left, before != set.encoding()), count))
    })?;
    let (left, is_reformed) = done.unwrap_or_default();
    if is_reformed && let Some(slot) = db.as_db().peek(key) {
        // Replicas that took members out one by one would keep the old form, and its order.
        effects.share(slot.clone());
    }
    db.discard_popped(left);
    Ok(())
}

/// Members of one SREM that the stream says, as Redis 7.2 does: a command for each of a million
/// would be as many to append, to send and to find the key for.
const REMOVED_AT_ONCE: usize = 1024;

/// Members that were taken out and not said yet.
#[derive(Default)]
struct Removals {
    texts: Vec<u8>,
    ends: Vec<usize>,
}

impl Removals {
    fn push(&mut self, text: &[u8], db: usize, key: &[u8], effects: &mut Effects) {
        self.texts.extend_from_slice(text);
        self.ends.push(self.texts.len());
        if self.ends.len() == REMOVED_AT_ONCE {
            self.propagate(db, key, effects);
        }
    }

    fn propagate(&mut self, db: usize, key: &[u8], effects: &mut Effects) {
        if self.ends.is_empty() {
            return;
        }
        let starts = iter::once(0).chain(self.ends.iter().copied());
        let members = starts.zip(&self.ends).map(|(start, end)| &self.texts[start..*end]);
        let words: Vec<&[u8]> = [&b"SREM"[..], key].into_iter().chain(members).collect();
        effects.say_all(db, words.into_iter());
        self.texts.clear();
        self.ends.clear();
    }
}

/// Takes the whole set, if it is there.
fn pop_all(
    engine: &mut Engine,
    args: &Args<'_>,
    key: &[u8],
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let mut db = engine.db_mut(args);
    let taken = db.change(key, POPPED, |set: &mut Set, _| {
        let taken = std::mem::take(set);
        let len = taken.len();
        Ok((taken, len))
    })?;
    answer_all(taken.as_ref(), reply);
    if let Some(taken) = taken {
        effects.propagate(&[b"DEL", key]);
        db.discard(Value::Set(taken));
    }
    Ok(())
}

fn answer_all(set: Option<&Set>, reply: &mut Reply) {
    reply.set(set.map_or(0, Set::len));
    set.into_iter().flat_map(Set::iter).for_each(|it| it.answer(reply));
}

fn sismember(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, member) = (args.next()?, Element::Text(args.next()?));
    let set: Option<&Set> = engine.db(&args).collection(key)?;
    reply.count(usize::from(set.is_some_and(|it| it.has(member, engine.shared()))));
    Ok(())
}

fn smismember(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;
    let set: Option<&Set> = engine.db(&args).collection(key)?;
    reply.array(args.left());
    for member in args.rest().map(Element::Text) {
        reply.count(usize::from(set.is_some_and(|it| it.has(member, engine.shared()))));
    }
    Ok(())
}

fn smembers(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let set: Option<&Set> = engine.db(&args).collection(args.next()?)?;
    answer_all(set, reply);
    Ok(())
}

fn srandmember(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let key = args.next()?;
    only_count(&args)?;
    let asked = match args.left() {
        0 => None,
        _ => Some((chance::count(&mut args)?, Shown::Names)),
    };
    chance::answer::<Set>(engine, &args, key, asked, reply)
}
