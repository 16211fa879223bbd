//! What a key can hold besides a short string, and what all collections have in common.

use super::hash::Hash;
use super::hyperloglog::Hyperloglog;
use super::list::List;
use super::set::Set;
use super::stream::Stream;
use super::zset::Zset;
use crate::base::time::WallMs;
use bytes::Bytes;
use triomphe::Arc;

/// The types a client can see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A string.
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A hash.
    Hash,
    /// A sorted set.
    Zset,
    /// A stream.
    Stream,
}

impl Kind {
    /// The answer of TYPE.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::Hash => "hash",
            Kind::Zset => "zset",
            Kind::Stream => "stream",
        }
    }

    /// The type of that name, in any case.
    pub fn parse(name: &[u8]) -> Option<Kind> {
        [Kind::String, Kind::List, Kind::Set, Kind::Zset, Kind::Hash, Kind::Stream]
            .into_iter()
            .find(|it| it.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// A value with an owner of its own, unlike [`super::Text`].
#[derive(Clone)]
pub enum Value {
    /// A long string, shared by all hosted members.
    Shared(Arc<[u8]>),
    /// A very long string in the memory that it was read into, shared by all hosted members: it is
    /// never copied.
    Adopted(Arc<Bytes>),
    /// A string that has been changed in place (APPEND, SETRANGE): each member has its own, with
    /// room to grow.
    Grown(Vec<u8>),
    /// A long HyperLogLog. Members share it until one of them changes it.
    Hyperloglog(Arc<Hyperloglog>),
    /// A list.
    List(List),
    /// A set.
    Set(Set),
    /// A hash.
    Hash(Hash),
    /// A sorted set.
    Zset(Zset),
    /// A stream.
    Stream(Box<Stream>),
}

/// With more, a key with a small collection would take a larger allocation.
const _: () = assert!(size_of::<Value>() == 24);

/// What the engine needs of a collection to create, find and remove it.
pub trait Collection: Default {
    /// The collection in `value`, if it is of this type.
    fn of(value: &Value) -> Option<&Self>;
    /// As [`Collection::of`], to change.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;
    /// As a value.
    fn into_value(self) -> Value;
    /// How many elements it holds.
    fn len(&self) -> usize;
    /// Whether it holds nothing, and its key must go.
    fn is_empty(&self) -> bool;
    /// The earliest deadline within it.
    #[inline]
    fn next_deadline(&self) -> Option<WallMs> {
        None
    }
}

macro_rules! collections {
    ($($type:ident { $($own:item)* })*) => {$(
        impl Collection for $type {
            fn of(value: &Value) -> Option<&$type> {
                match value {
                    Value::$type(it) => Some(it),
                    _ => None,
                }
            }

            fn of_mut(value: &mut Value) -> Option<&mut $type> {
                match value {
                    Value::$type(it) => Some(it),
                    _ => None,
                }
            }

            fn into_value(self) -> Value {
                Value::$type(self)
            }

            fn len(&self) -> usize {
                $type::len(self)
            }

            fn is_empty(&self) -> bool {
                $type::is_empty(self)
            }

            $($own)*
        }
    )*};
}

collections! {
    List {}
    Set {}
    Hash {
        #[inline]
        fn next_deadline(&self) -> Option<WallMs> {
            Hash::next_deadline(self)
        }
    }
    Zset {}
}

impl Collection for Stream {
    fn of(value: &Value) -> Option<&Stream> {
        match value {
            Value::Stream(it) => Some(it),
            _ => None,
        }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Stream> {
        match value {
            Value::Stream(it) => Some(it),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::Stream(Box::new(self))
    }

    fn len(&self) -> usize {
        Stream::len(self)
    }

    /// Its key stays without an entry, too.
    fn is_empty(&self) -> bool {
        false
    }
}

impl Value {
    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Value::Shared(_) | Value::Adopted(_) | Value::Grown(_) | Value::Hyperloglog(_) => {
                Kind::String
            }
            Value::List(_) => Kind::List,
            Value::Set(_) => Kind::Set,
            Value::Hash(_) => Kind::Hash,
            Value::Zset(_) => Kind::Zset,
            Value::Stream(_) => Kind::Stream,
        }
    }

    /// Redis' name for the form a collection is in; strings are [`super::KeySlot`]'s to name.
    pub fn encoding(&self) -> &'static str {
        match self {
            Value::Shared(_) | Value::Adopted(_) | Value::Grown(_) | Value::Hyperloglog(_) => "raw",
            Value::List(list) => list.encoding(),
            Value::Set(set) => set.encoding(),
            Value::Hash(hash) => hash.encoding(),
            Value::Zset(zset) => zset.encoding(),
            Value::Stream(stream) => stream.encoding(),
        }
    }

    /// A collection without elements, whose key must go; strings and streams never are.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Shared(_) | Value::Adopted(_) | Value::Grown(_) | Value::Hyperloglog(_) => false,
            Value::List(list) => list.is_empty(),
            Value::Set(set) => set.is_empty(),
            Value::Hash(hash) => hash.is_empty(),
            Value::Zset(zset) => zset.is_empty(),
            Value::Stream(_) => false,
        }
    }

    /// Roughly how many allocations freeing it takes, or what costs as much: decides whether it is
    /// freed elsewhere.
    pub fn free_cost(&self) -> usize {
        match self {
            Value::Shared(bytes) => pages(bytes.len()),
            Value::Adopted(bytes) => pages(bytes.len()),
            Value::Grown(bytes) => pages(bytes.capacity()),
            Value::Hyperloglog(it) => pages(it.capacity()),
            Value::List(list) => list.free_cost(),
            Value::Set(set) => set.free_cost(),
            Value::Hash(hash) => hash.free_cost(),
            Value::Zset(zset) => zset.free_cost(),
            Value::Stream(stream) => stream.free_cost(),
        }
    }

    /// About how many elements a clone copies: long strings are shared, and most of a stream.
    pub fn copy_cost(&self) -> usize {
        match self {
            Value::Shared(_) | Value::Adopted(_) | Value::Hyperloglog(_) => 0,
            Value::Grown(bytes) => bytes.len() >> 4,
            Value::List(list) => list.len(),
            Value::Set(set) => set.len(),
            Value::Hash(hash) => hash.copy_cost(),
            Value::Zset(zset) => zset.len(),
            Value::Stream(stream) => stream.copy_cost(),
        }
    }

    /// Heap bytes it holds, roughly: MEMORY USAGE.
    pub fn bytes(&self) -> usize {
        match self {
            Value::Shared(bytes) => bytes.len(),
            Value::Adopted(bytes) => bytes.len(),
            Value::Grown(bytes) => bytes.capacity(),
            Value::Hyperloglog(it) => it.capacity(),
            Value::List(list) => list.bytes(),
            Value::Set(set) => set.bytes(),
            Value::Hash(hash) => hash.bytes(),
            Value::Zset(zset) => zset.bytes(),
            Value::Stream(stream) => stream.bytes(),
        }
    }
}

/// Giving a megabyte back to the system takes as long as freeing some sixty small allocations.
fn pages(bytes: usize) -> usize {
    1 + (bytes >> 14)
}
