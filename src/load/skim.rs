//! Replies, skimmed: where one ends, and the little of it that the load generator wants to know.

use crate::base::number::parse_i64;
use crate::resp::{BrokenReply, ReplyScanner};

/// What a reply is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Skimmed<'b> {
    /// An error, with its text.
    Error(&'b [u8]),
    /// A string of bytes.
    Bulk(&'b [u8]),
    /// No value.
    Null,
    /// A whole number.
    Integer(i64),
    /// Anything else.
    Other,
}

/// Looks at bytes that begin with a reply. Answers its length and what it is, or `None` when more
/// of it must come. `scanner` is the connection's own.
#[inline]
pub fn skim<'b>(
    bytes: &'b [u8],
    scanner: &mut ReplyScanner,
) -> Result<Option<(usize, Skimmed<'b>)>, BrokenReply> {
    let Some(&kind) = bytes.first() else { return Ok(None) };
    match kind {
        b'+' | b'-' | b':' | b'_' => {
            let Some(end) = line_end(bytes) else { return Ok(None) };
            let text = &bytes[1..end];
            let skimmed = match kind {
                b'-' => Skimmed::Error(text),
                b':' => Skimmed::Integer(parse_i64(text).ok_or(BrokenReply)?),
                b'_' => Skimmed::Null,
                _ => Skimmed::Other,
            };
            Ok(Some((end + 2, skimmed)))
        }
        b'$' => {
            let Some(end) = line_end(bytes) else { return Ok(None) };
            let len = parse_i64(&bytes[1..end]).ok_or(BrokenReply)?;
            let Ok(len) = usize::try_from(len) else { return Ok(Some((end + 2, Skimmed::Null))) };
            let whole = (end + 4).checked_add(len).ok_or(BrokenReply)?;
            if bytes.len() < whole {
                return Ok(None);
            }
            Ok(Some((whole, Skimmed::Bulk(&bytes[end + 2..end + 2 + len]))))
        }
        _ => Ok(scanner.poll(bytes)?.map(|it| (it, Skimmed::Other))),
    }
}

/// Where the first line ends. Lines are short: a loop is quicker here than a search.
#[inline]
fn line_end(bytes: &[u8]) -> Option<usize> {
    let end = bytes.iter().position(|it| *it == b'\r')?;
    (end + 1 < bytes.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_known_when_they_are_whole() {
        let all: [(&[u8], Skimmed<'_>); 8] = [
            (b"+OK\r\n", Skimmed::Other),
            (b"-ERR no\r\n", Skimmed::Error(b"ERR no")),
            (b":12\r\n", Skimmed::Integer(12)),
            (b"$3\r\na\r\n\r\n", Skimmed::Bulk(b"a\r\n")),
            (b"$-1\r\n", Skimmed::Null),
            (b"_\r\n", Skimmed::Null),
            (b"*2\r\n$1\r\na\r\n:1\r\n", Skimmed::Other),
            (b"%1\r\n+a\r\n*0\r\n", Skimmed::Other),
        ];
        for (bytes, expected) in all {
            let mut scanner = ReplyScanner::default();
            for cut in 0..bytes.len() {
                assert_eq!(skim(&bytes[..cut], &mut scanner), Ok(None), "{bytes:?} {cut}");
            }
            let longer = [bytes, b"+more"].concat();
            assert_eq!(skim(&longer, &mut scanner), Ok(Some((bytes.len(), expected))));
        }
        assert!(skim(b"HTTP/1.1 400\r\n", &mut ReplyScanner::default()).is_err());
    }
}
