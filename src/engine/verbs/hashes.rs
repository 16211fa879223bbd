//! Hashes.

use crate::engine::Row;
use crate::engine::value::{Collection, Value};

/// The family's rows.
pub const ROWS: &[Row] = &[];

/// Fields with their values.
#[derive(Clone, Default)]
pub struct Hash {}

impl Hash {
    /// The answer of OBJECT ENCODING.
    pub fn encoding(&self) -> &'static str {
        "listpack"
    }

    /// Roughly how many allocations freeing it takes.
    pub fn burden(&self) -> usize {
        1
    }

    /// Heap bytes it holds, roughly.
    pub fn bytes(&self) -> usize {
        0
    }
}

impl Collection for Hash {
    fn of(value: &Value) -> Option<&Hash> {
        match value {
            Value::Hash(hash) => Some(hash),
            _ => None,
        }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Hash> {
        match value {
            Value::Hash(hash) => Some(hash),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::Hash(self)
    }

    fn is_empty(&self) -> bool {
        true
    }
}
