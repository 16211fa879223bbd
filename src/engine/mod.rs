//! One member's data: keyspaces, values and verbs. A request comes in, a reply and effects go out.
//!
//! **Invariant:** no network, clock, randomness or thread of its own. The same requests at the same
//! times give the same bytes.
//! **Invariant:** reads take `&Engine`, writes `&mut Engine`; only a [`Run::Read`] can go to a
//! replica.

pub mod table;
pub mod packed;

mod deadlines;
mod list;
mod hash;
mod set;
mod zset;
pub mod stream;
mod sample;
mod usage;
mod text;
mod hyperloglog;
mod value;
mod slot;
mod walk;
mod cut;
mod changed;
mod keyspace;
mod walked;
mod db;
mod db_mut;
mod effects;
mod thresholds;
mod shared;
mod events;
mod written;
mod evictor;
mod databases;
mod evict;
mod walk_copy;
pub mod geo;
mod row;
mod work;
pub mod rdb;
mod digest;
mod redis_digest;
pub mod verbs;

pub use changed::{Change, ChangedKeys};
pub use cut::{Counts, END, TakenEntry};
pub use databases::Engine;
pub use db::Db;
pub use db_mut::{DbMut, HeardBy};
pub use digest::Digest;
pub use effects::{EffectBody, Effects, Item};
pub use events::Events;
pub use evict::Evicted;
pub use hash::Hash;
pub use hyperloglog::{Hyperloglog, MAGIC};
pub use keyspace::Keyspace;
pub use list::{End, List};
pub use redis_digest::{RedisDigest, redis_digest_of};
pub use row::{BlockingKeys, BlockingVerb, Called, ReadVerb, Row, Run, WriteVerb, container, row};
pub use set::Set;
pub use shared::EngineShared;
pub use slot::{KeySlot, Node};
pub use stream::Stream;
pub use text::{Form, Text};
pub use thresholds::Thresholds;
pub use usage::{EvictionRules, Policy};
pub use value::{Collection, Kind, Value};
pub use walk::Walk;
pub use walk_copy::{CopyStep, WalkCopy};
pub use walked::{Walked, after};
pub use work::Work;
pub use written::{DeferredFree, Expired, Written};
pub use zset::{Gone, Scored, Zset, sort_members};
