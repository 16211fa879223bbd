//! Values as payloads, for other servers: DUMP, RESTORE.

#[cfg(test)]
mod tests;

use crate::base::time::WallMs;
use crate::command::Arity::{AtLeast, Exactly};
use crate::command::{Args, Event, Fault, Flags, Group, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::rdb::{self, Loaded, Payload};
use crate::engine::{DbMut, Effects, Engine, EngineShared, KeySlot, Row, row};
use crate::resp::Reply;

const RESTORE_FLAGS: Flags = Flags::DENYOOM.union(Flags::DANGEROUS);
const RESTORE_SYNTAX: &str =
    "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]";
const BUSY_KEY: Fault = Fault::Static("BUSYKEY Target key name already exists.");
const BAD_TTL: Fault = Fault::Static("ERR Invalid TTL value, must be >= 0");
const BAD_IDLE_TIME: Fault = Fault::Static("ERR Invalid IDLETIME value, must be >= 0");
const BAD_FREQ: Fault = Fault::Static("ERR Invalid FREQ value, must be >= 0 and <= 255");

/// The family's rows.
pub const ROWS: &[Row] = &[
    row("DUMP", Exactly(2), Flags::NONE, Keys::READ, Read(dump))
        .says(
            Group::Generic,
            "2.6.0",
            "O(N) where N is the size of the value",
            "Answers the value at a key as RESTORE takes it.",
            "key",
        )
        .tips(&["nondeterministic_output"]),
    row("RESTORE", AtLeast(4), RESTORE_FLAGS, Keys::REPLACE, Write(restore)).says(
        Group::Generic,
        "2.6.0",
        "O(N) where N is the size of the value; O(N*log(N)) for a sorted set",
        "Stores a value that DUMP has answered.",
        RESTORE_SYNTAX,
    ),
    row(
        "RESTORE-ASKING",
        AtLeast(4),
        RESTORE_FLAGS.union(Flags::ASKING),
        Keys::REPLACE,
        Write(restore),
    )
    .says(
        Group::Server,
        "3.0.0",
        "O(N) where N is the size of the value; O(N*log(N)) for a sorted set",
        "RESTORE, as a cluster's nodes say it to each other.",
        RESTORE_SYNTAX,
    ),
];

fn dump(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let payload = engine.db(&args).get(args.next()?).map(rdb::dump);
    reply.maybe(payload.as_deref());
    Ok(())
}

/// What RESTORE says behind its payload.
#[derive(Default)]
struct Options {
    replaces: bool,
    is_absolute: bool,
    idle_s: Option<u64>,
    /// Checked, but nobody counts here.
    freq: Option<u8>,
}

fn options(args: &mut Args<'_>) -> Result<Options, Fault> {
    let mut options = Options::default();
    while args.left() != 0 {
        let has_number = 2 <= args.left();
        if args.word("REPLACE") {
            options.replaces = true;
        } else if args.word("ABSTTL") {
            options.is_absolute = true;
        } else if has_number && options.freq.is_none() && args.word("IDLETIME") {
            options.idle_s = Some(u64::try_from(args.int()?).map_err(|_| BAD_IDLE_TIME)?);
        } else if has_number && options.idle_s.is_none() && args.word("FREQ") {
            options.freq = Some(u8::try_from(args.int()?).map_err(|_| BAD_FREQ)?);
        } else {
            return Err(Fault::Syntax);
        }
    }
    Ok(options)
}

fn restore(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    // The number is read only after all that is said behind it.
    let ttl = args;
    let payload = args.next().and_then(|_| args.next())?;
    let options = options(&mut args)?;
    let now = args.now();
    let mut db = engine.db_mut(&args);
    if !options.replaces && db.has(key) {
        return Err(BUSY_KEY);
    }
    let deadline = deadline(ttl, &options, now)?;
    let payload = Payload::check(payload)?;
    let loaded = payload.load(db.shared())?;

    reply.ok();
    if deadline.is_some_and(|it| it <= now) {
        if db.remove(key) {
            db.event(Event::DEL, key);
            effects.propagate(&[b"DEL", key]);
        }
        return Ok(());
    }
    db.remove(key);
    let shared = store(&mut db, key, loaded, deadline);
    db.event(Event::generic("restore"), key);
    // A replica has no time to count from.
    if now.0 != 0 {
        let stored = db.get(key).into_iter().chain(&shared);
        stored.for_each(|it| set_usage(it, &options, db.shared(), now));
    }
    let older = payload.is_newer().then(|| db.get(key).map(rdb::dump)).flatten();
    propagate(args, deadline.filter(|_| !options.is_absolute), older, effects);
    shared.into_iter().for_each(|it| effects.share(it));
    Ok(())
}

/// Redis looks at what its policy goes by alone.
fn set_usage(stored: &KeySlot, options: &Options, shared: &EngineShared, now: WallMs) {
    match (options.idle_s, options.freq) {
        (_, Some(freq)) if shared.thresholds.eviction.policy.counts_uses() => {
            stored.usage().set_count(freq, now);
        }
        (Some(idle_s), _) if !shared.thresholds.eviction.policy.counts_uses() => {
            let used = WallMs(now.0.saturating_sub(idle_s.saturating_mul(1000)));
            stored.usage().set_used_at(used);
        }
        _ => {}
    }
}

/// When the key is to expire. The number counts from now unless it is absolute; 0 is never. What
/// comes after the end of time is long past, as in Redis, whose clock goes round.
fn deadline(mut ttl: Args<'_>, options: &Options, now: WallMs) -> Result<Option<WallMs>, Fault> {
    let ms = u64::try_from(ttl.int()?).map_err(|_| BAD_TTL)?;
    let begin = if options.is_absolute { 0 } else { now.0 };
    let end = begin.checked_add(ms).filter(|it| *it <= i64::MAX as u64);
    Ok((ms != 0).then_some(WallMs(end.unwrap_or(0))))
}

fn store(
    db: &mut DbMut<'_>,
    key: &[u8],
    loaded: Loaded<'_>,
    deadline: Option<WallMs>,
) -> Option<KeySlot> {
    match loaded {
        Loaded::Text(text) => Some(db.put_string(key, &text, deadline)),
        Loaded::Value(value) => {
            db.put_value(key, value, deadline);
            None
        }
    }
}

/// The client's words, with a time to live as a moment, and with a payload that every peer reads.
fn propagate(
    args: Args<'_>,
    moment: Option<WallMs>,
    older: Option<Vec<u8>>,
    effects: &mut Effects,
) {
    const NAME: &[u8] = b"RESTORE";
    let (request, mut number) = (args.request(), itoa::Buffer::new());
    let has_name = request.get(0).is_some_and(|it| it.eq_ignore_ascii_case(NAME));
    if moment.is_none() && older.is_none() && has_name {
        return effects.as_sent();
    }
    let mut words: Vec<_> = (0..request.len()).filter_map(|it| request.get(it)).collect();
    words[0] = NAME;
    if let Some(WallMs(ms)) = moment {
        words[2] = number.format(ms).as_bytes();
        words.push(b"ABSTTL");
    }
    if let Some(older) = &older {
        words[3] = older;
    }
    effects.propagate(&words);
}
