//! SORT and SORT_RO: elements of any collection, ordered by themselves or by what other keys hold.

mod ask;
mod lookup;
#[cfg(test)]
mod tests;

use super::changes;
use crate::base::number;
use crate::command::Arity::AtLeast;
use crate::command::{Access, Args, Event, Fault, Flags, Group, KeySpec, Keys};
use crate::command::{Begin, Find};
use crate::engine::Run::{Either, Read};
use crate::engine::packed::Element;
use crate::engine::{Db, Effects, Engine, Kind, Row, Run, Value, list, row};
use crate::resp::{Reply, Request};
use ask::{Ask, By, Order};
use lookup::Pattern;
use std::borrow::Cow;
use std::cmp::Ordering;

/// A key that follows from what is sorted, or from words that may stand anywhere.
const fn somewhere(access: Access, note: &'static str) -> KeySpec {
    KeySpec::new(Begin::Unknown, Find::Unknown, access).noting(note)
}
const BY_OR_GET: KeySpec =
    somewhere(Access::READ, "Keys of BY and GET follow from the elements that are sorted.");
const STORE: KeySpec =
    somewhere(Access::REPLACE, "STORE and its key may stand anywhere among the options.");
const KEYS_READ: Keys = Keys(&[KeySpec::one(1, Access::READ), BY_OR_GET]);
const KEYS: Keys = Keys(&[KeySpec::one(1, Access::READ), BY_OR_GET, STORE]);
const FLAGS: Flags = Flags::MOVABLEKEYS.union(Flags::DANGEROUS);
const SORT: Run = Either { write: sort_and_store, read: sort, is_read };
const COMPLEXITY: &str = "O(N+M*log(M)) where N is the number of elements in the list or set to \
     sort, and M the number of returned elements. When the elements are not sorted, complexity is \
     O(N).";

/// The family's rows.
pub const ROWS: &[Row] = &[
    row("SORT", AtLeast(2), FLAGS.union(Flags::DENYOOM), KEYS, SORT).says(
        Group::Generic,
        "1.0.0",
        COMPLEXITY,
        "Answers the elements of a list, set or sorted set in order, or stores them as a list.",
        "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] \
         [ALPHA] [STORE destination]",
    ),
    row("SORT_RO", AtLeast(2), FLAGS, KEYS_READ, Read(sort_ro)).says(
        Group::Generic,
        "7.0.0",
        COMPLEXITY,
        "Answers the elements of a list, set or sorted set in order.",
        "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] \
         [ASC | DESC] [ALPHA]",
    ),
];

const NOT_NUMBERS: Fault = Fault::Static("ERR One or more scores can't be converted into double");

/// How many elements there are to sort; `None` when values of this type cannot be sorted.
fn count(value: &Value) -> Option<usize> {
    match value {
        Value::List(list) => Some(list.len()),
        Value::Set(set) => Some(set.len()),
        Value::Zset(zset) => Some(zset.len()),
        Value::Shared(_)
        | Value::Adopted(_)
        | Value::Grown(_)
        | Value::Hyperloglog(_)
        | Value::Hash(_)
        | Value::Stream(_) => None,
    }
}

/// The elements in the order that is theirs, or in the reverse of it where they have one.
fn elements<'e>(value: &'e Value, order: Order) -> Box<dyn Iterator<Item = Element<'e>> + 'e> {
    match (value, order) {
        (Value::List(list), Order::Up) => Box::new(list.onward(0)),
        (Value::List(list), Order::Down) => Box::new(list.backward(usize::MAX)),
        (Value::Set(set), _) => Box::new(set.iter()),
        (Value::Zset(zset), Order::Up) => Box::new(zset.iter().map(|it| it.0)),
        (Value::Zset(zset), Order::Down) => Box::new(zset.walk_back(0..zset.len()).map(|it| it.0)),
        (
            Value::Shared(_)
            | Value::Adopted(_)
            | Value::Grown(_)
            | Value::Hyperloglog(_)
            | Value::Hash(_)
            | Value::Stream(_),
            _,
        ) => Box::new(std::iter::empty()),
    }
}

/// Whether elements come in an order that a second member may not share.
fn is_unordered(kind: Kind) -> bool {
    !matches!(kind, Kind::List | Kind::Zset)
}

fn is_read(request: Request<'_>) -> bool {
    !Ask::stores(request)
}

fn sort(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, ask) = (args.next()?, Ask::read(&mut args)?);
    answer(engine.db(&args), key, &ask, reply)
}

fn sort_ro(engine: &Engine, mut args: Args<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let (key, ask) = (args.next()?, Ask::read_only(&mut args)?);
    answer(engine.db(&args), key, &ask, reply)
}

fn answer(db: Db<'_>, key: &[u8], ask: &Ask<'_>, reply: &mut Reply) -> Result<(), Fault> {
    let sorted = sorted(db, key, ask)?;
    reply.array(sorted.len() * ask.get.len().max(1));
    for element in sorted {
        element.with_text(|it| each_answer(db, ask, it, |it| reply.maybe(it)));
    }
    Ok(())
}

/// What stands for one element in the result: itself, or what the GET patterns lead to.
fn each_answer(db: Db<'_>, ask: &Ask<'_>, element: &[u8], mut visit: impl FnMut(Option<&[u8]>)) {
    if ask.get.is_empty() {
        return visit(Some(element));
    }
    for pattern in &ask.get {
        visit(pattern.value(db, element).as_deref());
    }
}

fn sort_and_store(
    engine: &mut Engine,
    mut args: Args<'_>,
    effects: &mut Effects,
    reply: &mut Reply,
) -> Result<(), Fault> {
    let (key, ask) = (args.next()?, Ask::read(&mut args)?);
    let Some(to) = ask.store else { return answer(engine.db(&args), key, &ask, reply) };

    let db = engine.db(&args);
    let sorted = sorted(db, key, &ask)?;
    let mut stored = list::Builder::new(db.shared());
    for element in sorted {
        match ask.get.is_empty() {
            true => stored.push_element(element.settled()),
            false => element.with_text(|it| {
                each_answer(db, &ask, it, |it| stored.push(it.unwrap_or_default()));
            }),
        }
    }
    let stored = stored.build();
    // A replica hides nothing: what was hidden here must be gone there.
    expire_looked_up(engine, &args, key, &ask, effects);
    engine.expire(args.db, args.now(), to, effects);

    // The same of fields, which are only taken out by the master's cycle: what came of them is said
    // where any may have been hidden.
    let hides = engine.db(&args).any_field_due() && ask.patterns().any(|it| it.has_field());
    let elements = || stored.onward(0).map(|it| it.text().into_owned()).collect::<Vec<_>>();
    let shown = hides.then(elements);
    let said = effects.items().len();
    changes::store(engine, &args, (to, Event::list("sortstore")), stored, effects, reply);
    if let Some(shown) = shown {
        say_stored(to, &shown, said, effects);
    }
    Ok(())
}

/// What was said of a list that has been stored from number `said` on is said by its elements.
fn say_stored(to: &[u8], shown: &[Vec<u8>], said: usize, effects: &mut Effects) {
    if shown.is_empty() {
        return;
    }
    effects.cut(said);
    effects.propagate(&[b"DEL", to]);
    let words = [b"RPUSH", to].into_iter().chain(shown.iter().map(Vec::as_slice));
    effects.propagate(&words.collect::<Vec<&[u8]>>());
}

/// Deletes the keys that BY and GET led to whose time had come.
fn expire_looked_up(
    engine: &mut Engine,
    args: &Args<'_>,
    key: &[u8],
    ask: &Ask<'_>,
    effects: &mut Effects,
) {
    if !engine.any_due(args.db, args.now()) {
        return;
    }
    let db = engine.db(args);
    let value = db.peek(key).and_then(|it| it.value());
    let elements = value.into_iter().flat_map(|it| elements(it, Order::Up));
    let keys: Vec<Vec<u8>> = elements
        .flat_map(|it| {
            let text = it.text();
            ask.patterns().filter_map(|it| it.key(&text)).collect::<Vec<_>>()
        })
        .collect();
    for key in keys {
        engine.expire(args.db, args.now(), &key, effects);
    }
}

/// The elements that the result shows, in its order.
fn sorted<'e>(db: Db<'e>, key: &[u8], ask: &Ask<'_>) -> Result<Vec<Element<'e>>, Fault> {
    let Some(slot) = db.get(key) else { return Ok(Vec::new()) };
    let value = slot.value().ok_or(Fault::WrongType)?;
    let len = count(value).ok_or(Fault::WrongType)?;
    let span = ask.span(len);
    let by = match ask.by {
        // What is stored must be the same at every member.
        By::Nothing if (ask.store.is_some() || ask.in_script) && is_unordered(value.kind()) => {
            By::Text(None)
        }
        by => by,
    };
    let all = elements(value, if let By::Nothing = by { ask.order } else { Order::Up });
    let mut sorted = match by {
        By::Nothing => return Ok(all.skip(span.start).take(span.len()).collect()),
        By::Number(pattern) => by_number(db, all, pattern, ask.order)?,
        By::Text(pattern) => by_text(db, all, pattern, ask.order),
    };
    sorted.truncate(span.end);
    sorted.drain(..span.start);
    Ok(sorted)
}

fn by_number<'e>(
    db: Db<'_>,
    all: impl Iterator<Item = Element<'e>>,
    pattern: Option<Pattern<'_>>,
    order: Order,
) -> Result<Vec<Element<'e>>, Fault> {
    let weigh = |element: Element<'e>| match (pattern, element) {
        (None, Element::Int(number)) => Some((number as f64, element)),
        (None, Element::Text(text)) => number_of(text).map(|it| (it, element)),
        (Some(pattern), _) => {
            let weight = element.with_text(|it| pattern.value(db, it).map(|it| number_of(&it)));
            weight.unwrap_or(Some(0.0)).map(|it| (it, element))
        }
    };
    let weighed: Option<Vec<_>> = all.map(weigh).collect();
    let mut weighed = weighed.ok_or(NOT_NUMBERS)?;
    weighed.sort_unstable_by(|one, other| {
        let numbers = one.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal);
        order.of(numbers.then_with(|| text_order(one.1, other.1)))
    });
    Ok(weighed.into_iter().map(|(_, it)| it).collect())
}

fn text_order(one: Element<'_>, other: Element<'_>) -> Ordering {
    match (one, other) {
        (Element::Int(one), Element::Int(other)) if one == other => Ordering::Equal,
        (Element::Text(one), Element::Text(other)) => one.cmp(other),
        _ => one.with_text(|one| other.with_text(|other| one.cmp(other))),
    }
}

fn by_text<'e>(
    db: Db<'_>,
    all: impl Iterator<Item = Element<'e>>,
    pattern: Option<Pattern<'_>>,
    order: Order,
) -> Vec<Element<'e>> {
    let Some(pattern) = pattern else {
        let mut texts: Vec<_> = all.map(|it| (it.text(), it)).collect();
        texts.sort_unstable_by(|one, other| order.of(one.0.cmp(&other.0)));
        return texts.into_iter().map(|(_, it)| it).collect();
    };
    // Elements without a weight come first.
    let weigh = |element: Element<'e>| {
        let weight = element.with_text(|it| pattern.value(db, it).map(Cow::into_owned));
        (weight, element)
    };
    let mut weighed: Vec<_> = all.map(weigh).collect();
    weighed.sort_by(|one, other| order.of(one.0.cmp(&other.0)));
    weighed.into_iter().map(|(_, it)| it).collect()
}

/// A number as C's `strtod` reads it from the beginning of a text that a zero byte ends: leading
/// space is passed over, nothing may follow, and an empty text is 0.
fn number_of(text: &[u8]) -> Option<f64> {
    let text = text.split(|it| *it == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let is_space = |it: &u8| it.is_ascii_whitespace() || *it == b'\x0B';
    let text = &text[text.iter().take_while(|it| is_space(it)).count()..];
    number::parse_f64(text).filter(|it| !it.is_subnormal())
}
