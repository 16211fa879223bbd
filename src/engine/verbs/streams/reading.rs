//! XREAD and XREADGROUP: what stands behind ids, or what a group has not delivered yet. Both may
//! wait for it.

use super::CONSUMER_CREATED;
use super::shown::{show_entries, show_entry, show_id};
use super::told::Place;
use super::words::{id_of, no_key_or_group};
use crate::base::time::WallMs;
use crate::command::Arity::AtLeast;
use crate::command::{Access, AmongOptions, Args, Begin, Fault, Find, Flags, Group, KeySpec, Keys};
use crate::engine::Run::{Blocking, ReadOrWait};
use crate::engine::stream::{self, Acks, ConsumerId, Entries, Rules, Stream, StreamId};
use crate::engine::{BlockingKeys, Called, Db, Effects, Engine, HeardBy, Kind, Row, Run, row};
use crate::resp::{OwnedRequest, Protocol, Reply, Request};
use std::time::Duration;

const FLAGS: Flags = Flags::BLOCKING.union(Flags::MOVABLEKEYS);

/// A consumer may be called `streams`, and so may a group.
const OPTIONS: AmongOptions = AmongOptions {
    keyword: "STREAMS",
    from: 4,
    values: &[("GROUP", 2), ("COUNT", 1), ("BLOCK", 1)],
};

const fn streams(begin: Begin) -> KeySpec {
    KeySpec::new(begin, Find::Range { last: -1, step: 1, limit: 2 }, Access::READ)
}

const READ: Keys = Keys(&[streams(Begin::Keyword("STREAMS", 1))]);
const READ_OF_GROUP: Keys = Keys(&[streams(Begin::Among(&OPTIONS))]);
const XREAD: Run = ReadOrWait { wait: xread_or_wait, read: xread, is_read };

/// The rows.
pub const ROWS: &[Row] = &[
    row("XREAD", AtLeast(4), FLAGS, READ, XREAD).says(
        Group::Stream,
        "5.0.0",
        "",
        "Answers entries behind ids, or waits for one.",
        "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
    ),
    row("XREADGROUP", AtLeast(7), FLAGS, READ_OF_GROUP, Blocking(xreadgroup)).says(
        Group::Stream,
        "5.0.0",
        "For each stream mentioned: O(M) with M being the number of elements returned. If M is \
         constant (e.g. always asking for the first 10 elements with COUNT), you can consider it \
         O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to \
         serve the N clients blocked on the stream getting new data.",
        "Delivers entries to a consumer of a group, or waits for one.",
        "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id \
         [id ...]",
    ),
];

const NO_GROUPS: Fault = Fault::Static(
    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
);
const NO_ACKS: Fault = Fault::Static(
    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
);
const NO_GROUP_NAMED: Fault = Fault::Static("ERR Missing GROUP option for XREADGROUP");
const NO_END: Fault = Fault::Static(
    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of \
     this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would \
     just return an empty result set.",
);
const NO_NEW: Fault = Fault::Static(
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> \
     <consumer> option.",
);

/// What is asked for. Of the streams, first come all keys, then as many ids.
struct Ask<'a> {
    /// Most entries of each stream.
    count: usize,
    /// It waits: for how long.
    blocks: Option<Option<Duration>>,
    /// The names of the group and of the consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    acks: Acks,
    request: Request<'a>,
    /// Where the keys begin, and how many there are.
    from: usize,
    len: usize,
}

impl<'a> Ask<'a> {
    fn read(args: &mut Args<'a>, is_of_group: bool) -> Result<Ask<'a>, Fault> {
        let mut ask = Ask {
            count: usize::MAX,
            blocks: None,
            group: None,
            acks: Acks::Wanted,
            request: args.request(),
            from: 0,
            len: 0,
        };
        while args.left() != 0 {
            let has_more = 2 <= args.left();
            if has_more && args.word("BLOCK") {
                ask.blocks = Some(timeout(args)?);
            } else if has_more && args.word("COUNT") {
                // None of them is all of them.
                ask.count = match usize::try_from(args.int()?) {
                    Ok(0) | Err(_) => usize::MAX,
                    Ok(count) => count,
                };
            } else if has_more && args.word("STREAMS") {
                ask.read_streams(args, is_of_group)?;
                break;
            } else if 3 <= args.left() && args.word("GROUP") {
                if !is_of_group {
                    return Err(NO_GROUPS);
                }
                ask.group = Some((args.next()?, args.next()?));
            } else if args.word("NOACK") {
                if !is_of_group {
                    return Err(NO_ACKS);
                }
                ask.acks = Acks::Unwanted;
            } else {
                return Err(Fault::Syntax);
            }
        }
        if ask.len == 0 {
            return Err(Fault::Syntax);
        }
        Ok(ask)
    }

    fn read_streams(&mut self, args: &mut Args<'a>, is_of_group: bool) -> Result<(), Fault> {
        let words = args.left();
        if !words.is_multiple_of(2) {
            let (name, sign) = if is_of_group { ("xreadgroup", '>') } else { ("xread", '$') };
            return Err(Fault::Message(format!(
                "ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{sign}' \
                 must be specified."
            )));
        }
        (self.from, self.len) = (self.request.len() - words, words / 2);
        Ok(())
    }

    fn keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (request, from) = (self.request, self.from);
        (from..from + self.len).map(move |it| request.get(it).unwrap_or_default())
    }

    /// Each key with its id.
    fn streams(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let (request, behind) = (self.request, self.from + self.len);
        let ids = (behind..request.len()).map(move |it| request.get(it).unwrap_or_default());
        self.keys().zip(ids)
    }
}

/// Takes how long to wait, in milliseconds. `None` is for ever.
fn timeout(args: &mut Args<'_>) -> Result<Option<Duration>, Fault> {
    const NOT_A_NUMBER: Fault = Fault::Static("ERR timeout is not an integer or out of range");
    const OUT_OF_RANGE: Fault = Fault::Static("ERR timeout is out of range");
    const NEGATIVE: Fault = Fault::Static("ERR timeout is negative");
    let ms = args.int().map_err(|_| NOT_A_NUMBER)?;
    let ms = u64::try_from(ms).map_err(|_| NEGATIVE)?;
    // Redis adds it to the time.
    if i64::MAX as u64 - args.now().0 < ms {
        return Err(OUT_OF_RANGE);
    }
    Ok((ms != 0).then(|| Duration::from_millis(ms)))
}

/// The header of what streams have answered, each with its key: a map in RESP3.
fn show_header(streams: usize, reply: &mut Reply) {
    match reply.protocol() {
        Protocol::Resp2 => reply.array(streams),
        Protocol::Resp3 => reply.map(streams),
    }
}

/// What stands before the entries of a stream.
fn show_key(key: &[u8], reply: &mut Reply) {
    if reply.protocol() == Protocol::Resp2 {
        reply.array(2);
    }
    reply.bulk(key);
}

/// Whether XREAD does not wait.
fn is_read(request: Request<'_>) -> bool {
    let is = |it: &[u8], word: &str| it.eq_ignore_ascii_case(word.as_bytes());
    let mut options = request.iter().skip(1).take_while(|it| !is(it, "STREAMS"));
    !options.any(|it| is(it, "BLOCK"))
}

fn xread(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let ask = Ask::read(&mut args, false)?;
    let ids = ids_behind(engine.db(&args), &ask)?;
    if !show_behind(engine.db(&args), &ask, &ids, reply)? {
        reply.null_array();
    }
    Ok(())
}

fn xread_or_wait(
    engine: &mut Engine,
    mut args: Args<'_>,
    _: &mut Effects,
    reply: &mut Reply,
) -> Result<Called, Fault> {
    let ask = Ask::read(&mut args, false)?;
    let ids = ids_behind(engine.db(&args), &ask)?;
    if show_behind(engine.db(&args), &ask, &ids, reply)? {
        return Ok(Called::Done);
    }
    reply.null_array();
    let Some(timeout) = ask.blocks else { return Ok(Called::Done) };
    let mut keys = BlockingKeys::of(ask.keys(), Kind::Stream, timeout);
    keys.again = with_ids(&ask, &ids);
    Ok(Called::Block(keys))
}

/// The id of each stream behind which entries are asked for: `$` is the last one that is there.
fn ids_behind(db: Db<'_>, ask: &Ask<'_>) -> Result<Vec<StreamId>, Fault> {
    let one = |(key, id): (&[u8], &[u8])| {
        let stream = db.collection::<Stream>(key)?;
        match id {
            b"$" => Ok(stream.map_or(StreamId::MIN, |it| it.entries.last_id())),
            b">" => Err(NO_NEW),
            id => id_of(id),
        }
    };
    ask.streams().map(one).collect()
}

/// Answers the streams that have entries behind the ids; whether any has.
fn show_behind(
    db: Db<'_>,
    ask: &Ask<'_>,
    ids: &[StreamId],
    reply: &mut Reply,
) -> Result<bool, Fault> {
    let (mark, mut served) = (reply.mark(), 0);
    for (key, id) in ask.keys().zip(ids) {
        let (Some(stream), Some(from)) = (db.collection::<Stream>(key)?, id.next()) else {
            continue;
        };
        let mut entries = stream.entries.range(from, StreamId::MAX).take(ask.count).peekable();
        if entries.peek().is_none() {
            continue;
        }
        served += 1;
        show_key(key, reply);
        show_entries(entries, reply);
    }
    if served != 0 {
        reply.close(mark, |it| show_header(served, it));
    }
    Ok(served != 0)
}

/// The words with the ids that `$` has stood for, if it stands anywhere.
fn with_ids(ask: &Ask<'_>, ids: &[StreamId]) -> Option<Box<OwnedRequest>> {
    let behind = ask.from + ask.len;
    if ask.streams().all(|(_, id)| id != b"$") {
        return None;
    }
    let texts: Vec<_> = ids.iter().map(|it| it.text()).collect();
    let words = ask.request.iter().enumerate().map(|(at, word)| match at.checked_sub(behind) {
        Some(at) => &texts[at],
        None => word,
    });
    Some(Box::new(OwnedRequest::of(words)))
}

fn xreadgroup(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<Called, Fault> {
    let ask = Ask::read(&mut args, true)?;
    let (group, name) = ask.group.ok_or(NO_GROUP_NAMED)?;
    // All must be there before anything is delivered.
    let ids = ids_of_group(engine.db(&args), &ask, group)?;

    let (now, mark, mut served) = (args.now(), reply.mark(), 0);
    for (key, after) in ask.keys().zip(ids) {
        let place = Place { key, group };
        let mut db = engine.db_mut(&args);
        let is_served = db.change_for(key, HeardBy::Nobody, |stream: &mut Stream, _| {
            let Stream { entries, groups } = stream;
            let group = groups.get_mut(group).ok_or(Fault::NoSuchKey)?;
            let (consumer, is_new) = consumer_of(group, name, now);
            let mut reader =
                Reader { place, group, entries, consumer, is_new, effects, ask: &ask, now };
            let is_served = match after {
                None => reader.deliver(reply),
                Some(after) => reader.deliver_again(after, reply),
            };
            Ok(((is_served, is_new), usize::from(is_served) + usize::from(is_new)))
        })?;
        let (is_served, is_new) = is_served.unwrap_or_default();
        if is_new {
            db.event(CONSUMER_CREATED, key);
        }
        served += usize::from(is_served);
    }
    if served != 0 {
        reply.close(mark, |it| show_header(served, it));
        return Ok(Called::Done);
    }
    reply.null_array();
    let Some(timeout) = ask.blocks else { return Ok(Called::Done) };
    let mut keys = BlockingKeys::of(ask.keys(), Kind::Stream, timeout);
    // Without its group there is nothing to wait for.
    keys.insists = true;
    Ok(Called::Block(keys))
}

/// Behind which id each stream is read: `None` is behind what the group has delivered.
fn ids_of_group(db: Db<'_>, ask: &Ask<'_>, group: &[u8]) -> Result<Vec<Option<StreamId>>, Fault> {
    let one = |(key, id): (&[u8], &[u8])| {
        let stream = db.collection::<Stream>(key)?;
        if stream.is_none_or(|it| it.groups.get(group).is_none()) {
            return Err(no_key_or_group(key, group, " in XREADGROUP with GROUP option"));
        }
        match id {
            b"$" => Err(NO_END),
            b">" => Ok(None),
            // As in Redis, the greatest id of all is the same.
            id => id_of(id).map(|it| Some(it).filter(|it| *it != StreamId::MAX)),
        }
    };
    ask.streams().map(one).collect()
}

/// The consumer of this name, which is created if it is not there; and whether it was.
pub fn consumer_of(group: &mut stream::Group, name: &[u8], now: WallMs) -> (ConsumerId, bool) {
    if let Some(consumer) = group.find_consumer(name) {
        group.see_consumer(consumer, now);
        return (consumer, false);
    }
    let created = group.create_consumer(name, now);
    (created.expect("it was not there"), true)
}

/// A consumer that reads from one stream.
struct Reader<'r, 'a> {
    place: Place<'a>,
    group: &'r mut stream::Group,
    entries: &'r Entries,
    consumer: ConsumerId,
    is_new: bool,
    effects: &'r mut Effects,
    ask: &'r Ask<'a>,
    now: WallMs,
}

impl Reader<'_, '_> {
    /// Delivers what is new. Answers whether anything is.
    fn deliver(&mut self, reply: &mut Reply) -> bool {
        let Ask { count, acks, .. } = *self.ask;
        let (entries, rules) = (self.entries, Rules::Redis72);
        let delivered = self.group.deliver(entries, self.consumer, count, acks, self.now, rules);
        // Where a claim names it, that creates it.
        if self.is_new && (delivered.is_none() || acks == Acks::Unwanted) {
            self.say_consumer();
        }
        let Some(delivered) = delivered else { return false };
        show_key(self.place.key, reply);
        reply.array(delivered.count);
        for entry in entries.range(delivered.from, delivered.to) {
            show_entry(&entry, reply);
            if acks == Acks::Wanted
                && let Some(pending) = self.group.pending_of(entry.id)
            {
                let (id, text) = (entry.id, entry.id.text());
                self.place.say_claim(self.group, &text, *pending, id, self.effects);
            }
        }
        self.place.say_last_id(self.group, self.effects);
        true
    }

    /// Answers what the consumer has had before. The stream does not say so: neither does Redis'.
    fn deliver_again(&mut self, after: StreamId, reply: &mut Reply) -> bool {
        if self.is_new {
            self.say_consumer();
        }
        let (consumer, count) = (self.consumer, self.ask.count);
        show_key(self.place.key, reply);
        reply.array(self.group.pending_behind(consumer, after, count));
        let show = |id, entry: Option<stream::Entry<'_>>| match entry {
            Some(entry) => show_entry(&entry, reply),
            None => {
                reply.array(2);
                show_id(id, reply);
                reply.null_array();
            }
        };
        self.group.deliver_again(self.entries, consumer, after, count, self.now, show);
        true
    }

    fn say_consumer(&mut self) {
        let name = self.group.consumer(self.consumer).name();
        self.place.say_consumer(name, self.effects);
    }
}
