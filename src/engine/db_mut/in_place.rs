//! Strings that are made, or changed, within the memory that another has had.

use super::DbMut;
use crate::command::Fault;
use crate::engine::hyperloglog::Hyperloglog;
use crate::engine::slot::KeySlot;
use crate::engine::text::{Form, TEXT_VALUE_BYTES_MAX};
use crate::engine::value::Value;
use std::mem;
use triomphe::Arc;

/// A string that grows has an eighth of its bytes as room behind it, but never more than this: all
/// of it counts as used, and most of it has never been touched.
const ROOM_BYTES_MAX: usize = 1 << 20;

/// What a string is given that grows to `len` bytes.
fn room_for(len: usize) -> usize {
    len.saturating_add((len / 8).min(ROOM_BYTES_MAX))
}

/// Makes a string as long as that, clear where it had nothing. It grows by an exact number of
/// bytes: the allocator may then find room for them where the string is.
fn lengthen(bytes: &mut Vec<u8>, len: usize) {
    if bytes.capacity() < len {
        bytes.reserve_exact(room_for(len) - bytes.len());
    }
    bytes.resize(len, 0);
}

/// A string of its own, as long as that.
fn lengthened(old: &[u8], len: usize) -> Vec<u8> {
    let room = if old.len() < len { room_for(len) } else { len };
    let mut bytes = Vec::with_capacity(room);
    bytes.extend_from_slice(old);
    bytes.resize(len, 0);
    bytes
}

impl DbMut<'_> {
    /// Changes the string at `key` within, once it has `len` bytes, no fewer than it had; an absent
    /// one was empty, and what is new is clear. A short result is stored as a text of its own: an
    /// entry that hosted feeds may share. A longer one grows in place, at each member for itself.
    pub fn change_string(
        &mut self,
        key: &[u8],
        len: usize,
        change: impl FnOnce(&mut [u8]),
    ) -> Result<Option<KeySlot>, Fault> {
        let (old, deadline): (&[u8], _) = match self.get(key) {
            None => (&[], None),
            Some(slot) => (slot.as_string()?, slot.deadline()),
        };
        if len <= TEXT_VALUE_BYTES_MAX {
            let mut bytes = Vec::with_capacity(len);
            bytes.extend_from_slice(old);
            bytes.resize(len, 0);
            change(&mut bytes);
            return Ok(Some(self.put_string_as(Form::Raw, key, &bytes, deadline)));
        }
        match self.edit_string(key, len)? {
            Some(bytes) => change(bytes),
            None => {
                // Memory that is new to the process is clear: nobody has to clear it again.
                let mut bytes = vec![0; len];
                change(&mut bytes);
                self.put_value(key, Value::Grown(bytes), None);
            }
        }
        Ok(None)
    }

    /// The string at `key` with `len` bytes; this member's own from now on. `None` when the key is
    /// not there.
    fn edit_string(&mut self, key: &[u8], len: usize) -> Result<Option<&mut [u8]>, Fault> {
        let hash = self.shared.hash(key);
        let Some(slot) = self.space.get_mut(hash, key) else { return Ok(None) };
        if !matches!(slot.value(), Some(Value::Grown(_))) {
            let grown = Value::Grown(lengthened(slot.as_string()?, len));
            let made = KeySlot::node(hash, key, grown, slot.deadline());
            made.usage().set_like(slot.usage());
            made.touch(self.now, self.shared);
            let old = mem::replace(slot, made);
            self.free_async(old);
        }
        self.announce(key);
        match self.space.get_mut(hash, key).and_then(KeySlot::value_mut) {
            Some(Value::Grown(bytes)) => {
                lengthen(bytes, len);
                Ok(Some(bytes))
            }
            _ => unreachable!("just made to grow"),
        }
    }

    /// The memory of the string at `key`, which is about to be replaced by one of `len` bytes; none
    /// unless it is just as long, and nobody else has it.
    pub fn take_memory(&mut self, key: &[u8], len: usize) -> Vec<u8> {
        let hash = self.shared.hash(key);
        let is_it = |it: &Value| match it {
            Value::Adopted(it) => it.len() == len && Arc::strong_count(it) == 1 && it.is_unique(),
            _ => false,
        };
        // Looked at before it is asked for: a walk would copy what is about to change.
        if !self.space.get(hash, key).and_then(KeySlot::value).is_some_and(is_it) {
            return Vec::new();
        }
        let slot = self.space.get_mut(hash, key);
        let Some(Value::Adopted(old)) = slot.and_then(KeySlot::value_mut) else {
            return Vec::new();
        };
        let Some(bytes) = Arc::get_mut(old) else { return Vec::new() };
        let memory = Vec::from(mem::take(bytes));
        // What was adopted from a request may have more room behind it than a value may keep.
        if memory.capacity() <= len + len / 8 { memory } else { Vec::new() }
    }

    /// Stores a HyperLogLog whole, in the place of another, whose deadline it keeps, or of nothing.
    /// Answers an entry that hosted feeds may share.
    pub fn put_hyperloglog(&mut self, key: &[u8], mut bytes: Vec<u8>) -> KeySlot {
        bytes.shrink_to_fit();
        let deadline = self.deadline(key);
        if !Hyperloglog::is_one(&bytes) {
            return self.put_string_as(Form::Raw, key, &bytes, deadline);
        }
        let value = Value::Hyperloglog(Arc::new(Hyperloglog::new(bytes)));
        self.put_to_share(key, value, deadline)
    }

    /// Changes the long HyperLogLog at `key` within. It is this member's own from now on.
    pub fn change_hyperloglog(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Fault> {
        let hash = self.shared.hash(key);
        let slot = self.space.get_mut(hash, key).expect("it has just been read");
        if !matches!(slot.value(), Some(Value::Hyperloglog(_))) {
            let counted = Hyperloglog::new(slot.as_string()?.to_vec());
            let counted = Value::Hyperloglog(Arc::new(counted));
            let made = KeySlot::node(hash, key, counted, slot.deadline());
            made.usage().set_like(slot.usage());
            *slot = made;
        }
        match slot.value_mut() {
            Some(Value::Hyperloglog(it)) => change(Arc::make_mut(it).edit()),
            _ => unreachable!("just made one"),
        }
        self.announce(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_that_grows_has_little_room_behind_it() {
        const MB: usize = 1 << 20;
        for (old_len, len) in [(0, 5000), (5000, 6000), (MB, MB + 1), (64 * MB, 64 * MB + 1)] {
            let old = vec![b'x'; old_len];
            let made = lengthened(&old, len);
            let mut grown = old.clone();
            lengthen(&mut grown, len);
            assert!(made == grown && made.len() == len && made.starts_with(&old));
            for bytes in [&made, &grown] {
                assert!((len..=len + MB).contains(&bytes.capacity()), "{len}");
                assert!(len + (len / 8).min(MB) <= bytes.capacity(), "it grows again and again");
            }
            assert!(made[old_len..].iter().all(|it| *it == 0));
        }
        assert_eq!(lengthened(&[1; 9000], 9000).capacity(), 9000);
    }
}
