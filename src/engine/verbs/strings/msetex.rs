//! MSETEX: several strings at once, if their keys are all there, or all are not, and until when.

use super::lifetime::Lifetime;
use super::set::{EXPIRE, SET};
use crate::base::time::WallMs;
use crate::command::{Args, Fault};
use crate::engine::{DbMut, Effects, Engine, KeySlot};
use crate::resp::Reply;

const BAD_COUNT: Fault = Fault::Static("ERR invalid numkeys value or out of range");
/// How many keys ahead memory is asked for.
const AHEAD: usize = 8;

/// What is said behind the pairs.
struct Options<'a> {
    /// The keys must all be there, or none of them may be.
    are_there: Option<bool>,
    lifetime: Lifetime<'a>,
}

pub(super) fn msetex(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let count = args.int().ok().filter(|it| (1..=i64::from(i32::MAX)).contains(it));
    let pairs = count.ok_or(BAD_COUNT)? as usize;
    let words: Vec<&[u8]> = args.rest().collect();
    if words.len() / 2 < pairs {
        return Err(Fault::Syntax);
    }
    let (pairs, behind) = words.split_at(2 * pairs);
    let options = options(args, args.request().len() - behind.len())?;
    let named = options.lifetime.moment(args.now(), "msetex")?;

    let mut db = engine.db_mut(&args);
    let keys = || pairs.iter().step_by(2);
    let is_met = |wanted: bool| keys().all(|it| db.has(it) == wanted);
    if !options.are_there.is_none_or(is_met) {
        reply.int(0);
        return Ok(());
    }
    keys().take(AHEAD).for_each(|it| db.prefetch(it));
    match (options.lifetime, named) {
        (Lifetime::Unsaid, _) => put_forever(&mut db, pairs, effects),
        (lifetime, named) => put_until(&mut db, pairs, lifetime, named, effects),
    }
    reply.int(1);
    Ok(())
}

/// The options that begin at this word of the request.
fn options(args: Args<'_>, from: usize) -> Result<Options<'_>, Fault> {
    let mut args = Args::new(args.request(), from, args.db, args.env);
    let mut options = Options { are_there: None, lifetime: Lifetime::Unsaid };
    while args.left() != 0 {
        let word = args.next()?;
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("NX") && options.are_there != Some(true) {
            options.are_there = Some(false);
        } else if is("XX") && options.are_there != Some(false) {
            options.are_there = Some(true);
        } else if is("KEEPTTL") {
            options.lifetime = options.lifetime.keep()?;
        } else {
            options.lifetime = options.lifetime.until(word, &mut args)?;
        }
    }
    Ok(options)
}

/// The stream says MSET, which every peer knows.
fn put_forever(db: &mut DbMut<'_>, pairs: &[&[u8]], effects: &mut Effects) {
    let words: Vec<&[u8]> = [&[&b"MSET"[..]], pairs].concat();
    effects.propagate(&words);
    for (pair, ahead) in pairs.chunks(2).zip(ahead(pairs)) {
        ahead.into_iter().for_each(|it| db.prefetch(it));
        effects.share(db.put_string(pair[0], pair[1], None));
        db.event(SET, pair[0]);
    }
}

/// The stream says a SET for each pair, with a moment.
fn put_until(
    db: &mut DbMut<'_>,
    pairs: &[&[u8]],
    lifetime: Lifetime<'_>,
    named: Option<WallMs>,
    effects: &mut Effects,
) {
    let mut digits = itoa::Buffer::new();
    let moment = named.map(|it| digits.format(it.0).as_bytes());
    for (pair, ahead) in pairs.chunks(2).zip(ahead(pairs)) {
        ahead.into_iter().for_each(|it| db.prefetch(it));
        let (key, value) = (pair[0], pair[1]);
        let deadline = match lifetime {
            Lifetime::Keep => db.get(key).and_then(KeySlot::deadline),
            _ => named,
        };
        let stored = db.put_string(key, value, deadline);
        db.event(SET, key);
        match moment {
            Some(at) => {
                db.event(EXPIRE, key);
                effects.propagate(&[b"SET", key, value, b"PXAT", at]);
            }
            None => effects.propagate(&[b"SET", key, value, b"KEEPTTL"]),
        }
        effects.share(stored);
    }
}

/// Beside each pair the key that comes some places behind it.
fn ahead<'p, 'a>(pairs: &'p [&'a [u8]]) -> impl Iterator<Item = Option<&'a [u8]>> + use<'p, 'a> {
    let keys = pairs.iter().step_by(2).skip(AHEAD).map(|it| Some(*it));
    keys.chain(std::iter::repeat(None))
}
