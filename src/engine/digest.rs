//! A fingerprint of all data of one member, the same whatever order its tables are in.

use super::deadlines::is_live;
use super::stream::{Group, StreamId};
use super::table::Slot;
use super::{Engine, KeySlot, Stream, Value};
use crate::base::limits::DATABASES;
use crate::base::time::WallMs;
use std::fmt;

/// Equal for equal data; not for secrets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Digest([u64; 3]);

const SEEDS: [u64; 3] = [0x9E37_79B9_7F4A_7C15, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9];

impl Digest {
    /// Of these parts, in this order.
    pub fn of(parts: &[&[u8]]) -> Digest {
        Digest(SEEDS.map(|seed| parts.iter().fold(seed, |sum, part| lane(sum, part))))
    }

    /// Takes one more member of an unordered collection.
    pub fn add(&mut self, member: Digest) {
        for (sum, more) in self.0.iter_mut().zip(member.0) {
            *sum = sum.wrapping_add(more);
        }
    }

    fn bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (to, lane) in bytes.chunks_exact_mut(8).zip(self.0) {
            to.copy_from_slice(&lane.to_le_bytes());
        }
        bytes
    }
}

impl fmt::Display for Digest {
    /// 40 hexadecimal digits, like the digest of a history.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Digest([one, two, three]) = self;
        write!(f, "{one:016x}{two:016x}{:08x}", three >> 32)
    }
}

impl Engine {
    /// A database's keys that have not expired at `now`, in the order of its table.
    pub(super) fn live_keys(&self, db: usize, now: WallMs) -> impl Iterator<Item = &KeySlot> {
        let is_live = move |it: &&KeySlot| is_live(it.deadline(), now);
        self.space(db).table().iter().filter(is_live)
    }

    /// Of all keys that have not expired at `now`, with their values and deadlines.
    pub fn digest(&self, now: WallMs) -> Digest {
        let mut all = Digest::default();
        for db in 0..DATABASES {
            self.live_keys(db, now).for_each(|it| all.add(key_digest(db, it, now)));
        }
        all
    }
}

fn key_digest(db: usize, slot: &KeySlot, now: WallMs) -> Digest {
    let deadline = slot.deadline().map_or(u64::MAX, |it| it.0).to_le_bytes();
    let value = match slot.as_string() {
        Ok(text) => Digest::of(&[text]),
        Err(_) => slot.value().map_or_else(Digest::default, |it| collection_digest(it, now)),
    };
    let kind = slot.kind().name().as_bytes();
    Digest::of(&[&[db as u8], slot.key(), &deadline, kind, &value.bytes()])
}

fn collection_digest(value: &Value, now: WallMs) -> Digest {
    let mut all = Digest::default();
    match value {
        Value::Shared(_) | Value::Adopted(_) | Value::Grown(_) | Value::Hyperloglog(_) => {}
        Value::List(list) => {
            for (place, element) in list.onward(0).enumerate() {
                all.add(Digest::of(&[&place.to_le_bytes(), &element.text()]));
            }
        }
        Value::Set(set) => {
            set.iter().for_each(|member| all.add(member.with_text(|it| Digest::of(&[it]))));
        }
        Value::Hash(hash) => {
            for ((field, value), at) in hash.iter_timed().filter(|it| is_live(it.1, now)) {
                let at = at.map_or(u64::MAX, |it| it.0).to_le_bytes();
                all.add(Digest::of(&[&field.text(), &value.text(), &at]));
            }
        }
        Value::Zset(zset) => {
            for (member, score) in zset.iter() {
                // Of 0 and -0, only a large set tells them apart.
                let score = (score + 0.0).to_bits().to_le_bytes();
                all.add(Digest::of(&[&member.text(), &score]));
            }
        }
        Value::Stream(stream) => all = stream_digest(stream),
    }
    all
}

/// What of a stream is the same at all members: not when and how often something was delivered,
/// since who reads again what it had before changes that at the master only.
fn stream_digest(stream: &Stream) -> Digest {
    let entries = &stream.entries;
    let ids = [entries.last_id(), entries.max_deleted_id()].map(StreamId::to_bytes);
    let mut all = Digest::of(&[&ids[0], &ids[1], &entries.added().to_le_bytes()]);
    for entry in entries.range(StreamId::MIN, StreamId::MAX) {
        let mut fields = Digest::of(&[&entry.id.to_bytes()]);
        for (name, value) in entry.fields() {
            fields = Digest::of(&[&fields.bytes(), &name.text(), &value.text()]);
        }
        all.add(fields);
    }
    for (name, group) in stream.groups.iter() {
        all.add(Digest::of(&[name, &group_digest(group).bytes()]));
    }
    all
}

fn group_digest(group: &Group) -> Digest {
    let read = group.entries_read.map_or([0; 9], |it| {
        let mut bytes = [1; 9];
        bytes[1..].copy_from_slice(&it.to_le_bytes());
        bytes
    });
    let mut all = Digest::of(&[&group.last_id.to_bytes(), &read]);
    for (_, consumer) in group.consumers().iter() {
        all.add(Digest::of(&[consumer.name()]));
        consumer.ids().for_each(|id| all.add(Digest::of(&[consumer.name(), &id.to_bytes()])));
    }
    all
}

/// One lane of a hash: every byte and every length moves all bits that come after.
fn lane(sum: u64, part: &[u8]) -> u64 {
    let step = |sum: u64, word: u64| {
        let mixed = (sum ^ word).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB) ^ (mixed >> 32)
    };
    let words = part.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    step(words.fold(sum, step), part.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_their_borders_count_and_members_have_no_order() {
        let of =
            |parts: &[&str]| Digest::of(&parts.iter().map(|it| it.as_bytes()).collect::<Vec<_>>());
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a", ""]), of(&["a"]));
        assert_ne!(of(&["a\0"]), of(&["a"]));
        let (mut one, mut other) = (Digest::default(), Digest::default());
        for (here, there) in [("x", "z"), ("y", "y"), ("z", "x")] {
            one.add(of(&[here]));
            other.add(of(&[there]));
        }
        assert_eq!(one, other);
        assert_eq!(one.to_string().len(), 40);
    }
}
