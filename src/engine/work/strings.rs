//! How much the commands that change strings within have to do.

use crate::base::block::grows_in_place;
use crate::base::number::parse_i64;
use crate::engine::text::TEXT_VALUE_BYTES_MAX;
use crate::engine::{Db, Value};
use crate::resp::Request;

/// Where the words of such a command say how long its string will be. The key stands behind the
/// command's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edit {
    /// The bytes behind the key come behind those of the string.
    Append,
    /// The bytes of the last word stand at the offset before them.
    Range,
    /// The offset behind the key is that of a bit.
    Bit,
    /// Offsets of integers stand among operations.
    Field,
}

impl Edit {
    /// Of the command of this name, in capitals.
    pub fn of(name: &str) -> Option<Edit> {
        Some(match name {
            "APPEND" => Edit::Append,
            "SETRANGE" => Edit::Range,
            "SETBIT" => Edit::Bit,
            "BITFIELD" => Edit::Field,
            _ => return None,
        })
    }

    /// How many bytes it copies, appends or clears.
    pub fn bytes(self, db: Db<'_>, request: Request<'_>) -> usize {
        let slot = request.get(1).and_then(|it| db.peek(it));
        let old_len = match slot.map(|it| it.as_string()) {
            Some(Ok(old)) => old.len(),
            Some(Err(_)) => return 0,
            None => 0,
        };
        let Some(end) = self.end(old_len, request) else { return 0 };
        let len = end.max(old_len);
        match slot.and_then(|it| it.value()) {
            _ if len <= TEXT_VALUE_BYTES_MAX => len,
            Some(Value::Grown(old)) if len <= old.capacity() || grows_in_place(old.capacity()) => {
                len - old_len
            }
            _ => len,
        }
    }

    /// Where what it writes ends; `None` when it writes nothing.
    fn end(self, old_len: usize, request: Request<'_>) -> Option<usize> {
        let word = |at| request.get(at);
        let number = |at| word(at).and_then(parse_i64).and_then(|it| usize::try_from(it).ok());
        match self {
            Edit::Append => Some(old_len.saturating_add(word(2)?.len())),
            Edit::Range => {
                let more = word(3).filter(|it| !it.is_empty())?;
                Some(number(2)?.saturating_add(more.len()))
            }
            Edit::Bit => Some(number(2)? / 8 + 1),
            Edit::Field => {
                let writes = |it: &[u8]| {
                    [&b"SET"[..], b"INCRBY"].iter().any(|word| it.eq_ignore_ascii_case(word))
                };
                let at = (2..request.len()).filter(|at| word(*at).is_some_and(writes));
                at.filter_map(|at| end_of_field(word(at + 1)?, word(at + 2)?)).max()
            }
        }
    }
}

/// The byte behind the integer of this encoding at this offset, which may be a number of such
/// integers.
fn end_of_field(encoding: &[u8], offset: &[u8]) -> Option<usize> {
    let bits = usize::try_from(parse_i64(encoding.get(1..)?)?).ok()?;
    let (number, each) = match offset.strip_prefix(b"#") {
        Some(number) => (number, bits),
        None => (offset, 1),
    };
    let at = usize::try_from(parse_i64(number)?).ok()?.saturating_mul(each);
    Some(at.saturating_add(bits).div_ceil(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Args;
    use crate::engine::verbs::check::{Bench, words};
    use crate::resp::OwnedRequest;

    fn bytes(bench: &Bench, line: &str) -> usize {
        let words = words(line);
        let request = OwnedRequest::of(words.iter().map(Vec::as_slice));
        let args = Args::new(request.borrow(), 1, 0, &bench.env);
        let name = String::from_utf8_lossy(&words[0]).into_owned();
        let edit = Edit::of(&name).expect("it changes strings within");
        edit.bytes(bench.engine.db(&args), request.borrow())
    }

    #[test]
    fn what_is_new_and_what_is_copied_counts() {
        const LEN: usize = 100_000;
        let mut bench = Bench::default();
        bench.ask("RPUSH list x");
        bench.ask(&format!("SET whole {}", "x".repeat(LEN)));
        bench.ask(&format!("SETRANGE grown {} x", LEN - 1));
        bench.ask("APPEND grown x");
        for (line, wanted) in [
            ("APPEND new abc", 3),
            ("APPEND whole abc", LEN + 3),
            // The change before has left an eighth of room.
            ("APPEND grown abc", 3),
            ("APPEND list abc", 0),
            ("SETRANGE new 1000000 abc", 1_000_003),
            ("SETRANGE whole 0 abc", LEN),
            ("SETRANGE grown 0 abc", 0),
            ("SETRANGE grown 110000 abc", 10_002),
            ("SETRANGE grown 1000000 abc", 1_000_003),
            ("SETRANGE whole -1 abc", 0),
            ("SETBIT new 8000000 1", 1_000_001),
            ("SETBIT whole 7 1", LEN),
            ("SETBIT grown 7 1", 0),
            ("SETBIT new -1 1", 0),
            ("SETBIT new x 1", 0),
            ("BITFIELD new SET u8 8000000 1", 1_000_001),
            ("BITFIELD new GET u8 0 INCRBY i16 #1000000 1", 2_000_002),
            ("BITFIELD new GET u8 8000000", 0),
            ("BITFIELD whole SET u8 0 1 OVERFLOW FAIL", LEN),
            ("BITFIELD grown SET u8 0 1 SET u8 8 1", 0),
            ("BITFIELD new SET u8 #9223372036854775807 1", usize::MAX / 8 + 1),
            ("BITFIELD new SET", 0),
        ] {
            assert_eq!(bytes(&bench, line), wanted, "{line}");
        }
    }
}
