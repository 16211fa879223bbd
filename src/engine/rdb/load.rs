//! Reads a value in any form that Redis has written since its first days, but for zipmaps, streams
//! and modules' types.

use super::form;
use super::{Broken, Reader, intset, listpack, ziplist};
use crate::base::number;
use crate::engine::packed::Element;
use crate::engine::{Collection, End, EngineShared, Hash, List, Set, Value, Zset};
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
    /// A count, and strings of which so many make one of that count.
    Strings(u64),
    /// One listpack.
    Listpack,
    /// One ziplist.
    Ziplist,
    /// One intset.
    Intset,
    /// Many ziplists.
    Ziplists,
    /// Many listpacks, and elements on their own.
    Listpacks,
}

/// Reads the type and the value that `input` begins with.
pub fn load<'a>(input: &mut Reader<'a>, shared: &EngineShared) -> Result<Loaded<'a>, Broken> {
    let value = match input.byte()? {
        form::STRING => return input.string().map(Loaded::Text),
        form::LIST => list(Layout::Strings(1), input, shared),
        form::LIST_ZIPLIST => list(Layout::Ziplist, input, shared),
        form::LIST_ZIPLISTS => list(Layout::Ziplists, input, shared),
        form::LIST_LISTPACKS => list(Layout::Listpacks, input, shared),
        form::HASH => hash(Layout::Strings(2), input, shared),
        form::HASH_ZIPLIST => hash(Layout::Ziplist, input, shared),
        form::HASH_LISTPACK => hash(Layout::Listpack, input, shared),
        form::SET => set(Layout::Strings(1), input, shared),
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

fn list(layout: Layout, input: &mut Reader<'_>, shared: &EngineShared) -> Result<Value, Broken> {
    let mut list = List::default();
    each(layout, input, |element| {
        element.with_text(|it| {
            list.make_room(std::iter::once(it), shared);
            list.push(End::Back, it);
        });
        Ok(())
    })?;
    filled(list)
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

fn zset(layout: Layout, input: &mut Reader<'_>, shared: &EngineShared) -> Result<Value, Broken> {
    let mut zset = Zset::default();
    pairs(layout, input, |member, score| {
        place(&mut zset, member, number::parse_f64(score).ok_or(Broken)?, shared)
    })?;
    filled(zset)
}

fn scored_strings<'a>(
    score: impl Fn(&mut Reader<'a>) -> Result<f64, Broken>,
    input: &mut Reader<'a>,
    shared: &EngineShared,
) -> Result<Value, Broken> {
    // In its large form first, as in Redis: the packed one does not tell -0 from 0.
    let (mut zset, mut longest) = (Zset::Large(Box::default()), 0);
    for _ in 0..input.length()? {
        let member = input.string()?;
        longest = longest.max(member.len());
        place(&mut zset, &member, score(input)?, shared)?;
    }
    let limits = &shared.thresholds;
    match zset.len() <= limits.zset_entries && longest <= limits.zset_value {
        true => filled(again(&zset, shared)),
        false => filled(zset),
    }
}

/// The same members, in the form that so few take.
fn again(zset: &Zset, shared: &EngineShared) -> Zset {
    let mut fresh = Zset::default();
    for (member, score) in zset.iter() {
        member.with_text(|it| fresh.set(it, score, shared));
    }
    fresh
}

/// Takes a score as it was written until Redis 4: its length and its text, or one of three bytes.
fn spelled_score(input: &mut Reader<'_>) -> Result<f64, Broken> {
    match input.byte()? {
        255 => Ok(f64::NEG_INFINITY),
        254 => Ok(f64::INFINITY),
        253 => Err(Broken),
        len => number::parse_f64(input.take(len.into())?).ok_or(Broken),
    }
}

fn place(zset: &mut Zset, member: &[u8], score: f64, shared: &EngineShared) -> Result<(), Broken> {
    if score.is_nan() {
        return Err(Broken);
    }
    is_new(zset.update(member, shared, |old| (old.is_none(), Some(score))))
}

/// No collection is empty.
fn filled<C: Collection>(collection: C) -> Result<Value, Broken> {
    match collection.is_empty() {
        true => Err(Broken),
        false => Ok(collection.into_value()),
    }
}

/// Nothing is twice in a collection whose members are found by name.
fn is_new(is_new: bool) -> Result<(), Broken> {
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
        Layout::Listpack => return listpack::each(&input.string()?, visit),
        Layout::Ziplist => return ziplist::each(&input.string()?, visit),
        Layout::Intset => return intset::each(&input.string()?, visit),
        Layout::Strings(_) | Layout::Ziplists | Layout::Listpacks => {}
    }
    // A count may be a lie, but each step needs at least a byte.
    let count = input.length()?;
    match layout {
        Layout::Strings(each) => (0..count.checked_mul(each).ok_or(Broken)?)
            .try_for_each(|_| visit(Element::Text(&input.string()?))),
        Layout::Ziplists => {
            (0..count).try_for_each(|_| ziplist::each(&input.string()?, &mut visit))
        }
        _ => (0..count).try_for_each(|_| node(input, &mut visit)),
    }
}

/// Visits the elements of one node of a list.
fn node(
    input: &mut Reader<'_>,
    mut visit: impl FnMut(Element<'_>) -> Result<(), Broken>,
) -> Result<(), Broken> {
    match (input.length()?, input.string()?) {
        (form::NODE_PLAIN, element) => visit(Element::Text(&element)),
        (form::NODE_PACKED, pack) => listpack::each(&pack, visit),
        _ => Err(Broken),
    }
}
