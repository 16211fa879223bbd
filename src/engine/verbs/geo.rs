//! Places: members of sorted sets whose scores are geohashes, one by one.

pub mod searches;
#[cfg(test)]
mod tests;

use super::zsets::{self, Terms};
use crate::base::number::{format_coordinate, format_fixed};
use crate::command::Arity::AtLeast;
use crate::command::{Args, Fault, Flags, Group, Keys};
use crate::engine::Run::{Read, Write};
use crate::engine::geo::{Point, distance, point, unit};
use crate::engine::{Effects, Engine, Row, Zset, row};
use crate::resp::Reply;

/// The family's rows; searches have their own.
pub const ROWS: &[Row] = &[
    row("GEOADD", AtLeast(5), Flags::DENYOOM, Keys::UPDATE, Write(geoadd)).says(
        Group::Geo,
        "3.2.0",
        "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        "Gives members their places and answers how many of them are new.",
        "key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]",
    ),
    row("GEOPOS", AtLeast(2), Flags::NONE, Keys::READ, Read(geopos)).says(
        Group::Geo,
        "3.2.0",
        "O(N) where N is the number of members requested.",
        "Answers where members are.",
        "key member [member ...]",
    ),
    row("GEODIST", AtLeast(4), Flags::NONE, Keys::READ, Read(geodist)).says(
        Group::Geo,
        "3.2.0",
        "O(log(N))",
        "Answers how far two members are from each other.",
        "key member1 member2 [M | KM | FT | MI]",
    ),
    row("GEOHASH", AtLeast(2), Flags::NONE, Keys::READ, Read(geohash)).says(
        Group::Geo,
        "3.2.0",
        "O(log(N)) for each member requested, where N is the number of elements in the sorted set.",
        "Answers where members are, in the letters of a geohash.",
        "key member [member ...]",
    ),
];

fn geoadd(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let key = args.next()?;
    let (mut terms, mut options) = (Terms::default(), args);
    while let Some(term) = term(&mut terms, &mut args) {
        *term = true;
    }
    let count = args.left() / 3;
    if !args.left().is_multiple_of(3) || count == 0 || terms.new && terms.there {
        return Err(Fault::Syntax);
    }
    let mut places = Vec::with_capacity(count);
    while args.left() != 0 {
        places.push((point(&mut args)?.score(), args.next()?));
    }
    let pairs = places.iter().map(|(score, it)| (*score as f64, *it));
    let tally = zsets::put(engine, &args, key, terms, pairs)?;
    if tally.changes() != 0 {
        // What a place's score is must not depend on who repeats it.
        let option_count = options.left() - 3 * count;
        let options = options.rest().take(option_count);
        effects.propagate_each(2 + option_count + 2 * count, |say| {
            say(b"zadd");
            say(key);
            options.for_each(&mut *say);
            for (score, member) in &places {
                say(itoa::Buffer::new().format(*score).as_bytes());
                say(member);
            }
        });
    }
    tally.answer(terms, reply);
    Ok(())
}

/// The term that the next word names.
fn term<'t>(terms: &'t mut Terms, args: &mut Args<'_>) -> Option<&'t mut bool> {
    let words = [("NX", &mut terms.new), ("XX", &mut terms.there), ("CH", &mut terms.changed)];
    words.into_iter().find(|(it, _)| args.word(it)).map(|(_, term)| term)
}

/// The places of the members that are left in the arguments, behind the key.
fn each_place(
    engine: &Engine,
    mut args: Args<'_>,
    reply: &mut Reply,
    mut answer: impl FnMut(Option<Point>, &mut Reply),
) -> Result<(), Fault> {
    let key = args.next()?;
    let zset: Option<&Zset> = engine.db(&args).collection(key)?;
    reply.array(args.left());
    for member in args.rest() {
        let score = zset.and_then(|it| it.score(member, engine.shared()));
        answer(score.map(Point::of_score), reply);
    }
    Ok(())
}

fn geopos(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    each_place(engine, args, reply, |place, reply| match place {
        Some(place) => answer_point(place, reply),
        None => reply.null_array(),
    })
}

fn geohash(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    each_place(engine, args, reply, |place, reply| match place {
        Some(place) => reply.bulk(&place.text()),
        None => reply.null(),
    })
}

fn geodist(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, one, other) = (args.next()?, args.next()?, args.next()?);
    // A word behind the unit is told of first.
    if 1 < args.left() {
        return Err(Fault::Syntax);
    }
    let unit = if args.left() == 0 { 1.0 } else { unit(&mut args)? };
    let zset: Option<&Zset> = engine.db(&args).collection(key)?;
    let place = |it| zset?.score(it, engine.shared()).map(Point::of_score);
    match (place(one), place(other)) {
        (Some(one), Some(other)) => answer_distance(distance(one, other) / unit, reply),
        _ => reply.null(),
    }
    Ok(())
}

/// A longitude and a latitude.
fn answer_point(point: Point, reply: &mut Reply) {
    reply.array(2);
    for degrees in [point.longitude, point.latitude] {
        reply.double_text(&format_coordinate(degrees));
    }
}

/// A distance in the unit that was asked for; no double, even in RESP3.
fn answer_distance(distance: f64, reply: &mut Reply) {
    reply.bulk(format_fixed(distance, 4).as_bytes());
}
