//! Strings that are made, or changed, within the memory that another has had.

use super::DbMut;
use crate::command::Fault;
use crate::engine::hyperloglog::Hyperloglog;
use crate::engine::slot::KeySlot;
use crate::engine::text::Form;
use crate::engine::value::Value;
use triomphe::Arc;

impl DbMut<'_> {
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
        let memory = Vec::from(std::mem::take(bytes));
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
