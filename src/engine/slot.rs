//! A key with what it holds: sixteen bytes in the keyspace's table.

use super::hyperloglog::Hyperloglog;
use super::shared::EngineShared;
use super::table::Slot;
use super::text::{Form, TEXT_KEY_BYTES_MAX, TEXT_VALUE_BYTES_MAX, Text};
use super::usage::Usage;
use super::value::{Collection, Kind, Value};
use crate::base::block::block_bytes;
use crate::base::time::WallMs;
use crate::command::{Fault, Uses};
use triomphe::Arc;

/// A place in the keyspace. The hash stands beside the pointer so that probing and splitting do not
/// follow it.
#[derive(Default)]
pub enum KeySlot {
    /// Nothing.
    #[default]
    Empty,
    /// A short string, shared between members.
    Text { hash: u32, text: Text },
    /// Anything else.
    Node { hash: u32, node: Box<Node> },
}

const _: () = assert!(size_of::<KeySlot>() == 16);

/// A key whose value has an owner of its own.
pub struct Node {
    key: Box<[u8]>,
    deadline: Deadline,
    usage: Usage,
    /// What it holds.
    pub value: Value,
}

const _: () = assert!(size_of::<Node>() == 56);

impl Node {
    /// When it expires.
    pub fn deadline(&self) -> Option<WallMs> {
        self.deadline.get()
    }
}

/// A time or none in eight bytes.
#[derive(Clone, Copy)]
struct Deadline(u64);

impl Deadline {
    /// No time a client can name is this late.
    const NONE: u64 = u64::MAX;

    fn new(deadline: Option<WallMs>) -> Deadline {
        Deadline(deadline.map_or(Deadline::NONE, |it| it.0))
    }

    #[inline]
    fn get(self) -> Option<WallMs> {
        (self.0 != Deadline::NONE).then_some(WallMs(self.0))
    }
}

impl KeySlot {
    /// A string. `scratch` is only borrowed space.
    #[inline]
    pub fn string(
        hash: u32,
        key: &[u8],
        value: &[u8],
        deadline: Option<WallMs>,
        form: Form,
        scratch: &mut Vec<u8>,
    ) -> KeySlot {
        if KeySlot::is_text(key, value) {
            return KeySlot::Text { hash, text: Text::new(key, value, deadline, form, scratch) };
        }
        KeySlot::shared(hash, key, value, deadline)
    }

    /// Whether a string of this key and value is kept in one allocation with its key.
    #[inline]
    pub fn is_text(key: &[u8], value: &[u8]) -> bool {
        value.len() <= TEXT_VALUE_BYTES_MAX && key.len() <= TEXT_KEY_BYTES_MAX
    }

    /// A string that is not.
    pub fn shared(hash: u32, key: &[u8], value: &[u8], deadline: Option<WallMs>) -> KeySlot {
        let value = if Hyperloglog::is_one(value) {
            Value::Hyperloglog(Arc::new(Hyperloglog::new(value.to_vec())))
        } else {
            Value::Shared(Arc::from(value))
        };
        KeySlot::node(hash, key, value, deadline)
    }

    /// Any other value.
    pub fn node(hash: u32, key: &[u8], value: Value, deadline: Option<WallMs>) -> KeySlot {
        let deadline = Deadline::new(deadline);
        let node = Node { key: key.into(), deadline, usage: Usage::unknown(), value };
        KeySlot::Node { hash, node: Box::new(node) }
    }

    /// When it expires.
    #[inline]
    pub fn deadline(&self) -> Option<WallMs> {
        match self {
            KeySlot::Empty => None,
            KeySlot::Text { text, .. } => text.deadline(),
            KeySlot::Node { node, .. } => node.deadline(),
        }
    }

    /// The same entry with another deadline.
    pub fn set_deadline(&mut self, deadline: Option<WallMs>, scratch: &mut Vec<u8>) {
        match self {
            KeySlot::Empty => {}
            KeySlot::Text { text, .. } => *text = text.with_deadline(deadline, scratch),
            KeySlot::Node { node, .. } => node.deadline = Deadline::new(deadline),
        }
    }

    /// Gives the entry another key, for RENAME and COPY.
    pub fn set_key(&mut self, new_hash: u32, new_key: &[u8], scratch: &mut Vec<u8>) {
        match self {
            KeySlot::Empty => {}
            KeySlot::Text { text, .. } => {
                let (value, deadline, form) = (text.value(), text.deadline(), text.form());
                *self = KeySlot::string(new_hash, new_key, value, deadline, form, scratch);
            }
            KeySlot::Node { hash, node } => {
                *hash = new_hash;
                node.key = new_key.into();
            }
        }
    }

    /// The string it holds; another type is the client's mistake.
    #[inline]
    pub fn as_string(&self) -> Result<&[u8], Fault> {
        match self {
            KeySlot::Text { text, .. } => Ok(text.value()),
            KeySlot::Node { node, .. } => match &node.value {
                Value::Shared(bytes) => Ok(bytes),
                Value::Adopted(bytes) => Ok(bytes),
                Value::Grown(bytes) => Ok(bytes),
                Value::Hyperloglog(it) => Ok(it.bytes()),
                _ => Err(Fault::WrongType),
            },
            KeySlot::Empty => Err(Fault::WrongType),
        }
    }

    /// The long HyperLogLog it holds, which may have its count beside it.
    #[inline]
    pub fn as_hyperloglog(&self) -> Option<&Hyperloglog> {
        match self.value() {
            Some(Value::Hyperloglog(it)) => Some(it),
            _ => None,
        }
    }

    /// The collection it holds; another type is the client's mistake.
    pub fn as_collection<C: Collection>(&self) -> Result<&C, Fault> {
        self.value().and_then(C::of).ok_or(Fault::WrongType)
    }

    /// As [`KeySlot::as_collection`], to change.
    pub fn as_collection_mut<C: Collection>(&mut self) -> Result<&mut C, Fault> {
        self.value_mut().and_then(C::of_mut).ok_or(Fault::WrongType)
    }

    /// Its value, unless it is a short string.
    pub fn value(&self) -> Option<&Value> {
        match self {
            KeySlot::Node { node, .. } => Some(&node.value),
            _ => None,
        }
    }

    /// As [`KeySlot::value`], to change.
    pub fn value_mut(&mut self) -> Option<&mut Value> {
        match self {
            KeySlot::Node { node, .. } => Some(&mut node.value),
            _ => None,
        }
    }

    /// The earliest deadline of its fields, if it is a hash that has fields with deadlines.
    #[inline]
    pub fn field_deadline(&self) -> Option<WallMs> {
        match self {
            KeySlot::Node { node, .. } => match &node.value {
                Value::Hash(hash) => hash.next_deadline(),
                _ => None,
            },
            KeySlot::Text { .. } | KeySlot::Empty => None,
        }
    }

    /// The type a client sees.
    pub fn kind(&self) -> Kind {
        self.value().map_or(Kind::String, Value::kind)
    }

    /// The answer of OBJECT ENCODING.
    pub fn encoding(&self) -> &'static str {
        match self {
            KeySlot::Empty => Form::Whole.encoding(&[]),
            KeySlot::Text { text, .. } => text.form().encoding(text.value()),
            KeySlot::Node { node, .. } => match &node.value {
                Value::Shared(bytes) => Form::Whole.encoding(bytes),
                Value::Adopted(bytes) => Form::Whole.encoding(bytes),
                Value::Grown(_) | Value::Hyperloglog(_) => Form::Raw.encoding(&[]),
                collection => collection.encoding(),
            },
        }
    }

    /// The allocation itself, for hosted feeds: a copy that shares the value. `None` for values
    /// that each member builds for itself.
    pub fn share(&self) -> Option<KeySlot> {
        match self {
            KeySlot::Text { hash, text } => Some(KeySlot::Text { hash: *hash, text: text.clone() }),
            KeySlot::Node { hash, node } => match &node.value {
                Value::Shared(_) | Value::Adopted(_) | Value::Hyperloglog(_) => {
                    Some(KeySlot::Node { hash: *hash, node: node.clone() })
                }
                _ => None,
            },
            KeySlot::Empty => None,
        }
    }

    /// What is known of its uses.
    #[inline]
    pub fn usage(&self) -> &Usage {
        static OF_NOTHING: Usage = Usage::unknown();
        match self {
            KeySlot::Empty => &OF_NOTHING,
            KeySlot::Text { text, .. } => text.usage(),
            KeySlot::Node { node, .. } => &node.usage,
        }
    }

    /// Remembers a use.
    #[inline]
    pub fn touch(&self, now: WallMs, shared: &EngineShared) {
        match self {
            KeySlot::Empty => {}
            KeySlot::Text { text, .. } => drop(shared.touch(text.usage(), now)),
            KeySlot::Node { node, .. } => drop(shared.touch(&node.usage, now)),
        }
    }

    /// As [`KeySlot::touch`], and notes it if other members cannot see it: they share the memory of
    /// a short string.
    #[inline]
    pub fn touch_and_note(&self, now: WallMs, shared: &EngineShared, uses: &Uses) {
        match self {
            KeySlot::Node { hash, node } => {
                if let Some(before) = shared.touch(&node.usage, now) {
                    let rules = &shared.thresholds.eviction;
                    match rules.policy.counts_uses() {
                        false => uses.note(*hash, before, (now.0 / 1000) as u32),
                        true => uses.note_count(*hash, node.usage.frequency(now, rules)),
                    }
                }
            }
            _ => self.touch(now, shared),
        }
    }

    /// Where its allocation is; 0 without one.
    pub fn address(&self) -> usize {
        match self {
            KeySlot::Empty => 0,
            KeySlot::Text { text, .. } => text.address(),
            KeySlot::Node { node, .. } => &raw const **node as usize,
        }
    }

    /// Roughly how many allocations freeing it takes.
    pub fn free_cost(&self) -> usize {
        self.value().map_or(1, Value::free_cost)
    }

    /// Heap bytes of this entry, roughly.
    pub fn bytes(&self) -> usize {
        match self {
            KeySlot::Empty => 0,
            KeySlot::Text { text, .. } => text.bytes(),
            KeySlot::Node { node, .. } => {
                block_bytes(size_of::<Node>()) + block_bytes(node.key.len()) + node.value.bytes()
            }
        }
    }
}

impl Clone for KeySlot {
    /// A copy for another member: strings are shared, collections copied.
    fn clone(&self) -> KeySlot {
        match self {
            KeySlot::Empty => KeySlot::Empty,
            KeySlot::Text { hash, text } => KeySlot::Text { hash: *hash, text: text.clone() },
            KeySlot::Node { hash, node } => KeySlot::Node { hash: *hash, node: node.clone() },
        }
    }
}

impl Clone for Node {
    fn clone(&self) -> Node {
        let Node { key, deadline, usage, value } = self;
        Node { key: key.clone(), deadline: *deadline, usage: usage.clone(), value: value.clone() }
    }
}

impl Slot for KeySlot {
    fn empty() -> KeySlot {
        KeySlot::Empty
    }

    #[inline]
    fn hash(&self) -> Option<u32> {
        match self {
            KeySlot::Empty => None,
            KeySlot::Text { hash, .. } | KeySlot::Node { hash, .. } => Some(*hash),
        }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        match self {
            KeySlot::Empty => &[],
            KeySlot::Text { text, .. } => text.key(),
            KeySlot::Node { node, .. } => &node.key,
        }
    }
}
