//! XACK and XPENDING: what has been delivered and is not done with.

use super::VARIES;
use super::shown::show_id;
use super::words::{end_bound, first_bound, ids_of, no_key_or_group};
use crate::command::Arity::AtLeast;
use crate::command::{Args, Fault, Flags, Group, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::stream::{self, PendingFilter, Stream, StreamId};
use crate::engine::verbs::changes;
use crate::engine::{Effects, Engine, HeardBy, Row, row};
use crate::resp::Reply;

/// The rows.
pub const ROWS: &[Row] = &[
    row("XACK", AtLeast(4), Flags::FAST, Keys::UPDATE, Write(xack)).says(
        Group::Stream,
        "5.0.0",
        "O(1) for each message ID processed.",
        "Is done with entries that were delivered to a consumer.",
        "key group id [id ...]",
    ),
    // What a consumer reads again counts at the master only.
    row("XPENDING", AtLeast(3), Flags::AT_MASTER, Keys::READ, Read(xpending))
        .says(
            Group::Stream,
            "5.0.0",
            "O(N) with N being the number of elements returned, so asking for a small fixed \
             number of entries per call is O(1). O(M), where M is the total number of entries \
             scanned when used with the IDLE filter. When the command returns just the summary \
             and the list of consumers is small, it runs in O(1) time; otherwise, an additional \
             O(N) time for iterating every consumer.",
            "Tells what is pending in a group.",
            "key group [[IDLE min-idle-time:integer] start:string end:string count [consumer]]",
        )
        .tips(VARIES),
];

fn xack(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, name, ids) = (args.next()?, args.next()?, args.rest());

    engine.db(&args).get(key);
    let mut db = engine.db_mut(&args);
    let acked = db.change_for(key, HeardBy::Nobody, |stream: &mut Stream, _| {
        let Some(group) = stream.groups.get_mut(name) else { return Ok((0, 0)) };
        let acked = ids_of(ids)?.into_iter().filter(|it| group.acknowledge(*it)).count();
        Ok((acked, acked))
    })?;
    changes::answer(acked.unwrap_or(0), effects, reply);
    Ok(())
}

/// Which entries XPENDING shows.
struct Ask<'a> {
    from: StreamId,
    to: StreamId,
    count: usize,
    min_idle_ms: i64,
    consumer: Option<&'a [u8]>,
}

impl<'a> Ask<'a> {
    /// Takes `[[IDLE min-idle-time] start end count [consumer]]`.
    fn read(args: &mut Args<'a>) -> Result<Option<Ask<'a>>, Fault> {
        let words = args.left();
        if words == 0 {
            return Ok(None);
        }
        if !(3..=6).contains(&words) {
            return Err(Fault::Syntax);
        }
        let mut min_idle_ms = 0;
        if args.word("IDLE") {
            min_idle_ms = args.int()?;
            if words < 5 {
                return Err(Fault::Syntax);
            }
        }
        let (start, end) = (args.next()?, args.next()?);
        let count = args.int()?.max(0) as usize;
        let (from, to) = (first_bound(start)?, end_bound(end)?);
        // What is behind it is not looked at: neither does Redis.
        let consumer = args.next().ok();
        Ok(Some(Ask { from, to, count, min_idle_ms, consumer }))
    }
}

fn xpending(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, name) = (args.next()?, args.next()?);
    let ask = Ask::read(&mut args)?;

    let stream = engine.db(&args).collection::<Stream>(key)?;
    let group = stream.and_then(|it| it.groups.get(name));
    let group = group.ok_or_else(|| no_key_or_group(key, name, ""))?;
    match ask {
        None => show_summary(group, reply),
        Some(ask) => show_pending(group, &ask, &args, reply),
    }
    Ok(())
}

fn show_summary(group: &stream::Group, reply: &mut Reply) {
    let summary = group.pending_summary();
    reply.array(4);
    reply.count(summary.count);
    let Some((first, last)) = summary.ends else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    show_id(first, reply);
    show_id(last, reply);
    reply.array(group.waiting_consumers().count());
    for consumer in group.waiting_consumers() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_int(consumer.pending() as i64);
    }
}

fn show_pending(group: &stream::Group, ask: &Ask<'_>, args: &Args<'_>, reply: &mut Reply) {
    let consumer = match ask.consumer.map(|it| group.find_consumer(it)) {
        Some(None) => return reply.array(0),
        known => known.flatten(),
    };
    let Ask { from, to, min_idle_ms, .. } = *ask;
    let filter = PendingFilter { from, to, min_idle_ms, consumer };
    let (now, mark, mut count) = (args.now(), reply.mark(), 0);
    for (id, pending) in group.pending_range(filter, now).take(ask.count) {
        reply.array(4);
        show_id(id, reply);
        reply.bulk(group.consumer(pending.consumer).name());
        reply.int((now.0 as i64).saturating_sub(pending.delivered_ms).max(0));
        reply.int(pending.deliveries as i64);
        count += 1;
    }
    reply.close_array(mark, count);
}
