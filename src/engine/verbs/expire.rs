//! How long keys live.

use super::strings::lifetime::Clock;
use crate::base::time::WallMs;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Args, Event, Fault, Flags, Group, Keys, echo};
use crate::engine::Run::{Read, Write};
use crate::engine::{Db, Effects, Engine, KeySlot, Row, row};
use crate::resp::Reply;

const FAST: Flags = Flags::FAST;
const VARIES: &[&str] = &["nondeterministic_output"];

/// The family's rows.
pub const ROWS: &[Row] = &[
    row("EXPIRE", AtLeast(3), FAST, Keys::UPDATE, Write(expire)).says(
        Group::Generic,
        "1.0.0",
        "O(1)",
        "Lets a key live this many seconds more.",
        "key seconds [NX | XX | GT | LT]",
    ),
    row("PEXPIRE", AtLeast(3), FAST, Keys::UPDATE, Write(pexpire)).says(
        Group::Generic,
        "2.6.0",
        "O(1)",
        "Lets a key live this many milliseconds more.",
        "key milliseconds [NX | XX | GT | LT]",
    ),
    row("EXPIREAT", AtLeast(3), FAST, Keys::UPDATE, Write(expireat)).says(
        Group::Generic,
        "1.2.0",
        "O(1)",
        "Lets a key live until a second since 1970.",
        "key unix-time-seconds [NX | XX | GT | LT]",
    ),
    row("PEXPIREAT", AtLeast(3), FAST, Keys::UPDATE, Write(pexpireat)).says(
        Group::Generic,
        "2.6.0",
        "O(1)",
        "Lets a key live until a millisecond since 1970.",
        "key unix-time-milliseconds [NX | XX | GT | LT]",
    ),
    row("TTL", Exactly(2), FAST, Keys::READ, Read(ttl))
        .says(Group::Generic, "1.0.0", "O(1)", "Answers how many seconds a key has left.", "key")
        .tips(VARIES),
    row("PTTL", Exactly(2), FAST, Keys::READ, Read(pttl))
        .says(
            Group::Generic,
            "2.6.0",
            "O(1)",
            "Answers how many milliseconds a key has left.",
            "key",
        )
        .tips(VARIES),
    row("EXPIRETIME", Exactly(2), FAST, Keys::READ, Read(expiretime)).says(
        Group::Generic,
        "7.0.0",
        "O(1)",
        "Answers the second since 1970 at which a key expires.",
        "key",
    ),
    row("PEXPIRETIME", Exactly(2), FAST, Keys::READ, Read(pexpiretime)).says(
        Group::Generic,
        "7.0.0",
        "O(1)",
        "Answers the millisecond since 1970 at which a key expires.",
        "key",
    ),
    row("PERSIST", Exactly(2), FAST, Keys::UPDATE, Write(persist)).says(
        Group::Generic,
        "2.2.0",
        "O(1)",
        "Lets a key live without end.",
        "key",
    ),
];

/// Which old deadlines a new one may follow.
#[derive(Clone, Copy, Default)]
pub(super) struct Condition {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Condition {
    /// Takes all words but the last `behind`.
    pub(super) fn read(args: &mut Args<'_>, behind: usize) -> Result<Condition, Fault> {
        const MIXED: Fault =
            Fault::Static("ERR NX and XX, GT or LT options at the same time are not compatible");
        const BOTH: Fault =
            Fault::Static("ERR GT and LT options at the same time are not compatible");
        let mut it = Condition::default();
        while let Some(word) = args.peek().filter(|_| behind < args.left()) {
            if args.word("NX") {
                it.nx = true;
            } else if args.word("XX") {
                it.xx = true;
            } else if args.word("GT") {
                it.gt = true;
            } else if args.word("LT") {
                it.lt = true;
            } else {
                let word = echo(word);
                return Err(Fault::Message(format!("ERR Unsupported option {word}")));
            }
        }
        match it {
            Condition { nx: true, xx, gt, lt } if xx || gt || lt => Err(MIXED),
            Condition { gt: true, lt: true, .. } => Err(BOTH),
            it => Ok(it),
        }
    }

    /// Whether a deadline of `new` ms may follow `old`. No deadline is later than all.
    pub(super) fn allows(self, old: Option<WallMs>, new: i64) -> bool {
        let is_after = |old: WallMs| i64::try_from(old.0).is_ok_and(|it| it < new);
        let is_before = |old: WallMs| i64::try_from(old.0).map_or(true, |it| new < it);
        (!self.nx || old.is_none())
            && (!self.xx || old.is_some())
            && (!self.gt || old.is_some_and(is_after))
            && (!self.lt || old.is_none_or(is_before))
    }
}

fn expire(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    set_deadline(Clock::Seconds, "expire", engine, args, effects, reply)
}

fn pexpire(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    set_deadline(Clock::Milliseconds, "pexpire", engine, args, effects, reply)
}

fn expireat(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    set_deadline(Clock::UnixSeconds, "expireat", engine, args, effects, reply)
}

fn pexpireat(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    set_deadline(Clock::UnixMilliseconds, "pexpireat", engine, args, effects, reply)
}

fn set_deadline(
    clock: Clock,
    command: &'static str,
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, mut number) = (args.next()?, args);
    args.next()?;
    let condition = Condition::read(&mut args, 0)?;
    let moment = clock.unix_ms(number.int()?, args.now());
    let moment = moment.ok_or(Fault::InvalidExpire(command))?;

    let mut db = engine.db_mut(&args);
    let slot = db.used(key);
    let is_set = slot.is_some_and(|it| condition.allows(it.deadline(), moment));
    reply.int(i64::from(is_set));
    match u64::try_from(moment) {
        _ if !is_set => {}
        Ok(at) if args.now() < WallMs(at) => {
            db.set_deadline(key, Some(WallMs(at)));
            db.event(Event::generic("expire"), key);
            say_deadline(clock, moment, &args, effects);
            db.share(key).into_iter().for_each(|it| effects.share(it));
        }
        _ => {
            db.remove(key);
            db.event(Event::DEL, key);
            effects.propagate(&[b"DEL", key]);
        }
    }
    Ok(())
}

/// The stream names the moment in milliseconds, and repeats the conditions.
fn say_deadline(clock: Clock, moment: i64, args: &Args<'_>, effects: &mut Effects) {
    if clock == Clock::UnixMilliseconds {
        return effects.as_sent();
    }
    let mut digits = itoa::Buffer::new();
    let moment = digits.format(moment).as_bytes();
    let words = args.request().iter().enumerate().map(|(at, word)| match at {
        0 => b"PEXPIREAT",
        2 => moment,
        _ => word,
    });
    effects.say_all(args.db, words);
}

fn persist(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;

    let mut db = engine.db_mut(&args);
    let is_mortal = db.used(key).is_some_and(|it| it.deadline().is_some());
    reply.int(i64::from(is_mortal));
    if is_mortal {
        db.set_deadline(key, None);
        db.event(Event::generic("persist"), key);
        effects.as_sent();
        db.share(key).into_iter().for_each(|it| effects.share(it));
    }
    Ok(())
}

fn ttl(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    tell(engine, args, reply, |db, at| rounded_seconds(db.now().until(at)))
}

fn pttl(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    tell(engine, args, reply, |db, at| db.now().until(at))
}

fn expiretime(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    tell(engine, args, reply, |_, at| rounded_seconds(at.0))
}

fn pexpiretime(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    tell(engine, args, reply, |_, at| at.0)
}

/// Answers what `number` makes of a key's deadline; -1 without one, -2 without the key.
fn tell(
    engine: &Engine,
    mut args: Args<'_>,
    reply: &mut Reply,
    number: impl FnOnce(Db<'_>, WallMs) -> u64,
) -> Result<(), Fault> {
    let db = engine.db(&args);
    let found = db.see(args.next()?).map(KeySlot::deadline);
    reply.int(match found {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => i64::try_from(number(db, at)).unwrap_or(i64::MAX),
    });
    Ok(())
}

/// Seconds to the nearest one, as Redis tells them.
pub(super) fn rounded_seconds(ms: u64) -> u64 {
    ms.saturating_add(500) / 1000
}
