//! The worst of a series, and the key it happened to: where to look first.

use std::fmt::{self, Display, Write};

/// How much of a key is kept.
const KEY_BYTES_MAX: usize = 64;

/// What can be told of a key: that much tells keys apart without keeping anything large.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    start: [u8; KEY_BYTES_MAX],
    len: u8,
    has_more: bool,
}

impl Key {
    /// Keeps the beginning of `key`.
    pub fn new(key: &[u8]) -> Self {
        let len = key.len().min(KEY_BYTES_MAX);
        let mut start = [0; KEY_BYTES_MAX];
        start[..len].copy_from_slice(&key[..len]);
        Key { start, len: len as u8, has_more: len < key.len() }
    }

    /// What was kept, as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.start[..usize::from(self.len)]).into_owned()
    }
}

/// In quotes and escaped as redis-cli does it; dots behind the quotes stand for what was not kept.
impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_char('"')?;
        for byte in &self.start[..usize::from(self.len)] {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", char::from(*byte)),
                b'\n' => f.write_str("\\n"),
                b'\r' => f.write_str("\\r"),
                b'\t' => f.write_str("\\t"),
                0x07 => f.write_str("\\a"),
                0x08 => f.write_str("\\b"),
                b' '..=b'~' => f.write_char(char::from(*byte)),
                _ => write!(f, "\\x{byte:02x}"),
            }?;
        }
        f.write_str(if self.has_more { "\"..." } else { "\"" })
    }
}

/// What a worst is the worst of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Measure {
    /// A read's distance from the master.
    Staleness,
    /// A read's wait for its floor.
    FloorWait,
}

/// One event that no other was worse than.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Worst {
    /// How long, which counts first.
    pub micros: u64,
    /// How far, which counts among equally long ones.
    pub bytes: u64,
    /// The first key of the command, if it names any.
    pub key: Option<Key>,
}

impl Worst {
    /// Whether an event of that size was worse. Of equals, the first stays.
    pub(super) fn yields_to(&self, micros: u64, bytes: u64) -> bool {
        (self.micros, self.bytes) < (micros, bytes)
    }

    /// Becomes `other` if that was worse.
    pub(super) fn merge(&mut self, other: &Worst) {
        if self.yields_to(other.micros, other.bytes) {
            *self = *other;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What redis-cli 7.0.15 printed of these keys.
    #[test]
    fn keys_read_as_redis_cli_prints_them() {
        let told = |key: &[u8]| Key::new(key).to_string();
        assert_eq!(told(b"user:1"), r#""user:1""#);
        assert_eq!(told(b""), r#""""#);
        assert_eq!(told(b"a\"b\\c'd e"), r#""a\"b\\c'd e""#);
        assert_eq!(told(b"\n\r\t\x07\x08\0\x1b\x7f\xff\xc3\xa4"), TOLD);
    }
    const TOLD: &str = r#""\n\r\t\a\b\x00\x1b\x7f\xff\xc3\xa4""#;

    #[test]
    fn a_long_key_is_cut_and_says_so() {
        let whole = [b'k'; KEY_BYTES_MAX];
        let told = format!("\"{}\"", "k".repeat(KEY_BYTES_MAX));
        assert_eq!(Key::new(&whole).to_string(), told);
        assert_eq!(Key::new(&[b'k'; KEY_BYTES_MAX + 1]).to_string(), format!("{told}..."));
        assert!(size_of::<Worst>() <= 88);
    }

    #[test]
    fn time_counts_before_distance_and_equals_yield_to_nobody() {
        let worst = |micros, bytes| Worst { micros, bytes, key: None };
        assert!(worst(1, 9).yields_to(2, 0));
        assert!(worst(1, 8).yields_to(1, 9));
        assert!(!worst(1, 9).yields_to(1, 9));
        assert!(!worst(2, 0).yields_to(1, 9));
    }
}
