//! XCLAIM and XAUTOCLAIM: what is pending for one consumer is given to another.

use super::reading::consumer_of;
use super::shown::{show_entry, show_id};
use super::told::Place;
use super::words::{first_bound, id_of, no_key_or_group};
use super::{CONSUMER_CREATED, VARIES};
use crate::base::number;
use crate::base::time::WallMs;
use crate::command::Arity::AtLeast;
use crate::command::{Args, Fault, Flags, Group, Keys};
use crate::engine::Run::Write;
use crate::engine::stream::{
    self, AutoClaim, Claim, Claimed, ConsumerId, Deliveries, Entries, Stream, StreamId, Unknown,
};
use crate::engine::{Effects, Engine, HeardBy, Row, row};
use crate::resp::Reply;

/// The rows.
pub const ROWS: &[Row] = &[
    row("XCLAIM", AtLeast(6), Flags::FAST, Keys::UPDATE, Write(xclaim))
        .says(
            Group::Stream,
            "5.0.0",
            "O(log N) with N being the number of messages in the PEL of the consumer group.",
            "Gives a consumer entries that are pending for another.",
            "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] \
             [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]",
        )
        .tips(VARIES),
    row("XAUTOCLAIM", AtLeast(6), Flags::FAST, Keys::DELETE, Write(xautoclaim))
        .says(
            Group::Stream,
            "6.2.0",
            "O(1) if COUNT is small.",
            "Gives a consumer whatever has been pending for another for long enough.",
            "key group consumer min-idle-time start:string [COUNT count] [JUSTID]",
        )
        .tips(VARIES),
];

/// Most entries that XAUTOCLAIM may be asked for, and as many as without being asked.
const COUNT_MAX: i64 = i64::MAX / 16;
const COUNT: usize = 100;

/// What XCLAIM is asked for, behind its ids.
struct Options {
    claim: Claim,
    only_ids: bool,
    last_id: StreamId,
    /// When it is.
    now: WallMs,
}

impl Options {
    fn read(args: &mut Args<'_>, min_idle_ms: i64) -> Result<Options, Fault> {
        let number = |args: &mut Args<'_>, option: &str| {
            let wrong = || format!("ERR Invalid {option} option argument for XCLAIM");
            args.int().map_err(|_| Fault::Message(wrong()))
        };
        let mut now = args.now();
        let is_of_log = now == WallMs::NEVER_EXPIRES;
        let (mut delivered_ms, mut retries, mut only_ids) = (None, None, false);
        let (mut unknown, mut last_id) = (Unknown::Skip, StreamId::MIN);
        while args.left() != 0 {
            let has_more = 2 <= args.left();
            if args.word("FORCE") {
                unknown = Unknown::Create;
            } else if args.word("JUSTID") {
                only_ids = true;
            } else if has_more && args.word("IDLE") {
                delivered_ms = Some((now.0 as i64).wrapping_sub(number(args, "IDLE")?));
            } else if has_more && args.word("TIME") {
                let time = number(args, "TIME")?;
                delivered_ms = Some(time);
                if is_of_log {
                    // The log tells when it was.
                    now = WallMs(u64::try_from(time).unwrap_or(0));
                }
            } else if has_more && args.word("RETRYCOUNT") {
                let count = number(args, "RETRYCOUNT")?;
                retries = if is_of_log { Some(count as u64) } else { u64::try_from(count).ok() };
            } else if has_more && args.word("LASTID") {
                last_id = id_of(args.next()?)?;
            } else {
                let option = String::from_utf8_lossy(args.next()?).into_owned();
                return Err(Fault::Message(format!("ERR Unrecognized XCLAIM option '{option}'")));
            }
        }
        let deliveries = match (retries, only_ids) {
            (Some(count), _) => Deliveries::Set(count),
            (None, true) => Deliveries::Keep,
            (None, false) => Deliveries::Count,
        };
        let mut claim = Claim::new(min_idle_ms, deliveries, now);
        claim.unknown = unknown;
        // -1 is as if it had not been said.
        if let Some(ms) = delivered_ms.filter(|it| *it != -1) {
            claim.delivered_ms = Claim::at(ms, now);
        }
        Ok(Options { claim, only_ids, last_id, now })
    }
}

/// Reads how long an entry must have been pending, in milliseconds.
fn min_idle(text: &[u8], command: &str) -> Result<i64, Fault> {
    let wrong = || format!("ERR Invalid min-idle-time argument for {command}");
    Ok(number::parse_i64(text).ok_or_else(|| Fault::Message(wrong()))?.max(0))
}

/// Changes a group that must be there.
fn change(
    engine: &mut Engine,
    args: &Args<'_>,
    place: Place<'_>,
    act: impl FnOnce(&mut stream::Group, &Entries) -> Result<Changes, Fault>,
) -> Result<(), Fault> {
    let mut db = engine.db_mut(args);
    let no_group = || no_key_or_group(place.key, place.group, "");
    let changed = db.change_for(place.key, HeardBy::Nobody, |stream: &mut Stream, _| {
        let Stream { entries, groups } = stream;
        let group = groups.get_mut(place.group).ok_or_else(no_group)?;
        act(group, entries).map(|it| (it.has_new_consumer, it.count))
    })?;
    if changed.ok_or_else(no_group)? {
        db.event(CONSUMER_CREATED, place.key);
    }
    Ok(())
}

/// What a claim has changed.
struct Changes {
    count: usize,
    /// The claimer itself has come to be.
    has_new_consumer: bool,
}

/// Answers an entry that was claimed.
fn show_claimed(entries: &Entries, id: StreamId, only_ids: bool, reply: &mut Reply) {
    match entries.get(id) {
        Some(entry) if !only_ids => show_entry(&entry, reply),
        _ => show_id(id, reply),
    }
}

/// A consumer that claims, and what comes of it.
struct Claimer<'c, 'a> {
    place: Place<'a>,
    consumer: ConsumerId,
    is_new: bool,
    /// What was said of entries.
    said: usize,
    effects: &'c mut Effects,
}

impl Claimer<'_, '_> {
    /// The stream says what has become of an entry. Answers whether the consumer has it.
    fn say(&mut self, group: &stream::Group, id: &[u8], claimed: Claimed) -> bool {
        let (pending, is_taken) = match claimed {
            Claimed::Nothing => return false,
            Claimed::Dropped(pending) => (pending, false),
            Claimed::Taken(pending) => (pending, true),
        };
        self.said += 1;
        // A claim of another's creates nobody.
        if !is_taken && pending.consumer != self.consumer {
            self.say_new(group);
        }
        self.is_new &= !is_taken;
        self.place.say_claim(group, id, pending, group.last_id, self.effects);
        is_taken
    }

    /// The stream says that the consumer has come to be, unless a claim does.
    fn say_new(&mut self, group: &stream::Group) {
        if std::mem::take(&mut self.is_new) {
            self.place.say_consumer(group.consumer(self.consumer).name(), self.effects);
        }
    }
}

fn xclaim(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let place = Place { key: args.next()?, group: args.next()? };
    let (name, idle) = (args.next()?, args.next()?);
    engine.db(&args).get(place.key);

    let all = &mut args;
    let request = *all;
    change(engine, &request, place, |group, entries| {
        let min_idle_ms = min_idle(idle, "XCLAIM")?;
        let mut ids = Vec::new();
        while let Some((text, id)) = all.peek().and_then(|it| Some((it, StreamId::parse(it, 0)?))) {
            ids.push((text, id));
            all.next()?;
        }
        let Options { claim, only_ids, last_id, now } = Options::read(all, min_idle_ms)?;

        let is_raised = group.last_id < last_id;
        group.last_id = group.last_id.max(last_id);
        let (consumer, is_new) = consumer_of(group, name, now);
        let mut changes = usize::from(is_new);
        let mut claimer = Claimer { place, consumer, is_new, said: 0, effects };
        let (mark, mut count) = (reply.mark(), 0);
        for (text, id) in ids {
            let claimed = group.claim(entries, consumer, id, &claim, now);
            if claimer.say(group, text, claimed) {
                group.note_active(consumer, now);
                show_claimed(entries, id, only_ids, reply);
                count += 1;
            }
        }
        reply.close_array(mark, count);
        changes += claimer.said;
        claimer.say_new(group);
        if is_raised && claimer.said == 0 {
            place.say_last_id(group, effects);
            changes += 1;
        }
        Ok(Changes { count: changes, has_new_consumer: is_new })
    })
}

fn xautoclaim(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    const BAD_COUNT: Fault = Fault::Static("ERR COUNT must be > 0");
    let place = Place { key: args.next()?, group: args.next()? };
    let (name, idle, start) = (args.next()?, args.next()?, args.next()?);
    // Before its other words are read, as in Redis: a miss is told also of what is refused then.
    engine.db(&args).get(place.key);
    let min_idle_ms = min_idle(idle, "XAUTOCLAIM")?;
    let start = first_bound(start)?;
    let (mut count, mut only_ids) = (COUNT, false);
    while args.left() != 0 {
        if 2 <= args.left() && args.word("COUNT") {
            let asked = args.int().ok().filter(|it| (1..=COUNT_MAX).contains(it));
            count = asked.ok_or(BAD_COUNT)? as usize;
        } else if args.word("JUSTID") {
            only_ids = true;
        } else {
            return Err(Fault::Syntax);
        }
    }

    let now = args.now();
    let deliveries = if only_ids { Deliveries::Keep } else { Deliveries::Count };
    let asked = AutoClaim { start, count, claim: Claim::new(min_idle_ms, deliveries, now) };
    change(engine, &args, place, |group, entries| {
        let (consumer, is_new) = consumer_of(group, name, now);
        let claimed = group.auto_claim(entries, consumer, &asked, now);
        let mut claimer = Claimer { place, consumer, is_new, said: 0, effects };
        reply.array(3);
        show_id(claimed.next, reply);
        let (mark, mut dropped, mut count) = (reply.mark(), Vec::new(), 0);
        for (id, claimed) in claimed.claimed {
            if claimer.say(group, &id.text(), claimed) {
                show_claimed(entries, id, only_ids, reply);
                count += 1;
            } else {
                dropped.push(id);
            }
        }
        reply.close_array(mark, count);
        reply.array(dropped.len());
        dropped.into_iter().for_each(|it| show_id(it, reply));
        if count != 0 {
            group.note_active(consumer, now);
        }
        claimer.say_new(group);
        Ok(Changes { count: claimer.said + usize::from(is_new), has_new_consumer: is_new })
    })
}
