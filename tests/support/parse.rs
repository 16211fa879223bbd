//! Reads one reply from the front of a buffer.

use super::value::Value;

/// The first reply and its length; `None` while it is still arriving. Panics on what is no RESP: a
/// server under test that says that has failed.
pub fn parse(bytes: &[u8]) -> Option<(Value, usize)> {
    let mut cursor = Cursor { bytes, at: 0 };
    let value = cursor.value()?;
    Some((value, cursor.at))
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn value(&mut self) -> Option<Value> {
        let line = self.line()?;
        let (kind, rest) = line.split_first().expect("an empty line is no reply");
        let text = || rest.to_vec();
        Some(match kind {
            b'+' => Value::Simple(text()),
            b'-' => Value::Error(text()),
            b':' => Value::Int(number(rest)),
            b',' => Value::Double(text()),
            b'(' => Value::Big(text()),
            b'_' => Value::Null,
            b'#' => Value::Bool(rest == b"t"),
            b'$' if rest == b"-1" => Value::NilBulk,
            b'*' if rest == b"-1" => Value::NilArray,
            b'$' => Value::Bulk(self.blob(number(rest))?),
            b'!' => Value::Error(self.blob(number(rest))?),
            b'=' => Value::Verbatim(self.blob(number(rest))?),
            b'*' => Value::Array(self.values(number(rest))?),
            b'~' => Value::Set(self.values(number(rest))?),
            b'>' => Value::Push(self.values(number(rest))?),
            b'%' => Value::Map(self.values(2 * number(rest))?),
            _ => panic!("not RESP: {}", line.escape_ascii()),
        })
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let len = rest.windows(2).position(|it| it == b"\r\n")?;
        self.at += len + 2;
        Some(&rest[..len])
    }

    fn blob(&mut self, len: i64) -> Option<Vec<u8>> {
        let end = self.at + usize::try_from(len).expect("a length");
        let blob = self.bytes.get(self.at..end + 2)?;
        assert!(blob.ends_with(b"\r\n"), "a bulk string without its end");
        self.at = end + 2;
        Some(blob[..blob.len() - 2].to_vec())
    }

    fn values(&mut self, count: i64) -> Option<Vec<Value>> {
        (0..count).map(|_| self.value()).collect()
    }
}

fn number(text: &[u8]) -> i64 {
    let number = std::str::from_utf8(text).ok().and_then(|it| it.parse().ok());
    number.unwrap_or_else(|| panic!("not a number: {}", text.escape_ascii()))
}
