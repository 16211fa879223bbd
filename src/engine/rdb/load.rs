//! Reads a value in any form that Redis has written since its first days, but for modules' types.

use super::form;
use super::stream::StreamLoader;
use super::{Broken, Reader, Why, intset, listpack, ziplist, zipmap};
use crate::base::number as numbers;
use crate::base::time::WallMs;
use crate::engine::packed::Element;
use crate::engine::{Collection, EngineShared, Hash, Set, Value, Zset};
use crate::engine::{hash, list, set, zset};
use std::borrow::Cow;

/// A value that has no key yet.
pub enum Loaded<'a> {
    /// A string.
    Text(Cow<'a, [u8]>),
    /// Anything else.
    Value(Value),
}

/// How the elements of a collection are laid out.
#[derive(Clone, Copy)]
enum Layout {
    /// A count, and so many strings.
    Strings,
    /// One listpack.
    Listpack,
    /// One ziplist.
    Ziplist,
    /// One intset.
    Intset,
    /// Many ziplists.
    Ziplists,
}

/// Reads the type and the value that `input` begins with.
pub fn load<'a>(input: &mut Reader<'a>, shared: &EngineShared) -> Result<Loaded<'a>, Why> {
    let form = input.byte()?;
    load_as(form, input, shared)
}

/// Reads the value of a certain form that `input` begins with.
pub fn load_as<'a>(
    form: u8,
    input: &mut Reader<'a>,
    shared: &EngineShared,
) -> Result<Loaded<'a>, Why> {
    let value = match form {
        form::STRING => return Ok(Loaded::Text(input.string()?)),
        form::HASH_TTL | form::HASH_TTL_VALKEY => return timed_hash(form, input, shared),
        form::HASH_LISTPACK_TTL => return timed_listpack(input, shared),
        form::STREAM | form::STREAM_2 | form::STREAM_3 => {
            StreamLoader::load(form, input).map(Collection::into_value)
        }
        form::LIST => list(Layout::Strings, input, shared),
        form::LIST_ZIPLIST => list(Layout::Ziplist, input, shared),
        form::LIST_ZIPLISTS => list(Layout::Ziplists, input, shared),
        form::LIST_LISTPACKS => listpacks(input, shared),
        form::HASH => string_pairs(input, shared),
        form::HASH_ZIPMAP => zipped_hash(input, shared),
        form::HASH_ZIPLIST => hash(Layout::Ziplist, input, shared),
        form::HASH_LISTPACK => hash(Layout::Listpack, input, shared),
        form::SET => strings(input, shared),
        form::SET_INTSET => set(Layout::Intset, input, shared),
        form::SET_LISTPACK => set(Layout::Listpack, input, shared),
        form::ZSET => scored_strings(spelled_score, input, shared),
        form::ZSET_BINARY => scored_strings(Reader::double, input, shared),
        form::ZSET_ZIPLIST => zset(Layout::Ziplist, input, shared),
        form::ZSET_LISTPACK => zset(Layout::Listpack, input, shared),
        _ => Err(Broken),
    }?;
    Ok(Loaded::Value(value))
}

fn zipped_hash(input: &mut Reader<'_>, shared: &EngineShared) -> Result<Value, Broken> {
    let mut hash = Hash::default();
    zipmap::each(&input.string()?, |field, value| is_new(hash.set(field, value, shared)))?;
    filled(hash)
}

/// A hash whose fields may have deadlines.
fn timed_hash<'a>(
    form: u8,
    input: &mut Reader<'a>,
    shared: &EngineShared,
) -> Result<Loaded<'a>, Why> {
    if form == form::HASH_TTL {
        input.take(TIME_BYTES)?;
    }
    let (mut hash, count) = (Hash::default(), input.length()?);
    for _ in 0..count {
        let TimedPair { field, value, at } = timed_pair(form, input)?;
        is_new(hash.set_until(&field, &value, at, shared))?;
    }
    Ok(Loaded::Value(filled(hash)?))
}

/// A field with its value, as text, and until when it is there.
pub struct TimedPair<'a> {
    /// The field.
    pub field: Cow<'a, [u8]>,
    /// Its value.
    pub value: Cow<'a, [u8]>,
    /// Its deadline.
    pub at: Option<WallMs>,
}

/// Takes a field that may have a deadline; none in the form that Redis has for it.
pub fn timed_pair<'a>(form: u8, input: &mut Reader<'a>) -> Result<TimedPair<'a>, Why> {
    let before = if form == form::HASH_TTL { input.length()? } else { 0 };
    let (field, value) = (input.string()?, input.string()?);
    if before != 0 {
        return Err(Why::FieldTtl);
    }
    let at = match form {
        form::HASH_TTL => None,
        _ => match input.int::<TIME_BYTES>()? {
            form::NO_DEADLINE => None,
            at => Some(WallMs(u64::try_from(at).map_err(|_| Broken)?)),
        },
    };
    Ok(TimedPair { field, value, at })
}

const TIME_BYTES: usize = 8;

/// A listpack of fields, values and deadlines, of which there is none.
fn timed_listpack<'a>(input: &mut Reader<'a>, shared: &EngineShared) -> Result<Loaded<'a>, Why> {
    input.take(TIME_BYTES)?;
    let (mut words, mut has_ttl) = (Vec::new(), false);
    let mut hash = Hash::default();
    listpack::each(&input.string()?, |element| {
        if words.len() < 2 {
            words.push(element.text().into_owned());
            return Ok(());
        }
        has_ttl |= element.settled() != Element::Int(0);
        let is_new_field = hash.set(&words[0], &words[1], shared);
        words.clear();
        is_new(is_new_field)
    })?;
    if !words.is_empty() {
        return Err(Why::Broken);
    }
    if has_ttl {
        return Err(Why::FieldTtl);
    }
    Ok(Loaded::Value(filled(hash)?))
}

fn list(layout: Layout, input: &mut Reader<'_>, shared: &EngineShared) -> Result<Value, Broken> {
    let mut list = list::Builder::new(shared);
    each(layout, input, |element| {
        list.push_element(element.settled());
        Ok(())
    })?;
    filled(list.build())
}

/// A list of many listpacks, and elements on their own.
fn listpacks(input: &mut Reader<'_>, shared: &EngineShared) -> Result<Value, Broken> {
    let mut list = list::Builder::new(shared);
    for _ in 0..input.length()? {
        match (input.length()?, input.string()?) {
            (form::NODE_PLAIN, element) => list.push(&element),
            (form::NODE_PACKED, pack) => listpack::copy(&pack, &mut list)?,
            _ => return Err(Broken),
        }
    }
    filled(list.build())
}

fn hash(layout: Layout, input: &mut Reader<'_>, shared: &EngineShared) -> Result<Value, Broken> {
    let mut hash = Hash::default();
    pairs(layout, input, |field, value| is_new(hash.set(field, value, shared)))?;
    filled(hash)
}

fn set(layout: Layout, input: &mut Reader<'_>, shared: &EngineShared) -> Result<Value, Broken> {
    let mut set = Set::default();
    each(layout, input, |member| is_new(set.add(member, shared)))?;
    filled(set)
}

/// A set of strings. Of many a table is made when all of them have been read.
fn strings(input: &mut Reader<'_>, shared: &EngineShared) -> Result<Value, Broken> {
    let count = input.length()?;
    match set::Builder::new(count as usize, shared) {
        None => {
            let mut set = Set::default();
            for _ in 0..count {
                is_new(input.show_string(|it| set.add(Element::Text(it), shared))?)?;
            }
            filled(set)
        }
        Some(mut many) => {
            for _ in 0..count {
                input.show_string(|it| many.push(it))?;
            }
            all_of(count, many.build())
        }
    }
}

/// A hash of strings, as [`strings`].
fn string_pairs(input: &mut Reader<'_>, shared: &EngineShared) -> Result<Value, Broken> {
    let count = input.length()?;
    match hash::Builder::new(count as usize, shared) {
        None => {
            let mut hash = Hash::default();
            for _ in 0..count {
                let (field, value) = (input.string()?, input.string()?);
                is_new(hash.set(&field, &value, shared))?;
            }
            filled(hash)
        }
        Some(mut many) => {
            for _ in 0..count {
                let field = input.string()?;
                input.show_string(|it| many.push(&field, it))?;
            }
            all_of(count, many.build())
        }
    }
}

/// As many as were announced, hence nothing twice.
fn all_of<C: Collection>(count: u64, collection: C) -> Result<Value, Broken> {
    match collection.len() as u64 == count {
        true => filled(collection),
        false => Err(Broken),
    }
}

fn zset(layout: Layout, input: &mut Reader<'_>, shared: &EngineShared) -> Result<Value, Broken> {
    let mut zset = Zset::default();
    pairs(layout, input, |member, score| {
        place(&mut zset, member, numbers::parse_f64(score).ok_or(Broken)?, shared)
    })?;
    filled(zset)
}

fn scored_strings<'a>(
    score: impl Fn(&mut Reader<'a>) -> Result<f64, Broken>,
    input: &mut Reader<'a>,
    shared: &EngineShared,
) -> Result<Value, Broken> {
    // In its large form first, as in Redis: the packed one does not tell -0 from 0.
    let (count, mut many, mut longest) = (input.length()?, zset::Builder::new(shared), 0);
    for _ in 0..count {
        let member = input.string()?;
        longest = longest.max(member.len());
        many.push(&member, number(score(input)?)?);
    }
    let (zset, limits) = (many.build(), &shared.thresholds);
    match zset.len() <= limits.zset_entries && longest <= limits.zset_value {
        true => all_of(count, again(&zset, shared)),
        false => all_of(count, zset),
    }
}

/// A score, which is a number.
pub fn number(score: f64) -> Result<f64, Broken> {
    if score.is_nan() { Err(Broken) } else { Ok(score) }
}

/// The same members, in the form that so few take.
pub fn again(zset: &Zset, shared: &EngineShared) -> Zset {
    let mut fresh = Zset::default();
    for (member, score) in zset.iter() {
        member.with_text(|it| fresh.set(it, score, shared));
    }
    fresh
}

/// Takes a score as it was written until Redis 4: its length and its text, or one of three bytes.
pub fn spelled_score(input: &mut Reader<'_>) -> Result<f64, Broken> {
    match input.byte()? {
        255 => Ok(f64::NEG_INFINITY),
        254 => Ok(f64::INFINITY),
        253 => Err(Broken),
        len => numbers::parse_f64(input.take(len.into())?).ok_or(Broken),
    }
}

fn place(zset: &mut Zset, member: &[u8], score: f64, shared: &EngineShared) -> Result<(), Broken> {
    let score = number(score)?;
    is_new(zset.update(member, shared, |old| (old.is_none(), Some(score))))
}

/// No collection is empty.
pub fn filled<C: Collection>(collection: C) -> Result<Value, Broken> {
    match collection.is_empty() {
        true => Err(Broken),
        false => Ok(collection.into_value()),
    }
}

/// Nothing is twice in a collection whose members are found by name.
pub fn is_new(is_new: bool) -> Result<(), Broken> {
    if is_new { Ok(()) } else { Err(Broken) }
}

/// Visits the elements two by two.
fn pairs(
    layout: Layout,
    input: &mut Reader<'_>,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Broken>,
) -> Result<(), Broken> {
    let (mut first, mut is_half) = (Vec::new(), false);
    each(layout, input, |element| {
        is_half = !is_half;
        element.with_text(|it| match is_half {
            true => {
                first.clear();
                first.extend_from_slice(it);
                Ok(())
            }
            false => visit(&first, it),
        })
    })?;
    if is_half { Err(Broken) } else { Ok(()) }
}

/// Visits the elements in order.
fn each(
    layout: Layout,
    input: &mut Reader<'_>,
    mut visit: impl FnMut(Element<'_>) -> Result<(), Broken>,
) -> Result<(), Broken> {
    match layout {
        Layout::Listpack => listpack::each(&input.string()?, visit),
        Layout::Ziplist => ziplist::each(&input.string()?, visit),
        Layout::Intset => intset::each(&input.string()?, visit),
        // A count may be a lie, but each step needs at least a byte.
        Layout::Strings => (0..input.length()?)
            .try_for_each(|_| input.show_string(|it| visit(Element::Text(it)))?),
        Layout::Ziplists => {
            (0..input.length()?).try_for_each(|_| ziplist::each(&input.string()?, &mut visit))
        }
    }
}
