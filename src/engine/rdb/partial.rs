//! A collection of many bytes, put together as they come.

use super::load::{TimedPair, again, filled, is_new, number, spelled_score, timed_pair};
use super::{Broken, Reader, Why, form, listpack, ziplist};
use crate::engine::packed::Element;
use crate::engine::{EngineShared, Hash, Set, Value, Zset, list, zset};

/// What has come of it.
pub struct Partial {
    form: u8,
    /// Units that are still to come.
    left: u64,
    built: Built,
}

enum Built {
    List(list::Builder),
    Set(Set),
    Hash(Hash),
    /// With the length of its longest member.
    Zset(Zset, usize),
}

impl Partial {
    /// Without a unit, of a form that has units.
    pub fn new(form: u8, units: u64, shared: &EngineShared) -> Partial {
        let built = match form {
            form::SET => Built::Set(Set::default()),
            form::ZSET | form::ZSET_BINARY => {
                // Large from the start, as in Redis: a packed one does not tell -0 from 0.
                Built::Zset(zset::Builder::new(shared).build(), 0)
            }
            form::HASH | form::HASH_TTL | form::HASH_TTL_VALKEY => Built::Hash(Hash::default()),
            _ => Built::List(list::Builder::new(shared)),
        };
        Partial { form, left: units, built }
    }

    /// Units that are still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Takes the next unit.
    pub fn push(&mut self, input: &mut Reader<'_>, shared: &EngineShared) -> Result<(), Why> {
        self.left -= 1;
        match &mut self.built {
            Built::List(list) => Ok(push_node(self.form, input, list)?),
            Built::Set(set) => {
                Ok(is_new(input.show_string(|it| set.add(Element::Text(it), shared))?)?)
            }
            Built::Hash(hash) if self.form == form::HASH => {
                let field = input.string()?;
                Ok(is_new(input.show_string(|it| hash.set(&field, it, shared))?)?)
            }
            Built::Hash(hash) => {
                let TimedPair { field, value, at } = timed_pair(self.form, input)?;
                Ok(is_new(hash.set_until(&field, &value, at, shared))?)
            }
            Built::Zset(zset, longest) => {
                let member = input.string()?;
                let score = match self.form {
                    form::ZSET => spelled_score(input)?,
                    _ => input.double()?,
                };
                let score = number(score)?;
                *longest = member.len().max(*longest);
                Ok(is_new(zset.update(&member, shared, |old| (old.is_none(), Some(score))))?)
            }
        }
    }

    /// The collection.
    pub fn build(self, shared: &EngineShared) -> Result<Value, Broken> {
        match self.built {
            Built::List(list) => filled(list.build()),
            Built::Set(set) => filled(set),
            Built::Hash(hash) => filled(hash),
            Built::Zset(zset, longest) => {
                let limits = &shared.thresholds;
                let is_small = zset.len() <= limits.zset_entries && longest <= limits.zset_value;
                filled(if is_small { again(&zset, shared) } else { zset })
            }
        }
    }
}

fn push_node(form: u8, input: &mut Reader<'_>, list: &mut list::Builder) -> Result<(), Broken> {
    match form {
        form::LIST => input.show_string(|it| list.push(it)),
        form::LIST_ZIPLISTS => ziplist::each(&input.string()?, |element| {
            list.push_element(element.settled());
            Ok(())
        }),
        _ => match (input.length()?, input.string()?) {
            (form::NODE_PLAIN, element) => {
                list.push(&element);
                Ok(())
            }
            (form::NODE_PACKED, pack) => listpack::copy(&pack, list),
            _ => Err(Broken),
        },
    }
}
