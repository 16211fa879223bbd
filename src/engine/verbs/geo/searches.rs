//! What is near a place: the two searches, and the older commands that they replace.

use super::{answer_distance, answer_point};
use crate::command::Arity::AtLeast;
use crate::command::{Access, Args, Begin, Event, Fault, Find, Flags, Group, KeySpec, Keys};
use crate::engine::Run::{Either, Read, Write};
use crate::engine::geo::nearest::sort_first;
use crate::engine::geo::{Ask, Form, Near, Order, Store, search};
use crate::engine::verbs::changes;
use crate::engine::verbs::zsets::ranges::STORE_KEYS;
use crate::engine::{Effects, Engine, Row, Run, Zset, row, sort_members};
use crate::resp::Reply;

/// A key behind a word that stands at argument `from` or behind it.
const fn behind(word: &'static str, from: i32) -> KeySpec {
    let find = Find::Range { last: 0, step: 1, limit: 0 };
    KeySpec::new(Begin::Keyword(word, from), find, Access::REPLACE)
}
const RADIUS_KEYS: Keys =
    Keys(&[KeySpec::one(1, Access::READ), behind("STORE", 6), behind("STOREDIST", 6)]);
const BY_MEMBER_KEYS: Keys =
    Keys(&[KeySpec::one(1, Access::READ), behind("STORE", 5), behind("STOREDIST", 5)]);
const RADIUS: Run = Either {
    write: |engine, args, effects, reply| store(engine, args, Form::Radius, effects, reply),
    read: |engine, args, reply| answer(engine, args, Form::Radius, reply),
    is_read: |request| !Form::Radius.stores(request),
};
const RADIUS_BY_MEMBER: Run = Either {
    write: |engine, args, effects, reply| store(engine, args, Form::RadiusByMember, effects, reply),
    read: |engine, args, reply| answer(engine, args, Form::RadiusByMember, reply),
    is_read: |request| !Form::RadiusByMember.stores(request),
};
const MOVABLE: Flags = Flags::MOVABLEKEYS.union(Flags::DENYOOM);
const SEARCHING: &str = "O(N+log(M)) where N is the number of elements in the grid-aligned \
     bounding box area around the shape provided as the filter and M is the number of items \
     inside the shape";
const WITHIN_RADIUS: &str = "O(N+log(M)) where N is the number of elements inside the bounding box \
     of the circular area delimited by center and radius and M is the number of items inside the \
     index.";

/// The rows of the searches.
pub const ROWS: &[Row] = &[
    row("GEOSEARCH", AtLeast(7), Flags::NONE, Keys::READ, Read(geosearch)).says(
        Group::Geo,
        "6.2.0",
        SEARCHING,
        "Answers the members inside of a circle or a box.",
        "key (FROMMEMBER member | FROMLONLAT longitude latitude) ((BYRADIUS radius) (M | KM | FT \
         | MI) | (BYBOX width) height (M | KM | FT | MI)) [ASC | DESC] [COUNT count [ANY]] \
         [WITHCOORD] [WITHDIST] [WITHHASH]",
    ),
    row("GEOSEARCHSTORE", AtLeast(8), Flags::DENYOOM, STORE_KEYS, Write(geosearchstore)).says(
        Group::Geo,
        "6.2.0",
        SEARCHING,
        "Stores the members inside of a circle or a box, with their scores or distances.",
        "destination source (FROMMEMBER member | FROMLONLAT longitude latitude) ((BYRADIUS \
         radius) (M | KM | FT | MI) | (BYBOX width) height (M | KM | FT | MI)) [ASC | DESC] \
         [COUNT count [ANY]] [STOREDIST]",
    ),
    row("GEORADIUS", AtLeast(6), MOVABLE, RADIUS_KEYS, RADIUS).says(
        Group::Geo,
        "3.2.0",
        WITHIN_RADIUS,
        "Answers or stores the members around a place.",
        "key longitude latitude radius (M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
         [COUNT count [ANY]] [ASC | DESC] [STORE key] [STOREDIST key]",
    ),
    row("GEORADIUSBYMEMBER", AtLeast(5), MOVABLE, BY_MEMBER_KEYS, RADIUS_BY_MEMBER).says(
        Group::Geo,
        "3.2.0",
        WITHIN_RADIUS,
        "Answers or stores the members around one of them.",
        "key member radius (M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
         [COUNT count [ANY]] [ASC | DESC] [STORE key] [STOREDIST key]",
    ),
    row("GEORADIUS_RO", AtLeast(6), Flags::NONE, Keys::READ, Read(georadius_ro)).says(
        Group::Geo,
        "3.2.10",
        WITHIN_RADIUS,
        "Answers the members around a place.",
        "key longitude latitude radius (M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
         [COUNT count [ANY]] [ASC | DESC]",
    ),
    row("GEORADIUSBYMEMBER_RO", AtLeast(5), Flags::NONE, Keys::READ, Read(georadiusbymember_ro))
        .says(
            Group::Geo,
            "3.2.10",
            WITHIN_RADIUS,
            "Answers the members around one of them.",
            "key member radius (M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
             [COUNT count [ANY]] [ASC | DESC]",
        ),
];

fn geosearch(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    answer(engine, args, Form::Search, reply)
}

fn geosearchstore(
    engine: &mut Engine,
    args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    store(engine, args, Form::SearchStore, effects, reply)
}

fn georadius_ro(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    answer(engine, args, Form::RadiusRead, reply)
}

fn georadiusbymember_ro(engine: &Engine, args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    answer(engine, args, Form::RadiusByMemberRead, reply)
}

/// What a request asks for, and the members that it finds.
fn found<'e, 'a: 'e>(
    engine: &'e Engine,
    mut args: Args<'a>,
    form: Form,
) -> Result<(Ask<'a>, Vec<Near<'e>>), Fault> {
    let (key, to) = form.keys(&mut args)?;
    let zset = engine.db(&args).collection::<Zset>(key)?;
    let ask = Ask::read(form, to, &mut args, zset.map(|it| (it, engine.shared())))?;
    let (Some(zset), Some(shape)) = (zset, &ask.shape) else { return Ok((ask, Vec::new())) };

    let most = ask.count.unwrap_or(usize::MAX);
    let mut found = search(zset, shape, if ask.any { most } else { usize::MAX });
    match ask.order() {
        Some(Order::Near) => sort_first(&mut found, most, |one, other| one.order(other)),
        Some(Order::Far) => sort_first(&mut found, most, |one, other| other.order(one)),
        None => {}
    }
    found.truncate(most);
    found.iter_mut().for_each(|it| it.distance /= shape.unit);
    Ok((ask, found))
}

fn answer(engine: &Engine, args: Args<'_>, form: Form, reply: &mut Reply) -> Result<(), Fault> {
    let (ask, found) = found(engine, args, form)?;
    reply.array(found.len());
    for near in found {
        if ask.shown.count() != 0 {
            reply.array(1 + ask.shown.count());
        }
        near.member.answer(reply);
        if ask.shown.distance {
            answer_distance(near.distance, reply);
        }
        if ask.shown.score {
            reply.int(near.whole_score());
        }
        if ask.shown.point {
            answer_point(near.point, reply);
        }
    }
    Ok(())
}

fn store(
    engine: &mut Engine,
    args: Args<'_>,
    form: Form,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (ask, found) = found(engine, args, form)?;
    let Some((to, what)) = ask.store else { return answer(engine, args, form, reply) };
    let score = |it: &Near<'_>| match what {
        Store::Scores => it.score,
        Store::Distances => it.distance,
    };
    let mut scored: Vec<_> = found.iter().map(|it| (it.member.text(), score(it))).collect();
    sort_members(&mut scored);
    let made = Zset::of_sorted(&scored, engine.shared());
    let name = if form == Form::SearchStore { "geosearchstore" } else { "georadiusstore" };
    changes::store(engine, &args, (to, Event::zset(name)), made, effects, reply);
    Ok(())
}
