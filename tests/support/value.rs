//! A reply as a value that keeps its type on the wire.

use std::fmt;

/// A RESP2 or RESP3 reply. Doubles and big numbers stay text, because their spelling is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// `+OK`
    Simple(Vec<u8>),
    /// `-ERR …` or `!…`
    Error(Vec<u8>),
    /// `:1`
    Int(i64),
    /// `$3`
    Bulk(Vec<u8>),
    /// `$-1`
    NilBulk,
    /// `*-1`
    NilArray,
    /// `_`
    Null,
    /// `#t`
    Bool(bool),
    /// `,1.5`
    Double(Vec<u8>),
    /// `(123`
    Big(Vec<u8>),
    /// `=7`
    Verbatim(Vec<u8>),
    /// `*2`
    Array(Vec<Value>),
    /// `~2`
    Set(Vec<Value>),
    /// `%1`, keys and values in turn
    Map(Vec<Value>),
    /// `>2`
    Push(Vec<Value>),
}

impl Value {
    /// The elements of any aggregate.
    pub fn items(&self) -> Option<&[Value]> {
        match self {
            Value::Array(it) | Value::Set(it) | Value::Map(it) | Value::Push(it) => Some(it),
            _ => None,
        }
    }

    /// The same with every text that is a negative zero as a zero.
    pub fn unsigned(&self) -> Value {
        let all = |items: &[Value]| items.iter().map(Value::unsigned).collect();
        match self {
            Value::Bulk(it) if it == b"-0" => Value::Bulk(b"0".to_vec()),
            Value::Double(it) if it == b"-0" => Value::Double(b"0".to_vec()),
            Value::Array(it) => Value::Array(all(it)),
            Value::Set(it) => Value::Set(all(it)),
            Value::Map(it) => Value::Map(all(it)),
            other => other.clone(),
        }
    }

    /// The elements of an aggregate that is surely one.
    pub fn list(&self) -> &[Value] {
        self.items().unwrap_or_else(|| panic!("no list: {self}"))
    }

    /// The bytes of anything that is one text.
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Value::Simple(it) | Value::Bulk(it) | Value::Double(it) => Some(it),
            Value::Big(it) | Value::Verbatim(it) | Value::Error(it) => Some(it),
            _ => None,
        }
    }

    /// The text of a reply that surely is one; what is not UTF-8 is replaced.
    pub fn string(&self) -> String {
        let text = self.text().unwrap_or_else(|| panic!("no text: {self}"));
        String::from_utf8_lossy(text).into_owned()
    }

    /// An integer reply.
    pub fn int(&self) -> Option<i64> {
        match self {
            Value::Int(it) => Some(*it),
            _ => None,
        }
    }

    /// Whether the server refused.
    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error(_))
    }

    /// Whether there is nothing, in any spelling.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::NilBulk | Value::NilArray | Value::Null)
    }

    /// The same reply with its elements sorted, each run of `width` elements moved as one.
    pub fn sorted(&self, width: usize) -> Value {
        let sort = |items: &[Value]| {
            let mut runs: Vec<&[Value]> = items.chunks(width.max(1)).collect();
            runs.sort();
            runs.concat()
        };
        match self {
            Value::Array(it) => Value::Array(sort(it)),
            Value::Set(it) => Value::Set(sort(it)),
            Value::Map(it) => Value::Map(sort(it)),
            Value::Push(it) => Value::Push(sort(it)),
            other => other.clone(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |it: &[u8]| it.escape_ascii().to_string();
        match self {
            Value::Simple(it) => write!(f, "+{}", escaped(it)),
            Value::Error(it) => write!(f, "-{}", escaped(it)),
            Value::Int(it) => write!(f, ":{it}"),
            Value::Bulk(it) => write!(f, "\"{}\"", escaped(it)),
            Value::NilBulk => write!(f, "nil"),
            Value::NilArray => write!(f, "nil-array"),
            Value::Null => write!(f, "null"),
            Value::Bool(it) => write!(f, "#{it}"),
            Value::Double(it) => write!(f, ",{}", escaped(it)),
            Value::Big(it) => write!(f, "({}", escaped(it)),
            Value::Verbatim(it) => write!(f, "={}", escaped(it)),
            Value::Array(it) => list(f, "[", it),
            Value::Set(it) => list(f, "~[", it),
            Value::Map(it) => list(f, "%[", it),
            Value::Push(it) => list(f, ">[", it),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, open: &str, items: &[Value]) -> fmt::Result {
    write!(f, "{open}")?;
    for (index, item) in items.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{item}")?;
    }
    write!(f, "]")
}
