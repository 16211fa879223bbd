//! Parts of strings.

use crate::command::{Args, Event, Fault};
use crate::engine::{Effects, Engine};
use crate::resp::Reply;

pub(super) fn getrange(
    engine: &Engine,
    mut args: Args<'_>,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, start, end) = (args.next()?, args.int()?, args.int()?);
    let value = engine.db(&args).string(key)?.unwrap_or_default();
    reply.bulk(span(value, start, end));
    Ok(())
}

/// The bytes from `start` to `end` inclusive; negative ones count from the end. What lies before
/// the beginning stands for the beginning, also as an end.
fn span(value: &[u8], start: i64, end: i64) -> &[u8] {
    if start < 0 && end < start {
        return &[];
    }
    let len = value.len() as i64;
    let place = |at: i64| if at < 0 { (len + at).max(0) } else { at.min(len) };
    value.get(place(start) as usize..(place(end) + 1).min(len) as usize).unwrap_or_default()
}

pub(super) fn append(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, more) = (args.next()?, args.next()?);

    let mut db = engine.db_mut(&args);
    let (len, shared) = match db.string(key)? {
        None => (more.len(), Some(db.put_string(key, more, None))),
        Some(old) => {
            let len = checked_len(&args, old.len(), more.len())?;
            let old_len = old.len();
            let change = |it: &mut [u8]| it[old_len..].copy_from_slice(more);
            (len, db.change_string(key, len, change)?)
        }
    };
    db.event(Event::string("append"), key);
    effects.as_sent_with(shared);
    reply.count(len);
    Ok(())
}

pub(super) fn setrange(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, offset, value) = (args.next()?, args.int()?, args.next()?);
    let offset =
        usize::try_from(offset).map_err(|_| Fault::Static("ERR offset is out of range"))?;

    let mut db = engine.db_mut(&args);
    let old_len = db.string(key)?.map_or(0, <[u8]>::len);
    if value.is_empty() {
        reply.count(old_len);
        return Ok(());
    }
    let end = checked_len(&args, offset, value.len())?;
    let len = end.max(old_len);
    let shared = db.change_string(key, len, |it| it[offset..end].copy_from_slice(value))?;
    db.event(Event::string("setrange"), key);
    effects.as_sent_with(shared);
    reply.count(len);
    Ok(())
}

fn checked_len(args: &Args<'_>, one: usize, more: usize) -> Result<usize, Fault> {
    let most = args.env.bulk_bytes_max.get();
    one.checked_add(more).filter(|it| *it <= most).ok_or(Fault::StringTooLong)
}
