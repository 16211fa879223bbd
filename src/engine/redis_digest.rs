//! DEBUG DIGEST and DEBUG DIGEST-VALUE as Redis computes them: SHA-1 sums of keys and values, which
//! tell nothing of groups of streams, and of a deadline only that there is one.

use super::stream::StreamId;
use super::table::Slot;
use super::{Engine, KeySlot, Value};
use crate::base::limits::DATABASES;
use crate::base::number::format_f64;
use crate::base::time::WallMs;
use sha1::{Digest, Sha1};
use std::fmt;

/// 20 bytes, which are all zero for no data; told as 40 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RedisDigest([u8; 20]);

impl fmt::Display for RedisDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|it| write!(f, "{it:02x}"))
    }
}

impl Engine {
    /// Of all keys that have not expired at `now`, with their values.
    pub fn redis_digest(&self, now: WallMs) -> RedisDigest {
        let mut all = RedisDigest::default();
        for db in 0..DATABASES {
            let mut keys = self.live_keys(db, now).peekable();
            if keys.peek().is_none() {
                continue;
            }
            all.mix(&(db as u32).to_be_bytes());
            for slot in keys {
                let mut key = RedisDigest::default();
                key.mix(slot.key());
                key.value(slot, now);
                all.xor(&key.0);
            }
        }
        all
    }
}

/// Of one value as it is at `now`, without its key.
pub fn redis_digest_of(slot: &KeySlot, now: WallMs) -> RedisDigest {
    let mut sum = RedisDigest::default();
    sum.value(slot, now);
    sum
}

impl RedisDigest {
    /// Takes one part of what has no order.
    fn xor(&mut self, bytes: &[u8]) {
        self.0.iter_mut().zip(Sha1::digest(bytes)).for_each(|(to, it)| *to ^= it);
    }

    /// Takes the next part of what has an order.
    fn mix(&mut self, bytes: &[u8]) {
        self.xor(bytes);
        self.0 = Sha1::digest(self.0).into();
    }

    fn of_pair(one: &[u8], other: &[u8]) -> RedisDigest {
        let mut sum = RedisDigest::default();
        sum.mix(one);
        sum.mix(other);
        sum
    }

    /// Its kind by Redis' number, what is in it, and whether it has a deadline.
    fn value(&mut self, slot: &KeySlot, now: WallMs) {
        let kind = |kind: u32| kind.to_be_bytes();
        match slot.value() {
            Some(Value::List(list)) => {
                self.mix(&kind(1));
                list.onward(0).for_each(|it| it.with_text(|it| self.mix(it)));
            }
            Some(Value::Set(set)) => {
                self.mix(&kind(2));
                set.iter().for_each(|it| it.with_text(|it| self.xor(it)));
            }
            Some(Value::Zset(zset)) => {
                self.mix(&kind(3));
                for (member, score) in zset.iter() {
                    self.xor(&RedisDigest::of_pair(&member.text(), format_f64(score).as_bytes()).0);
                }
            }
            Some(Value::Hash(hash)) => {
                self.mix(&kind(4));
                for (field, value) in hash.iter(now) {
                    self.xor(&RedisDigest::of_pair(&field.text(), &value.text()).0);
                }
            }
            Some(Value::Stream(stream)) => {
                self.mix(&kind(6));
                for entry in stream.entries.range(StreamId::MIN, StreamId::MAX) {
                    self.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
                    for (name, value) in entry.fields() {
                        self.mix(&name.text());
                        self.mix(&value.text());
                    }
                }
            }
            Some(
                Value::Shared(_) | Value::Adopted(_) | Value::Grown(_) | Value::Hyperloglog(_),
            )
            | None => {
                self.mix(&kind(0));
                self.mix(slot.as_string().unwrap_or_default());
            }
        }
        if slot.deadline().is_some() {
            self.xor(b"!!expire!!");
        }
    }
}
