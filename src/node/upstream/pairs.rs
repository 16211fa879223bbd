//! Replies that are names and values, as RESP2 has them.

use crate::base::number::{parse_i64, parse_u64};

/// Names, each with its value.
pub type Pairs<'r> = Vec<(&'r [u8], &'r [u8])>;

/// Reads a flat array of names and values, or an array of such; `None` when it is neither.
pub fn maps(reply: &[u8]) -> Option<Vec<Pairs<'_>>> {
    let mut lines = Words(reply);
    let count = lines.array()?;
    if !lines.0.starts_with(b"*") {
        return Some(vec![lines.map(count)?]);
    }
    let mut all = Vec::new();
    for _ in 0..count {
        let len = lines.array()?;
        all.push(lines.map(len)?);
    }
    Some(all)
}

struct Words<'r>(&'r [u8]);

impl<'r> Words<'r> {
    fn line(&mut self) -> Option<&'r [u8]> {
        let end = self.0.windows(2).position(|it| it == b"\r\n")?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 2..];
        Some(line)
    }

    fn array(&mut self) -> Option<usize> {
        let count = parse_i64(self.line()?.strip_prefix(b"*")?)?;
        Some(usize::try_from(count).unwrap_or(0))
    }

    fn bulk(&mut self) -> Option<&'r [u8]> {
        let len = parse_u64(self.line()?.strip_prefix(b"$")?)?;
        let len = usize::try_from(len).ok()?;
        let text = self.0.get(..len)?;
        self.0 = self.0.get(len + 2..)?;
        Some(text)
    }

    fn map(&mut self, words: usize) -> Option<Pairs<'r>> {
        let mut map = Pairs::new();
        for _ in 0..words / 2 {
            map.push((self.bulk()?, self.bulk()?));
        }
        Some(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_read_from_one_array_and_from_several() {
        let one = b"*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$0\r\n\r\n";
        let read = maps(one).unwrap();
        assert_eq!(read, [vec![(&b"a"[..], &b"1"[..]), (b"b", b"")]]);
        let several = [&b"*2\r\n"[..], one, one].concat();
        assert_eq!(maps(&several).unwrap(), [read[0].clone(), read[0].clone()]);
        assert_eq!(maps(b"*0\r\n").unwrap(), [vec![]]);
        for broken in [&b"-ERR no\r\n"[..], b"*2\r\n$1\r\na\r\n", b"+OK\r\n", b""] {
            assert_eq!(maps(broken), None, "{broken:?}");
        }
    }
}
